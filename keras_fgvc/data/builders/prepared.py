"""Data sets that TensorFlow Datasets prepares, as `LabeledImages`.

What `download_and_prepare` wrote is read where it is, image by image, in an
order of our own (`records`). So these data sets have what folders have: order
and augmentation that depend on a seed alone, exact resume, boxes, names of
classes, a validation split.
"""

import os
import re

import numpy as np

from keras_fgvc._extras import import_extra
from keras_fgvc.data import builders
from keras_fgvc.data.builders.catalogue_entry import OURS
from keras_fgvc.data.builders.downloads import (
    by_hand,
    check_downloads,
    files_to_download,
)
from keras_fgvc.data.builders.index import read_index
from keras_fgvc.data.dataset import Examples, LabeledImages
from keras_fgvc.data.pipeline.shares import stratified_cut
from keras_fgvc.data.sources.report import ProblemLog, with_same_bytes

RECORD_FORMAT = "tfrecord"
# Numbers before names, as in "001.Laysan_Albatross" and "n02085620-chihuahua".
NUMBER = re.compile(r"^(\d+\.|n\d{8}-)")


def open_tfds(
    entry,
    data_dir: str | None = None,
    *,
    validation_fraction: float = 0.1,
    seed: int = 0,
    on_error: str = "raise",
) -> LabeledImages:
    """Opens a data set of the catalogue that TensorFlow Datasets prepares.

    It is downloaded and prepared first where it is not there yet. A box of
    all images' largest object comes with them where the data set has boxes;
    it follows a photograph that its EXIF orientation turns.

    Args:
        entry: `CatalogueEntry`.
        data_dir: Folder of TensorFlow Datasets. Default: its own, which is
            ~/tensorflow_datasets or what TFDS_DATA_DIR says.
        validation_fraction: Share of train for a validation split where the
            data set has none. Default 0.1.
        seed: Integer from 0, of this cut. Default 0.
        on_error: "raise" (the default) or "skip" images whose box is empty
            or turned round.

    Returns:
        `LabeledImages`.

    Raises:
        ImportError: tensorflow_datasets is not installed.
        ConnectionError: It has to be downloaded and cannot be.
        RuntimeError: Downloading or preparing it failed on the way.
        ValueError: The records are not what they should be, or files that
            you have to download yourself are missing.

    Example: `open_tfds(catalogue.find_entry("cub200"), "data").summary()`.
    """
    builder = _make_builder(entry, data_dir)
    _prepare(builder, entry)
    files = {
        split: [os.fspath(p) for p in builder.info.splits[theirs].filepaths]
        for split, theirs in entry.splits.items()
    }
    index = read_index(os.fspath(builder.data_dir), files, entry.features)
    log = ProblemLog(on_error)
    splits = {
        split: _to_examples(indexed, split, log)
        for split, indexed in index.items()
    }
    log.settle()
    if "validation" not in splits:
        _cut_validation(splits, validation_fraction, seed, log)
    class_names = _class_names(builder, entry, index)
    digests = _digests(index, splits)
    return LabeledImages(
        name=entry.name,
        class_names=class_names,
        splits=splits,
        source=f"{entry.source}; {builder.data_dir}",
        licence=entry.licence,
        report=with_same_bytes(log.report(), class_names, splits, digests),
    )


def is_prepared(entry, data_dir: str | None = None) -> bool:
    """Tells whether the version that would be opened is on disk.

    Where there is no version of it, tensorflow_datasets is not imported.
    """
    if data_dir is None:
        data_dir = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    folder = os.path.join(os.path.expanduser(data_dir), entry.builder)
    if entry.origin == OURS and entry.variants:
        folder = os.path.join(
            folder, entry.variant or next(iter(entry.variants))
        )
    if not os.path.isdir(folder):
        return False
    return os.path.isdir(_make_builder(entry, data_dir).data_dir)


def readable(name: str) -> str:
    """The name of a class without its number and underscores."""
    return NUMBER.sub("", name).replace("_", " ").strip()


