"""Finding and opening the data sets that have a name."""

import dataclasses
import os

from keras_fgvc.data.builders.catalogue_entry import GENERATED, CatalogueEntry
from keras_fgvc.data.builders.catalogue_table import ENTRIES
from keras_fgvc.data.builders.cluttered_digits import cluttered_digits
from keras_fgvc.data.builders.mnist import (
    LICENCE,
    SOURCE,
    find_file,
    load_mnist,
)
from keras_fgvc.data.builders.prepared import (
    is_prepared,
    open_tfds,
)

CATALOGUE = {entry.name: entry for entry in ENTRIES}


def available() -> tuple[str, ...]:
    """The names that `open_dataset`, `load` and `info` know.

    Some have variants, as in "fgvc_aircraft/family" and "celeb_a/Smiling"; an
    unknown one is an error that lists them.

    Example:

    ```python
    from keras_fgvc.data import available

    print(available())  # ("cluttered_digits", "cluttered_mnist", "cub200", ...)
    ```
    """
    return tuple(CATALOGUE)


def entries() -> tuple[CatalogueEntry, ...]:
    """The table of data sets; `examples/datasets.py` prints it.

    Example:

    ```python
    from keras_fgvc.data import entries

    for entry in entries():
        print(entry.name, entry.num_classes, entry.split_sizes)
    ```
    """
    return tuple(CATALOGUE.values())


def find_entry(name: str) -> CatalogueEntry | None:
    """The entry of a name, or None where it is no name of a data set.

    Args:
        name: One of `available()`, or one and a variant after a slash.

    Raises:
        ValueError: The data set has no such variant.
    """
    base, _, variant = name.partition("/")
    entry = CATALOGUE.get(base)
    if entry is None or not variant:
        return entry if name == base else None
    if variant not in entry.variants and os.path.exists(name):
        return None
    return entry.with_variant(variant) if entry.variants else None


def is_on_disk(entry: CatalogueEntry, data_dir: str | None) -> bool:
    """Tells whether a data set can be opened without a download."""
    if entry.origin == GENERATED:
        return entry.builder is None or find_file(data_dir) is not None
    return is_prepared(entry, data_dir)


def open_entry(
    entry: CatalogueEntry,
    *,
    data_dir: str | None,
    seed: int,
    validation_fraction: float,
    on_error: str,
):
    """`open_dataset` for a data set that has a name."""
    if entry.origin == GENERATED:
        return _GENERATED[entry.name](data_dir, seed)
    return open_tfds(
        entry,
        data_dir,
        seed=seed,
        validation_fraction=validation_fraction,
        on_error=on_error,
    )


def _open_cluttered_digits(data_dir, seed):
    """Generated from the seed: nothing is stored in a folder."""
    del data_dir
    return cluttered_digits(seed=seed)


def _open_cluttered_mnist(data_dir, seed):
    """Makes a scene per digit of MNIST, less those for validation."""
    digits = load_mnist(data_dir=data_dir)
    data = cluttered_digits(50_000, 10_000, 10_000, seed=seed, digits=digits)
    return dataclasses.replace(
        data, name="cluttered_mnist", source=SOURCE, licence=LICENCE
    )


_GENERATED = {
    "cluttered_digits": _open_cluttered_digits,
    "cluttered_mnist": _open_cluttered_mnist,
}
