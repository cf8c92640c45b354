"""Packages that only one format needs."""

import importlib


def import_optional(names, extra: str) -> list:
    """Imports modules, or says which extra of ours installs them.

    Raises:
        ImportError: One of them is missing.
    """
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise ImportError(
            f"This export needs the package {error.name!r}, which is not "
            f'installed. Run: pip install "keras-fgvc[{extra}]" '
            f"(from a clone: pip install -e '.[{extra}]')."
        ) from error
