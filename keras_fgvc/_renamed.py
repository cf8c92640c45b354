"""Arguments whose names have changed: the old ones are taken, with a word."""

import functools
import warnings


def takes_old_names(**new_names):
    """Lets a function take arguments by their old names too.

    Args:
        **new_names: New name by old name.

    Returns:
        A decorator. A call by an old name warns once per place, and one by
        both names raises the `TypeError` of Python.
    """

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            for old, new in new_names.items():
                if old in kwargs and new not in kwargs:
                    warn_of_name(function.__qualname__, old, new)
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def warn_of_name(owner: str, old: str, new: str) -> None:
    """Warns whoever called what was called `owner` by an old name."""
    warnings.warn(
        f"`{old}` of {owner} is called `{new}` since 0.9; the old name will "
        "be refused in 1.0.",
        FutureWarning,
        stacklevel=3,
    )
