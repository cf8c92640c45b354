"""Packages that only an extra of this package installs."""

import importlib


def import_extra(names, extra: str, purpose: str) -> list:
    """Imports modules, or says which of our extras installs them.

    Args:
        names: Of the modules.
        extra: Name of the extra in setup.py.
        purpose: Whose need it is, the beginning of the error's sentence:
            "This export needs".

    Raises:
        ImportError: One of them is missing.
    """
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise ImportError(
            f"{purpose} the package {error.name!r}, which is not installed. "
            f"Run: {install_command(extra)}."
        ) from error


def install_command(extra: str) -> str:
    """Returns the command that installs an extra."""
    return (
        f'pip install "keras-fgvc[{extra}]" '
        f'(from a clone: pip install -e ".[{extra}]")'
    )
