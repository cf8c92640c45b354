"""FGVC-Aircraft: variants, families or manufacturers of aircraft.

Layout as in the archive fgvc-aircraft-2013b.tar.gz: data/images/*.jpg,
data/images_box.txt, data/variants.txt and data/images_variant_train.txt, and
so on for families and manufacturers and for val and test. The tests run on
archives that they make themselves.

Each photograph ends in a banner of 20 pixels that names its author and must be
removed before use, its README says. So it is cut off and the rest is encoded
again as JPEG of quality 90: on bird photographs of 500 x 375 that changes
pixels by 1.6 grey levels (root mean square) and makes files 1.4 times as large;
at quality 95 the pixels came no closer and files were 1.8 times as large.
Boxes are normalised by the height that is left.

A line of images_box.txt holds the first and the last pixel of the aircraft,
counted from 0: in 1,400 lines of it x_min is 0 now and then, and x_max is often
1023 and never 1024, the width of many photographs. Its edges are therefore
x_min, y_min, x_max + 1 and y_max + 1.
"""

import dataclasses

import tensorflow_datasets as tfds

from keras_fgvc.data.builders._files import (
    check_class_count,
    find_path,
    look_up,
    read_image,
    read_mapping,
    read_table,
    to_numbers,
)
from keras_fgvc.data.builders._listed_images import Listed, ListedImages

ARCHIVE = "fgvc-aircraft-2013b.tar.gz"
URL = f"https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/{ARCHIVE}"
FOLDER = "fgvc-aircraft-2013b/data"
BANNER = 20  # pixels
QUALITY = 90
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(eq=False)
class AircraftConfig(tfds.core.BuilderConfig):
    """Level that is the label, one of three, and the file that names it."""

    names_file: str = ""
    num_classes: int = 0


class FgvcAircraft(ListedImages):
    """10,000 photographs of aircraft in 100 variants.

    Configs "variant" (100 classes, such as 737-700), "family" (70, such as
    Boeing 737) and "manufacturer" (30); splits train, val and test of a third
    each. The banner at the lower edge is cut off.

    S. Maji, J. Kannala, E. Rahtu, M. Blaschko and A. Vedaldi (2013),
    https://arxiv.org/abs/1306.5151.
    """

    DESCRIPTION = (
        "10,000 photographs of aircraft, labelled by variant, family or "
        "manufacturer, without the banner of 20 pixels at the lower edge "
        "(so encoded again). For non-commercial research only."
    )
    HOMEPAGE = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/"
    CITATION = """@techreport{maji13fine-grained,
  title = {Fine-Grained Visual Classification of Aircraft},
  author = {S. Maji and J. Kannala and E. Rahtu and M. Blaschko
            and A. Vedaldi},
  year = {2013},
  eprint = {1306.5151},
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Optional: put {ARCHIVE} from {URL}, or the folder fgvc-aircraft-2013b that
    it unpacks to, there. Else it is downloaded (2.75 GB).
    """
    BUILDER_CONFIGS = [  # noqa: RUF012
        AircraftConfig("variant", names_file="variants.txt", num_classes=100),
        AircraftConfig("family", names_file="families.txt", num_classes=70),
        AircraftConfig(
            "manufacturer", names_file="manufacturers.txt", num_classes=30
        ),
    ]

    @property
    def num_classes(self) -> int:
        return self.builder_config.num_classes

    def _split_generators(self, dl_manager):
        folder = _find_folder(dl_manager)
        names_file = folder / self.builder_config.names_file
        names = [name for (name,) in read_table(names_file, 1)]
        check_class_count(names, self.num_classes, names_file)
        self._name_classes(names)
        boxes_file = folder / "images_box.txt"
        boxes = {
            image: _to_edges(to_numbers(numbers, boxes_file))
            for image, *numbers in read_table(boxes_file, 5)
        }
        return {
            split: self._generate_examples(
                folder / "images",
                self._list_images(folder, split, names, boxes),
            )
            for split in SPLITS
        }

    def _list_images(self, folder, split, names, boxes) -> list[Listed]:
        level = self.builder_config.name
        path = folder / f"images_{level}_{split}.txt"
        names_of = read_mapping(path)
        numbers = {name: number for number, name in enumerate(names)}
        labels = look_up(
            numbers, names_of.values(), folder / self.builder_config.names_file
        )
        edges = look_up(boxes, names_of, folder / "images_box.txt")
        return [
            Listed(f"{image}.jpg", label, box)
            for image, label, box in zip(names_of, labels, edges, strict=True)
        ]

    def _read_image(self, path):
        encoded, (height, width) = read_image(path)
        if height <= BANNER:
            raise ValueError(
                f"The image {path} must be higher than its banner of {BANNER} "
                f"pixels. Received: a height of {height}."
            )
        return _cut_banner(encoded), (height - BANNER, width)


def _find_folder(dl_manager):
    places = [f"{FOLDER}/images_box.txt", "data/images_box.txt"]
    found = find_path(dl_manager, places, archives=[ARCHIVE])
    if found is not None:
        return found.parent
    unpacked = dl_manager.download_and_extract(URL)
    return unpacked / FOLDER


def _to_edges(box) -> tuple[float, ...]:
    x_min, y_min, x_max, y_max = box
    return x_min, y_min, x_max + 1, y_max + 1


def _cut_banner(encoded: bytes) -> bytes:
    import tensorflow as tf

    with tf.device("CPU:0"):
        image = tf.io.decode_jpeg(
            encoded, channels=3, dct_method="INTEGER_ACCURATE"
        )
        return tf.io.encode_jpeg(image[:-BANNER], quality=QUALITY).numpy()
