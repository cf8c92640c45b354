"""NABirds: 555 kinds of North American birds.

Layout as in nabirds.tar.gz: images.txt (image, path), image_class_labels.txt
(image, class), classes.txt (class, name), train_test_split.txt (image, 1 for
train), bounding_boxes.txt (image, x, y, width, height, in pixels from 0) and
images/. The tests run on archives that they make themselves.

classes.txt names 1,011 classes of a hierarchy. Those that label an image, 555,
are the classes here, numbered from 0 in the order of their numbers there.
"""

from keras_fgvc.data.builders._files import (
    check_class_count,
    distinct_names,
    find_path,
    look_up,
    missing,
    read_mapping,
)
from keras_fgvc.data.builders._listed_images import Listed, ListedImages
from keras_fgvc.data.builders.listed_folder import read_boxes

ARCHIVE = "nabirds.tar.gz"
SPLITS = {"train": "1", "test": "0"}


class NABirds(ListedImages):
    """48,562 photographs of North American birds in 555 classes, with boxes.

    A class is a species or a plumage of one, such as "Common Eider (Adult
    male)". Splits train (23,929) and test (24,633).

    G. Van Horn et al., "Building a bird recognition app and large scale
    dataset with citizen scientists" (CVPR 2015).
    """

    name = "nabirds"  # TFDS would make na_birds of it.
    DESCRIPTION = (
        "48,562 photographs of North American birds in 555 classes, species "
        "and plumages, each with a box. For non-commercial research only."
    )
    HOMEPAGE = "https://dl.allaboutbirds.org/nabirds"
    CITATION = """@inproceedings{vanhorn2015building,
  title = {Building a bird recognition app and large scale dataset with
           citizen scientists: The fine print in fine-grained dataset
           collection},
  author = {Van Horn, Grant and Branson, Steve and Farrell, Ryan and
            Haber, Scott and Barry, Jessie and Ipeirotis, Panos and
            Perona, Pietro and Belongie, Serge},
  booktitle = {Proceedings of the IEEE Conference on Computer Vision and
               Pattern Recognition},
  year = {2015},
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Accept the terms at https://dl.allaboutbirds.org/nabirds and put
    {ARCHIVE}, or the folder nabirds that it unpacks to, there.
    """
    NUM_CLASSES = 555

    def _split_generators(self, dl_manager):
        places = ["nabirds/images.txt", "images.txt"]
        images_file = find_path(dl_manager, places, archives=[ARCHIVE])
        if images_file is None:
            raise missing(self, dl_manager, ARCHIVE, places[0])
        folder = images_file.parent
        paths = read_mapping(images_file)
        labels = self._read_labels(folder, paths)
        boxes = read_boxes(folder / "bounding_boxes.txt", paths)
        split_file = folder / "train_test_split.txt"
        parts = look_up(read_mapping(split_file), paths, split_file)
        strange = sorted(set(parts) - set(SPLITS.values()))
        if strange:
            raise ValueError(
                f"{split_file} must hold 1 (train) or 0 (test) for each image. "
                f"Received: {', '.join(strange)}."
            )
        rows = list(zip(paths.values(), labels, boxes, parts, strict=True))
        return {
            split: self._generate_examples(
                folder / "images",
                [Listed(*row) for *row, part in rows if part == mark],
            )
            for split, mark in SPLITS.items()
        }

    def _read_labels(self, folder, images) -> list[int]:
        """The class of each image; also names the classes."""
        path = folder / "image_class_labels.txt"
        classes = look_up(read_mapping(path), images, path)
        used = sorted(set(classes), key=int)
        check_class_count(used, self.num_classes, path)
        names_file = folder / "classes.txt"
        names = look_up(read_mapping(names_file), used, names_file)
        self._name_classes(distinct_names(names, used))
        numbers = {number: label for label, number in enumerate(used)}
        return [numbers[number] for number in classes]
