"""Data sets and the input pipeline."""

from keras_fgvc.data import builders
from keras_fgvc.data.builders.catalogue import available, entries
from keras_fgvc.data.builders.catalogue_entry import CatalogueEntry
from keras_fgvc.data.builders.cluttered_digits import cluttered_digits
from keras_fgvc.data.builders.mnist import load_mnist
from keras_fgvc.data.builders.upsampling_pairs import UpsamplingPairs
from keras_fgvc.data.dataset import Examples, LabeledImages
from keras_fgvc.data.opening.open_dataset import info, load, open_dataset
from keras_fgvc.data.part_images import PartImages
from keras_fgvc.data.pipeline.augment import Augmentation
from keras_fgvc.data.pipeline.shares import Share
from keras_fgvc.data.precomputed import Precomputed
from keras_fgvc.data.sources.records import Records
from keras_fgvc.data.sources.report import Problem, Report
from keras_fgvc.data.sources.source import fingerprint
from keras_fgvc.decoding.images import decode_and_resize

__all__ = [
    "Augmentation",
    "CatalogueEntry",
    "Examples",
    "LabeledImages",
    "PartImages",
    "Precomputed",
    "Problem",
    "Records",
    "Report",
    "Share",
    "UpsamplingPairs",
    "available",
    "builders",
    "cluttered_digits",
    "decode_and_resize",
    "entries",
    "fingerprint",
    "info",
    "load",
    "load_mnist",
    "open_dataset",
]
