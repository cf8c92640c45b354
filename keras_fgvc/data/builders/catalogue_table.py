"""The data sets that have a name, as a table.

Numbers are those that their authors, or TensorFlow Datasets, publish. What is
said of licences is a hint: read the terms at the source. What we chose:

- inaturalist2017: the labels of its test images are not public, so papers
  report on the validation images. They are our test split, and a validation
  split is cut from train.
- stanford_dogs: some photographs have several boxes. The largest one is taken
  as the object's.
- oxford_pets: its boxes are of heads and only of training images. They are not
  taken.
- celeb_a: 40 attributes an image, labels `(n, 40)` of 0 and 1. One of them, as
  "celeb_a/Smiling", makes two classes.
- uec_food100 and adience: our own splits, see their builders.
"""

from keras_fgvc.data.builders.catalogue_entry import (
    GENERATED,
    OURS,
    CatalogueEntry,
)
from keras_fgvc.data.builders.celeb_a_attributes import CELEB_A_ATTRIBUTES
from keras_fgvc.data.builders.cluttered_digits import LICENCE as DIGITS_LICENCE
from keras_fgvc.data.builders.cluttered_digits import SOURCE as DIGITS_SOURCE
from keras_fgvc.data.builders.mnist import FILE_NAME, LICENCE, SOURCE
from keras_fgvc.data.builders.record_contents import Features

