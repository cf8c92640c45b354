"""Base of builders whose lists name images with one label each."""

from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from keras_fgvc.data.builders._files import read_image
from keras_fgvc.data.pipeline.geometry import normalize_box

WHOLE_IMAGE = np.array([0.0, 0.0, 1.0, 1.0], np.float32)
# So many boxes of one split may be empty or lie outside their image. More of
# them mean that the file of boxes is not what it is taken for.
MAX_BAD_BOXES = 100


class Listed(NamedTuple):
    """One image as the lists of a data set describe it.

    Args:
        filename: Its path below the folder of the images.
        label: Number of the class, from 0.
        box: Edges (x_min, y_min, x_max, y_max) in pixels, from 0 at the left
            and upper edge of the first pixel, or None.
    """

    filename: str
    label: int
    box: tuple[float, ...] | None = None


class ListedImages(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base class of the builders.

    A subclass sets the constants and writes `_split_generators`, which sets
    the names of the classes and returns, for each split,
    `self._generate_examples(folder, listed_images)`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    DESCRIPTION = HOMEPAGE = CITATION = ""
    NUM_CLASSES = 0
    HAS_BOXES = True

    @property
    def num_classes(self) -> int:
        return self.NUM_CLASSES

    def _info(self):
        features = {
            "image": tfds.features.Image(),
            "image/filename": tfds.features.Text(),
            "label": tfds.features.ClassLabel(num_classes=self.num_classes),
        }
        if self.HAS_BOXES:
            features["bbox"] = tfds.features.BBoxFeature()
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
        )

    def _name_classes(self, names) -> None:
        self.info.features["label"].names = list(names)

    def _read_image(self, path):
        return read_image(path)

    def _generate_examples(self, folder, listed_images):
        num_bad = 0
        for listed in listed_images:
            path = folder / listed.filename
            encoded, size = self._read_image(path)
            example = {
                "image": encoded,
                "image/filename": listed.filename,
                "label": listed.label,
            }
            if self.HAS_BOXES:
                try:
                    example["bbox"], _ = normalize_box(listed.box, size)
                except ValueError as error:
                    num_bad += 1
                    _report_bad_box(path, error, num_bad)
                    example["bbox"] = WHOLE_IMAGE
            yield listed.filename, example


def _report_bad_box(path, error, num_bad: int) -> None:
    if num_bad > MAX_BAD_BOXES:
        raise ValueError(
            f"{path}: {error}. More than {MAX_BAD_BOXES} boxes of this split "
            "are unusable. Unpack or download the data set again."
        ) from error
    logging.warning("%s: %s; its box is the whole image now.", path, error)
