"""The data sets that have a name."""

import dataclasses

from keras_fgvc.data.cluttered_digits import cluttered_digits
from keras_fgvc.data.mnist import LICENCE, SOURCE, load_mnist


def _open_cluttered_digits(data_dir, seed):
    """Generated from the seed: nothing is stored in a folder."""
    del data_dir
    return cluttered_digits(seed=seed)


def _open_cluttered_mnist(data_dir, seed):
    """As many scenes as MNIST has digits, less those for validation."""
    digits = load_mnist(data_dir=data_dir)
    data = cluttered_digits(50_000, 10_000, 10_000, seed=seed, digits=digits)
    return dataclasses.replace(
        data, name="cluttered_mnist", source=SOURCE, licence=LICENCE
    )


# Name -> function of (data_dir, seed) that returns `LabeledImages`.
CATALOGUE = {
    "cluttered_digits": _open_cluttered_digits,
    "cluttered_mnist": _open_cluttered_mnist,
}


def available() -> tuple[str, ...]:
    """The names that `open_dataset`, `load` and `info` know.

    Example:

    ```python
    from keras_fgvc.data import available

    print(available())  # ("cluttered_digits", "cluttered_mnist")
    ```
    """
    return tuple(CATALOGUE)
