"""Opening a data set by name, folder or CSV; batches of it in one call."""

import dataclasses
import os

from keras_fgvc._checks import (
    check_choice,
    check_in_range,
    check_positive_int,
)
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.data.builders.catalogue import (
    available,
    find_entry,
    is_on_disk,
    open_entry,
)
from keras_fgvc.data.builders.catalogue_entry import CatalogueEntry
from keras_fgvc.data.builders.listed_folder import (
    describe,
    find_lists,
    read_lists,
)
from keras_fgvc.data.dataset import LabeledImages
from keras_fgvc.data.opening import table
from keras_fgvc.data.opening.listing import (
    CSV_SUFFIXES,
    find_csv,
    read_class_folders,
    read_csv,
)
from keras_fgvc.data.sources.files import VERIFY
from keras_fgvc.data.sources.report import ProblemLog, tell_same_bytes


def open_dataset(
    name_or_path: str,
    *,
    data_dir: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    on_error: str = "raise",
    verify: str = "full",
) -> LabeledImages:
    """Opens a data set by its name, a folder or a CSV, and checks it.

    A name of `available()` opens that data set; `examples/datasets.py` lists
    them. Those of TensorFlow Datasets are downloaded into `data_dir` and
    prepared the first time, and then read where they are. A name goes before
    a folder of the same name: write "./mnist" for that.

    Of folders and files, four layouts are read, and the report notes what was
    taken for what, and what was not read:

    - `root/train/<class>/*.jpg`, also with `root/test` and `root/validation`;
    - `root/<class>/*.jpg`: test and validation are cut from it;
    - `root/split.csv` or any `.csv` with the columns path, label, split
      and, with boxes, x_min, y_min, x_max, y_max in pixels of the upright
      image, or all from 0 to 1. A row of four empty cells has no box;
    - the folder of CUB-200-2011 or NABirds, with their lists.

    Without a validation split one is cut from train: of each class the same
    share, but at least one image where there are two. Test is left alone.

    Every image of a folder or a CSV is decoded once, so that a broken one is
    found now and not in the middle of a training. What was found is kept in
    ~/.cache/keras_fgvc, or in the folder that the environment variable
    KERAS_FGVC_CACHE names: later only files are decoded whose size or
    modification time has changed.

    Args:
        name_or_path: A name of `available()`, perhaps with a variant as in
            "celeb_a/Smiling", a folder or a `.csv`.
        data_dir: Folder to which the paths of a CSV are relative. Default:
            the folder of the CSV. For a name the folder of TensorFlow
            Datasets, by default ~/tensorflow_datasets; for "cluttered_mnist"
            also the one that holds mnist.npz. Files that you downloaded
            yourself belong into downloads/manual there.
        validation_fraction: Share of train, 0 to 0.9, for a validation split
            where there is none; 0 for no such split. Default 0.1.
        test_fraction: Share of all images, 0 to 0.9, for a test split where
            the folder has no splits at all. Default 0.2.
        seed: Integer from 0, of these cuts (and of generated images).
            Default 0.
        on_error: What to do about images that cannot be used: "raise" one
            error that lists them (the default), or "skip" them; the
            `report` of the result says which.
        verify: For folders and CSVs. "full" (the default) decodes each image
            that is not known from before; "headers" reads the size of such an
            image only, which is faster but does not see that a file is cut
            short; "never" opens no image and finds no copies, except that
            boxes of a CSV need sizes as "headers" does.

    Returns:
        `LabeledImages`.

    Raises:
        ValueError: An unknown name or a missing folder; unusable images with
            `on_error="raise"`; an image in two splits; a class without
            training images; files that are missing and that you have to
            download yourself.
        ImportError: A name that needs a package which is not installed.
        ConnectionError: A download that cannot happen, within seconds.
        RuntimeError: A download that failed on the way.

    Example:

    ```python
    from keras_fgvc.data import open_dataset

    data = open_dataset("cluttered_digits")
    print(data.summary())
    train = data.batches("train", load_size=40, batch_size=32, training=True)
    ```
    """
    check_in_range("validation_fraction", validation_fraction, 0, 0.9)
    check_in_range("test_fraction", test_fraction, 0, 0.9)
    check_positive_int("seed", seed, minimum=0)
    check_choice("verify", verify, VERIFY)
    options = {
        "data_dir": data_dir and os.path.abspath(os.path.expanduser(data_dir)),
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "seed": seed,
        "on_error": on_error,
    }
    path = os.path.expanduser(name_or_path)
    entry = find_entry(path)
    if entry is None:
        images = _open_files(path, verify, **options)
        path = os.path.abspath(path)
    else:
        del options["test_fraction"]  # their test splits are their own
        images = open_entry(entry, **options)
    return dataclasses.replace(
        images, opened_by={"name_or_path": path, **options}
    )


@takes_old_names(image_size="load_size")
def load(
    name_or_folder: str,
    split: str,
    *,
    load_size,
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
        load_size: Side in pixels, or (height, width).
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

    test = load("cluttered_digits", "test", load_size=40, batch_size=32)
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
        load_size=load_size,
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
        `LabeledImages`; for a name that is not on disk its `CatalogueEntry`.
        Both have `summary()`, `name`, `num_classes`, `split_sizes`, `source`
        and `licence`.

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


def _open_files(
    path,
    verify,
    *,
    data_dir,
    validation_fraction,
    test_fraction,
    seed,
    on_error,
):
    log = ProblemLog(on_error)
    rows = table.drop_repeated(_read_rows(path, data_dir, log), log)
    log.settle()
    if rows:
        table.check_classes_in_train(rows)
    rows = table.compare(table.check(rows, verify, log), verify, log)
    log.settle()
    table.check_classes_in_train(rows)
    if all(row.split is None for row in rows):
        rows = table.cut(rows, "test", test_fraction, seed, log)
    if all(row.split != "validation" for row in rows):
        rows = table.cut(rows, "validation", validation_fraction, seed, log)
    tell_same_bytes(rows, log)
    class_names, splits = table.to_splits(rows)
    if len(class_names) == 1:
        log.notes.append(f"there is one class only, {class_names[0]}")
    return LabeledImages(
        name=os.path.basename(os.path.abspath(path)),
        class_names=class_names,
        splits=splits,
        source=os.path.abspath(path),
        report=log.report(),
    )


def _read_rows(path, data_dir, log):
    if os.path.isdir(path):
        csv_path = find_csv(path)
        if csv_path is not None:
            return read_csv(csv_path, data_dir or path, log)
        lists = find_lists(path)
        return (
            _read_lists(lists, log) if lists else read_class_folders(path, log)
        )
    if path.lower().endswith(CSV_SUFFIXES) and os.path.isfile(path):
        return read_csv(path, data_dir or os.path.dirname(path), log)
    raise ValueError(
        "`name_or_path` must be one of "
        + ", ".join(f'"{name}"' for name in available())
        + ", or a folder or .csv file that exists. "
        f'Received: "{path}" (looked for at {os.path.abspath(path)}).'
    )


def _read_lists(folder, log):
    listed = read_lists(folder)
    log.notes.append(describe(folder, listed))
    return [table.Row(*each) for each in listed]
