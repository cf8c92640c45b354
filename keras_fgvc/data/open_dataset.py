"""Opening a data set by name, folder or CSV."""

import dataclasses
import os

import numpy as np

from keras_fgvc._checks import (
    check_choice,
    check_in_range,
    check_positive_int,
)
from keras_fgvc.data.boxes import normalize_box
from keras_fgvc.data.catalogue import available, find_entry, open_entry
from keras_fgvc.data.class_folders import read_class_folders
from keras_fgvc.data.csv_table import read_csv
from keras_fgvc.data.examples import Examples
from keras_fgvc.data.labeled_images import LabeledImages
from keras_fgvc.data.report import ProblemLog
from keras_fgvc.data.rows import (
    check_classes_in_train,
    drop_repeated,
    sorted_classes,
)
from keras_fgvc.data.sources.checks import VERIFY, check_images
from keras_fgvc.data.splits import stratified_cut

CSV_NAME = "split.csv"
SPLITS = ("train", "validation", "test")


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

    Of folders and files, three layouts are read:

    - `root/train/<class>/*.jpg`, also with `root/test` and `root/validation`;
    - `root/<class>/*.jpg`: test and validation are cut from it;
    - `root/split.csv` or any `.csv` with the columns path, label, split
      and, with boxes, x_min, y_min, x_max, y_max in pixels of the upright
      image. Other columns are ignored.

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
            short; "never" opens no image, except that a CSV with boxes needs
            their sizes as "headers" does.

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
    train = data.batches("train", image_size=40, batch_size=32, training=True)
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
    rows = _read_rows(path, data_dir, log)
    rows = drop_repeated(rows, log)
    log.settle()
    if rows:
        check_classes_in_train(rows)
    rows, boxes = _check_rows(rows, verify, log)
    log.settle()
    check_classes_in_train(rows)
    splits = _cut_splits(rows, validation_fraction, test_fraction, seed, log)
    return _build(path, rows, boxes, splits, log)


def _read_rows(path, data_dir, log):
    if os.path.isdir(path):
        csv_path = os.path.join(path, CSV_NAME)
        if not os.path.isfile(csv_path):
            return read_class_folders(path, log)
        return read_csv(csv_path, data_dir or path, log)
    if path.lower().endswith(".csv") and os.path.isfile(path):
        return read_csv(path, data_dir or os.path.dirname(path), log)
    raise ValueError(
        "`name_or_path` must be one of "
        + ", ".join(f'"{name}"' for name in available())
        + ", or a folder or .csv file that exists. "
        f'Received: "{path}" (looked for at {os.path.abspath(path)}).'
    )


def _check_rows(rows, verify, log):
    """The rows whose image and box are usable, and their boxes."""
    if verify == "never" and all(row.box is None for row in rows):
        return rows, None
    sizes = check_images([row.path for row in rows], verify, log)
    kept, boxes, clipped = [], [], []
    for row, size in zip(rows, sizes, strict=True):
        if size is None:
            continue
        if row.box is not None:
            try:
                box, is_clipped = normalize_box(row.box, size)
            except ValueError as error:
                log.add(row.path, "bad box", f"{error} (line {row.line})")
                continue
            boxes.append(box)
            if is_clipped:
                clipped.append(row.path)
        kept.append(row)
    if clipped:
        log.notes.append(
            f"{len(clipped)} box(es) reached beyond their image and were "
            f"clipped, the first of {clipped[0]}"
        )
    return kept, np.array(boxes, np.float32) if boxes else None


def _cut_splits(rows, validation_fraction, test_fraction, seed, log):
    """The name of the split of each row, as an array."""
    splits = np.array([row.split or "train" for row in rows], dtype=object)
    labels = _number_labels(rows, sorted_classes(rows))

    def cut(name, fraction, seed):
        train = np.flatnonzero(splits == "train")
        is_cut = stratified_cut(labels[train], fraction, seed)
        splits[train[is_cut]] = name
        if is_cut.any():
            log.notes.append(
                f"{name} was cut from train ({fraction:.0%} of each class, "
                f"seed {seed})"
            )

    if all(row.split is None for row in rows):
        cut("test", test_fraction, seed)
    if "validation" not in splits:
        cut("validation", validation_fraction, seed)
    return splits


def _build(path, rows, boxes, splits, log) -> LabeledImages:
    classes = sorted_classes(rows)
    everything = Examples(
        labels=_number_labels(rows, classes),
        paths=tuple(row.path for row in rows),
        boxes=boxes,
    )
    return LabeledImages(
        name=os.path.basename(os.path.abspath(path)),
        class_names=classes,
        splits={
            split: everything.take(np.flatnonzero(splits == split))
            for split in SPLITS
            if split in splits
        },
        source=os.path.abspath(path),
        report=log.report(),
    )


def _number_labels(rows, classes) -> np.ndarray:
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[row.label] for row in rows], np.int32)
