"""Data sets and the input pipeline."""

from keras_fgvc.data import builders
from keras_fgvc.data.augment import Augmentation
from keras_fgvc.data.catalogue import available, entries
from keras_fgvc.data.catalogue_entry import CatalogueEntry
from keras_fgvc.data.cluttered_digits import cluttered_digits
from keras_fgvc.data.examples import Examples
from keras_fgvc.data.fingerprints import fingerprint
from keras_fgvc.data.images import decode_and_resize
from keras_fgvc.data.labeled_images import LabeledImages
from keras_fgvc.data.load import info, load
from keras_fgvc.data.mnist import load_mnist
from keras_fgvc.data.open_dataset import open_dataset
from keras_fgvc.data.part_images import PartImages
from keras_fgvc.data.precomputed import Precomputed
from keras_fgvc.data.records import Records
from keras_fgvc.data.report import Problem, Report
from keras_fgvc.data.shares import Share
from keras_fgvc.data.upsampling_pairs import UpsamplingPairs

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