def _make_builder(entry, data_dir):
    if entry.origin == OURS:
        return builders.make(
            entry.builder, data_dir=data_dir, config=entry.config
        )
    (tfds,) = import_extra(
        ["tensorflow_datasets"], "data", f'The data set "{entry.name}" needs'
    )
    return tfds.builder(entry.builder, data_dir=data_dir)


def _prepare(builder, entry) -> None:
    if not os.path.isdir(builder.data_dir):
        remedy = _find_downloads(builder, entry)
        try:
            builder.download_and_prepare(file_format=RECORD_FORMAT)
        except ValueError:  # One of ours, which says what to do.
            raise
        except Exception as error:  # A download fails in many ways.
            raise RuntimeError(
                f'The data set "{entry.name}" could not be downloaded and '
                f"prepared: {error}\n{remedy}"
            ) from error
    found = builder.info.file_format.value
    if found != RECORD_FORMAT:
        raise ValueError(
            f"{builder.data_dir} must hold TFRecord files. Received: the "
            f'format "{found}". Delete it, or name another `data_dir`, and '
            "the data set is prepared anew."
        )


def _find_downloads(builder, entry) -> str:
    """Checks that they can be had; returns how to get them by hand."""
    folder = os.path.join(builder.data_dir_root, "downloads", "manual")
    urls = files_to_download(builder, entry.urls, folder)
    check_downloads(entry.name, urls, folder, entry.how_to_get)
    return by_hand(urls, folder)


def _to_examples(indexed, split: str, log) -> Examples:
    kept = np.arange(len(indexed.labels))
    if indexed.boxes is not None:
        kept = np.flatnonzero(_are_good(indexed, split, log))
    examples = Examples(
        labels=indexed.labels.astype(np.int32),
        records=indexed.records,
        boxes=indexed.boxes,
    )
    return examples.take(kept)


def _are_good(indexed, split, log):
    """Tells whether each box has an area; TFDS keeps boxes in 0..1."""
    boxes, records = indexed.boxes, indexed.records
    is_good = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    for i in np.flatnonzero(~is_good):
        y_min, x_min, y_max, x_max = boxes[i]
        log.add(
            f"{records.files[records.file_index[i]]}, {split} image {i}",
            "bad box",
            "the box is turned round or empty: "
            f"x {x_min:g} to {x_max:g}, y {y_min:g} to {y_max:g}, where the "
            "image is 0 to 1",
        )
    return is_good


def _cut_validation(splits, fraction, seed, log) -> None:
    train = splits["train"]
    is_cut = stratified_cut(train.labels, fraction, seed)
    if not is_cut.any():
        return
    test = splits.pop("test")
    splits["train"] = train.take(np.flatnonzero(~is_cut))
    splits["validation"] = train.take(np.flatnonzero(is_cut))
    splits["test"] = test
    log.notes.append(
        f"validation was cut from train ({fraction:.0%} of each class, "
        f"seed {seed})"
    )


def _digests(index, splits) -> list:
    """Returns the digest of each record, also after a cut; None if unknown."""
    known = {
        (
            each.records.files[each.records.file_index[n]],
            each.records.offsets[n],
        ): digest
        for each in index.values()
        for n, digest in each.digests.items()
    }
    return [
        known.get((records.files[file], offset))
        for records in (examples.records for examples in splits.values())
        for file, offset in zip(
            records.file_index, records.offsets, strict=True
        )
    ]


def _class_names(builder, entry, index) -> tuple[str, ...]:
    if isinstance(entry.features.label, tuple):
        return tuple(entry.variants)  # an image may have all of them
    if entry.variant_label:
        return f"not {entry.variant}", entry.variant
    label = builder.info.features[entry.features.label]
    names = list(label.names)
    for indexed in index.values():
        for number, folder in indexed.folders.items():
            names[number] = folder
    return tuple(readable(name) for name in names)
