"""From the name of a data set to batches, and to what it holds."""

import os

from keras_fgvc.data.catalogue import find_entry, is_on_disk
from keras_fgvc.data.catalogue_entry import CatalogueEntry
from keras_fgvc.data.labeled_images import LabeledImages
from keras_fgvc.data.open_dataset import open_dataset


def load(
    name_or_folder: str,
    split: str,
    *,
    image_size,
    batch_size: int,
    training: bool = False,
    seed: int = 0,
    data_dir: str | None = None,
    with_boxes: bool = False,
    augmentation=None,
    validation_fraction: float = 0.1,
    on_error: str = "raise",
    verify: str = "full",
):
    """Opens a data set and batches one split of it.

    The same as `open_dataset(...).batches(split, ...)`, where the arguments
    are described at length. For several splits open the data set once.

    Args:
        name_or_folder: As `name_or_path` of `open_dataset`.
        split: Name of the split.
        image_size: Side in pixels, or (height, width).
        batch_size: Images a batch.
        training: Whether to shuffle and augment. Defaults to `False`.
        seed: Cuts the validation split and orders the batches, so give all
            splits of one experiment the same.
        data_dir, validation_fraction, on_error, verify: See `open_dataset`.
        with_boxes, augmentation: See `LabeledImages.batches`.

    Returns:
        `tf.data.Dataset` of (images, labels).

    Raises:
        ValueError: As `open_dataset` and `LabeledImages.batches`.

    Example:

    ```python
    from keras_fgvc.data import load

    test = load("cluttered_digits", "test", image_size=40, batch_size=32)
    ```
    """
    data = open_dataset(
        name_or_folder,
        data_dir=data_dir,
        validation_fraction=validation_fraction,
        seed=seed,
        on_error=on_error,
        verify=verify,
    )
    return data.batches(
        split,
        image_size=image_size,
        batch_size=batch_size,
        training=training,
        seed=seed,
        augmentation=augmentation,
        with_boxes=with_boxes,
    )


def info(
    name_or_folder: str, *, data_dir: str | None = None
) -> LabeledImages | CatalogueEntry:
    """Classes, split sizes, source and licence of a data set.

    A quick look: images are checked with `verify="headers"`, and what cannot
    be used is in the `report`. Nothing is downloaded: of a data set by name
    that is not on disk, what its authors published is told.

    Args:
        name_or_folder: As `name_or_path` of `open_dataset`.
        data_dir: See `open_dataset`.

    Returns:
        `LabeledImages`; see `summary()`, `class_names`, `split_sizes`. For a
        name that is not on disk its `CatalogueEntry`; both have `summary()`,
        `name`, `num_classes`, `split_sizes`, `source` and `licence`.

    Raises:
        ValueError: An unknown name or a missing folder.

    Example:

    ```python
    from keras_fgvc.data import info

    print(info("cluttered_digits").summary())
    ```
    """
    entry = find_entry(os.fspath(name_or_folder))
    if entry is not None and not is_on_disk(entry, data_dir):
        return entry
    return open_dataset(
        name_or_folder, data_dir=data_dir, on_error="skip", verify="headers"
    )
