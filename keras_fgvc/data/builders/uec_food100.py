"""UEC FOOD 100: Japanese dishes, each with its box.

Layout as the README of the archive describes it: folders 1 to 100 with
NUMBER.jpg, in each bb_info.txt ("img x1 y1 x2 y2", then a line a box), and
category.txt ("id", a tab, "name", under a line of headings). The tests run on
archives that they make themselves. What we chose:

- One example for each image of each folder's bb_info.txt, with the first of
  its boxes there. An image that it does not list is left out.
- A photograph of several dishes lies in several folders under one number: it
  is an example of each of them, and all of these are in one split.
- x1, y1, x2, y2 are taken as edges in pixels, as they are.
- The authors give no split (they cross-validate). Ours: of the images of each
  class one in five is test, those whose number has the lowest SHA-256 hash
  after the seed 0. A photograph in several folders counts for the lowest one.
"""

import hashlib

from keras_fgvc.data.builders._files import (
    check_class_count,
    distinct_names,
    find_path,
    look_up,
    missing,
    read_table,
    to_numbers,
)
from keras_fgvc.data.builders._listed_images import Listed, ListedImages

ARCHIVES = ("UECFOOD100.zip", "dataset100.zip")
FOLDER = "UECFOOD100"
TEST_FRACTION = 0.2
SEED = 0


class UecFood100(ListedImages):
    """14,000 photographs of 100 dishes, with boxes.

    Splits train and test, four to one; they are ours, not the authors'.
    Results in the literature are of the dish cut out by its box.

    Y. Matsuda and K. Yanai, "Multiple-food recognition considering
    co-occurrence employing manifold ranking" (2012),
    http://foodcam.mobi/dataset100.html.
    """

    DESCRIPTION = (
        "Photographs of 100 dishes that are popular in Japan, each with the "
        "box of the dish. A photograph of several dishes is an example of "
        "each. The split (80 % train, 20 % test) is not the authors'. For "
        "non-commercial research only."
    )
    HOMEPAGE = "http://foodcam.mobi/dataset100.html"
    CITATION = """@inproceedings{matsuda12,
  author = {Matsuda, Y. and Yanai, K.},
  title = {Multiple-Food Recognition Considering Co-occurrence Employing
           Manifold Ranking},
  booktitle = {Proc. of IAPR International Conference on Pattern Recognition},
  pages = {2017--2020},
  year = {2012},
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Put {ARCHIVES[0]} (or {ARCHIVES[1]}, as the download may be called) from
    http://foodcam.mobi/dataset100.html, or the folder {FOLDER} that it unpacks
    to, there.
    """
    NUM_CLASSES = 100

    def _split_generators(self, dl_manager):
        places = [f"{FOLDER}/category.txt", "category.txt"]
        categories = find_path(dl_manager, places, archives=ARCHIVES)
        if categories is None:
            raise missing(self, dl_manager, *ARCHIVES, places[0])
        self._name_classes(_read_names(categories, self.num_classes))
        folder = categories.parent
        boxes = [
            _first_boxes(folder / str(number) / "bb_info.txt")
            for number in range(1, self.num_classes + 1)
        ]
        is_test = split_images(boxes)
        return {
            split: self._generate_examples(
                folder,
                [
                    Listed(f"{label + 1}/{image}.jpg", label, box)
                    for label, of_class in enumerate(boxes)
                    for image, box in of_class.items()
                    if is_test[image] == (split == "test")
                ],
            )
            for split in ("train", "test")
        }


def split_images(images_of_classes) -> dict[str, bool]:
    """Tells by its number whether an image is in the test split.

    Args:
        images_of_classes: For each class the numbers of its images.
    """
    is_test = {}
    for images in images_of_classes:
        own = sorted((i for i in images if i not in is_test), key=_hash)
        num_test = round(TEST_FRACTION * len(own))
        is_test.update((i, at < num_test) for at, i in enumerate(own))
    return is_test


def _hash(image: str) -> str:
    return hashlib.sha256(f"{SEED}/{image}".encode()).hexdigest()


def _read_names(path, num_classes: int) -> list[str]:
    rows = read_table(path, 2)
    names = {number: name for number, name in rows if number.isdecimal()}
    check_class_count(names, num_classes, path)
    numbers = [str(number) for number in range(1, num_classes + 1)]
    return distinct_names(look_up(names, numbers, path), numbers)


def _first_boxes(path) -> dict[str, tuple[float, ...]]:
    boxes = {}
    for image, *box in read_table(path, 5):
        if image != "img":
            boxes.setdefault(image, tuple(to_numbers(box, path)))
    return boxes