DOWNLOADED = "downloaded by itself"
RESEARCH = "non-commercial research only"
WITH_BOX = Features(box="bbox")
THREE_SPLITS = {s: s for s in ("train", "validation", "test")}
ENTRIES = (
    CatalogueEntry(
        "cluttered_digits",
        num_classes=10,
        split_sizes={"train": 10_000, "validation": 2_000, "test": 2_000},
        source=DIGITS_SOURCE,
        licence=DIGITS_LICENCE,
        how_to_get="generated from the digits of scikit-learn",
        origin=GENERATED,
        has_boxes=True,
    ),
    CatalogueEntry(
        "cluttered_mnist",
        num_classes=10,
        split_sizes={"train": 50_000, "validation": 10_000, "test": 10_000},
        source=SOURCE,
        licence=LICENCE,
        how_to_get=f"generated from {FILE_NAME} in data_dir, else downloaded",
        origin=GENERATED,
        builder="mnist",
        has_boxes=True,
    ),
    CatalogueEntry(
        "cub200",
        num_classes=200,
        split_sizes={"train": 5_994, "test": 5_794},
        source="CUB-200-2011 (Wah et al., 2011), data.caltech.edu",
        licence=RESEARCH,
        how_to_get=DOWNLOADED,
        builder="caltech_birds2011",
        features=Features(box="bbox", filename="image/filename"),
        has_boxes=True,
    ),
    CatalogueEntry(
        "nabirds",
        num_classes=555,
        split_sizes={"train": 23_929, "test": 24_633},
        source="NABirds (Van Horn et al., 2015), dl.allaboutbirds.org/nabirds",
        licence=RESEARCH,
        how_to_get="by hand: nabirds.tar.gz, after accepting the terms",
        origin=OURS,
        builder="nabirds",
        features=WITH_BOX,
        has_boxes=True,
    ),
    CatalogueEntry(
        "cars196",
        num_classes=196,
        split_sizes={"train": 8_144, "test": 8_041},
        source="Stanford Cars (Krause et al., 2013), ai.stanford.edu",
        licence=RESEARCH,
        how_to_get="its links are dead; with your own copy: stanford_cars",
        builder="cars196",
        features=WITH_BOX,
        has_boxes=True,
    ),
    CatalogueEntry(
        "stanford_cars",
        num_classes=196,
        split_sizes={"train": 8_144, "test": 8_041},
        source="Stanford Cars (Krause et al., 2013), your own copy",
        licence=RESEARCH,
        how_to_get="by hand: cars_train, cars_test and devkit of your copy",
        origin=OURS,
        builder="stanford_cars",
        features=WITH_BOX,
        has_boxes=True,
    ),
    CatalogueEntry(
        "stanford_dogs",
        num_classes=120,
        split_sizes={"train": 12_000, "test": 8_580},
        source="Stanford Dogs (Khosla et al., 2011), vision.stanford.edu",
        licence="as ImageNet's: " + RESEARCH,
        how_to_get=DOWNLOADED,
        builder="stanford_dogs",
        features=Features(box="objects/bbox"),
        has_boxes=True,
    ),
    CatalogueEntry(
        "fgvc_aircraft",
        num_classes=100,
        split_sizes={"train": 3_334, "validation": 3_333, "test": 3_333},
        source="FGVC-Aircraft (Maji et al., 2013), www.robots.ox.ac.uk",
        licence=RESEARCH,
        how_to_get=DOWNLOADED,
        origin=OURS,
        builder="fgvc_aircraft",
        variants={"variant": 100, "family": 70, "manufacturer": 30},
        features=WITH_BOX,
        splits={"train": "train", "validation": "val", "test": "test"},
        has_boxes=True,
        urls={
            "fgvc-aircraft-2013b.tar.gz": "https://www.robots.ox.ac.uk/~vgg/"
            "data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"
        },
    ),
    CatalogueEntry(
        "inaturalist2017",
        num_classes=5_089,
        split_sizes={"train": 579_184, "test": 95_986},
        source="iNaturalist 2017 (Van Horn et al., 2018)",
        licence=RESEARCH,
        how_to_get=DOWNLOADED + " (255 GB)",
        builder="i_naturalist2017",
        splits={"train": "train", "test": "validation"},
    ),
    CatalogueEntry(
        "oxford_flowers102",
        num_classes=102,
        split_sizes={"train": 1_020, "validation": 1_020, "test": 6_149},
        source="102 Flowers (Nilsback, Zisserman, 2008), www.robots.ox.ac.uk",
        licence="not stated",
        how_to_get=DOWNLOADED,
        builder="oxford_flowers102",
        splits=THREE_SPLITS,
    ),
    CatalogueEntry(
        "oxford_pets",
        num_classes=37,
        split_sizes={"train": 3_680, "test": 3_669},
        source="Oxford-IIIT Pets (Parkhi et al., 2012), www.robots.ox.ac.uk",
        licence="CC BY-SA 4.0",
        how_to_get=DOWNLOADED,
        builder="oxford_iiit_pet",
    ),
    CatalogueEntry(
        "uec_food100",
        num_classes=100,
        split_sizes={},
        source="UEC FOOD 100 (Matsuda et al., 2012), foodcam.mobi",
        licence=RESEARCH,
        how_to_get="by hand: UECFOOD100.zip",
        origin=OURS,
        builder="uec_food100",
        features=WITH_BOX,
        has_boxes=True,
    ),
    CatalogueEntry(
        "celeb_a",
        num_classes=40,
        split_sizes={"train": 162_770, "validation": 19_867, "test": 19_962},
        source="CelebA (Liu et al., 2015), mmlab.ie.cuhk.edu.hk",
        licence=RESEARCH,
        how_to_get=DOWNLOADED + " (Google Drive, often refuses)",
        builder="celeb_a",
        variants=dict.fromkeys(CELEB_A_ATTRIBUTES, 2),
        features=Features(
            label=tuple(f"attributes/{name}" for name in CELEB_A_ATTRIBUTES)
        ),
        variant_label="attributes/{variant}",
        splits=THREE_SPLITS,
    ),
    CatalogueEntry(
        "adience",
        num_classes=8,
        split_sizes={},
        source="Adience (Eidinger et al., 2014), talhassner.github.io",
        licence="research, after registration",
        how_to_get="by hand: fold_0_data.txt to fold_4_data.txt, faces.tar.gz",
        origin=OURS,
        builder="adience",
        variants={
            f"{attribute}_fold_{fold}": classes
            for attribute, classes in (("age", 8), ("gender", 2))
            for fold in range(5)
        },
    ),
    CatalogueEntry(
        "mnist",
        num_classes=10,
        split_sizes={"train": 60_000, "test": 10_000},
        source=SOURCE,
        licence=LICENCE,
        how_to_get=DOWNLOADED,
        builder="mnist",
    ),
)
