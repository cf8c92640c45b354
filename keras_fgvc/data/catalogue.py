"""The data sets that have a name."""

from keras_fgvc.data.cluttered_digits import cluttered_digits


def _open_cluttered_digits(data_dir, seed):
    """Generated from the seed: nothing is stored in a folder."""
    del data_dir
    return cluttered_digits(seed=seed)


# Name -> function of (data_dir, seed) that returns `LabeledImages`.
CATALOGUE = {"cluttered_digits": _open_cluttered_digits}


def available() -> tuple[str, ...]:
    """The names that `open_dataset`, `load` and `info` know.

    Example:

    ```python
    from keras_fgvc.data import available

    print(available())  # ("cluttered_digits",)
    ```
    """
    return tuple(CATALOGUE)
