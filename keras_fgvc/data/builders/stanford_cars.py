"""Stanford Cars, from your own copy.

TFDS has the same data set as cars196, but its links are dead. Layout as
in the original archives: cars_train/*.jpg, cars_test/*.jpg,
devkit/cars_meta.mat, devkit/cars_train_annos.mat and, in devkit or beside it,
cars_test_annos_withlabels.mat. Copies that nest the folders once more
(cars_train/cars_train, car_devkit/devkit) are read too. The tests run on
archives that they make themselves.

A box holds the first and the last pixel of the car, counted from 1 as MATLAB
does. Its edges are therefore x1 - 1, y1 - 1, x2 and y2. (cars196 of TFDS takes
the four numbers as they are.)
"""

import io

from keras_fgvc.data.builders._files import (
    check_class_count,
    find_path,
    missing,
)
from keras_fgvc.data.builders._listed_images import Listed, ListedImages

DEVKIT = "car_devkit.tgz"
TEST_LABELS = "cars_test_annos_withlabels.mat"
BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
FOLDERS = ("", "stanford_cars/")


class StanfordCars(ListedImages):
    """16,185 photographs of 196 models of cars, with boxes.

    Splits train (8,144) and test (8,041).

    J. Krause, M. Stark, J. Deng and L. Fei-Fei, "3D object representations
    for fine-grained categorization" (2013).
    """

    DESCRIPTION = (
        "16,185 photographs of cars in 196 classes of make, model and year, "
        "each with a box. For non-commercial research only."
    )
    HOMEPAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
    CITATION = """@inproceedings{KrauseStarkDengFei-Fei_3DRR2013,
  title = {3D Object Representations for Fine-Grained Categorization},
  booktitle = {4th International IEEE Workshop on 3D Representation and
               Recognition (3dRR-13)},
  year = {2013},
  author = {Jonathan Krause and Michael Stark and Jia Deng and Li Fei-Fei},
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    The original links are dead: put your own copy there, as the archives
    cars_train.tgz, cars_test.tgz and {DEVKIT} with {TEST_LABELS} beside
    them, or as the folders cars_train, cars_test and devkit that they unpack
    to, also inside a folder stanford_cars.
    """
    NUM_CLASSES = 196

    def _split_generators(self, dl_manager):
        names_file = self._find_in_devkit(dl_manager, "cars_meta.mat")
        names = _load_mat(names_file)["class_names"]
        names = [str(name) for name in names]
        check_class_count(names, self.num_classes, names_file)
        self._name_classes(names)
        lists = {"train": "cars_train_annos.mat", "test": TEST_LABELS}
        return {
            split: self._generate_examples(
                self._find_images(dl_manager, split).parent,
                _list_images(
                    self._find_in_devkit(dl_manager, file_name),
                    f"cars_{split}",
                    self.num_classes,
                ),
            )
            for split, file_name in lists.items()
        }

    def _find_in_devkit(self, dl_manager, file_name: str):
        inside = [f"devkit/{file_name}", f"car_devkit/devkit/{file_name}"]
        places = [f + p for f in FOLDERS for p in [*inside, file_name]]
        # The archive does not hold the labels of test.
        archives = [] if file_name == TEST_LABELS else [DEVKIT]
        found = find_path(dl_manager, places, archives=archives)
        if found is None:
            raise missing(self, dl_manager, *archives, f"devkit/{file_name}")
        return found

    def _find_images(self, dl_manager, split: str):
        name = f"cars_{split}"
        places = [f + p for f in FOLDERS for p in (f"{name}/{name}", name)]
        found = find_path(dl_manager, places, archives=[f"{name}.tgz"])
        if found is None:
            raise missing(self, dl_manager, f"{name}.tgz", f"folder {name}")
        return found


def _load_mat(path) -> dict:
    from scipy.io import loadmat

    try:
        # Squeezed, the numbers are Python's: as uint8, 0 - 1 would be 255.
        return loadmat(io.BytesIO(path.read_bytes()), squeeze_me=True)
    except Exception as error:  # of zlib, struct and scipy itself
        raise ValueError(
            f"{path} cannot be read as a MATLAB file ({error}). Get it again."
        ) from error


def _list_images(path, folder: str, num_classes: int) -> list[Listed]:
    import numpy as np

    annotations = np.atleast_1d(_load_mat(path)["annotations"])
    lost = {*BOX, "class", "fname"} - set(annotations.dtype.names or ())
    if lost:
        raise ValueError(
            f"{path} lacks the field(s) {', '.join(sorted(lost))}. Labels of "
            f"the test images are in {TEST_LABELS} only."
        )
    listed = []
    for row in annotations:
        if not 1 <= row["class"] <= num_classes:
            raise ValueError(
                f"{path}: the class of {row['fname']} must be between 1 and "
                f"{num_classes}. Received: {row['class']}."
            )
        x_first, y_first, x_last, y_last = (row[name] for name in BOX)
        box = (x_first - 1, y_first - 1, x_last, y_last)
        filename = f"{folder}/{row['fname']}"
        listed.append(Listed(filename, int(row["class"]) - 1, box))
    return listed
