"""Adience: the age or the gender of faces, in five folds.

Layout as in the data set's archives: fold_0_data.txt to fold_4_data.txt, tables
with headings (user_id, original_image, face_id, age, gender, ...), and either
faces.tar.gz with faces/USER/coarse_tilt_aligned_face.FACE.IMAGE or
aligned.tar.gz with aligned/USER/landmark_aligned_face.FACE.IMAGE; where both
are there, faces are taken. The tests run on archives that they make themselves.

Ages are written as one of eight groups such as "(25, 32)", as other ranges or
as single years. Those belong to the group with which they share most years
or, where they share none, to the nearest: "(38, 48)" and "36" to 38-43, "22" to
15-20, "58" to 60-100. Where two groups are equally near, as for "3", "35" and
"(8, 23)", and where there is no age ("None"), the face is left out. The group
8-13 is written "(8, 12)" in the tables. Of genders, "m" and "f" are used.
"""

import dataclasses
import re

import tensorflow_datasets as tfds
from absl import logging

from keras_fgvc.data.builders._files import find_path, missing, read_table
from keras_fgvc.data.builders._listed_images import Listed, ListedImages

NUM_FOLDS = 5
AGES = (
    (0, 2),
    (4, 6),
    (8, 13),
    (15, 20),
    (25, 32),
    (38, 43),
    (48, 53),
    (60, 100),
)
GENDERS = {"f": "female", "m": "male"}
NAMES = {
    "age": [f"{first}-{last}" for first, last in AGES],
    "gender": list(GENDERS.values()),
}
# Folder, and the archive that holds it -> how its files start.
FACES = {
    "faces": "coarse_tilt_aligned_face",
    "aligned": "landmark_aligned_face",
}
COLUMNS = ("user_id", "original_image", "face_id", "age", "gender")


@dataclasses.dataclass(eq=False)
class AdienceConfig(tfds.core.BuilderConfig):
    """Label ("age" or "gender"), and fold that is the test split."""

    attribute: str = "age"
    test_fold: int = 0


class Adience(ListedImages):
    """Faces of 2,284 people by age (8 groups) or gender.

    Configs "age_fold_0" to "age_fold_4" and "gender_fold_0" to
    "gender_fold_4": the split test is that fold, train the other four. The
    usual score is the mean over the five folds. No subject (a face of a user)
    is in two folds.

    E. Eidinger, R. Enbar and T. Hassner, "Age and gender estimation of
    unfiltered faces" (2014).
    """

    DESCRIPTION = (
        "Photographs of faces as people upload them, labelled by one of eight "
        "age groups or by gender, in five folds of different subjects. Faces "
        "without a usable label are left out. Access by registration."
    )
    HOMEPAGE = (
        "https://talhassner.github.io/home/projects/Adience/Adience-data.html"
    )
    CITATION = """@article{eidinger2014age,
  author = {Eidinger, Eran and Enbar, Roee and Hassner, Tal},
  title = {Age and Gender Estimation of Unfiltered Faces},
  journal = {IEEE Transactions on Information Forensics and Security},
  volume = {9},
  number = {12},
  year = {2014},
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Register at {HOMEPAGE} and put fold_0_data.txt to fold_4_data.txt and
    faces.tar.gz (or aligned.tar.gz), or the folder that it unpacks to, there,
    also inside a folder adience.
    """
    HAS_BOXES = False
    BUILDER_CONFIGS = [  # noqa: RUF012
        AdienceConfig(
            f"{attribute}_fold_{fold}", attribute=attribute, test_fold=fold
        )
        for attribute in NAMES
        for fold in range(NUM_FOLDS)
    ]

    @property
    def num_classes(self) -> int:
        return len(NAMES[self.builder_config.attribute])

    def _split_generators(self, dl_manager):
        self._name_classes(NAMES[self.builder_config.attribute])
        tables = [self._read_fold(dl_manager, n) for n in range(NUM_FOLDS)]
        check_subjects(tables)
        folder, start = self._find_faces(dl_manager)
        folds = [
            self._list_faces(number, table, start)
            for number, table in enumerate(tables)
        ]
        test = folds.pop(self.builder_config.test_fold)
        train = [listed for fold in folds for listed in fold]
        return {
            "train": self._generate_examples(folder, train),
            "test": self._generate_examples(folder, test),
        }

    def _read_fold(self, dl_manager, number: int) -> list[dict]:
        name = f"fold_{number}_data.txt"
        path = find_path(dl_manager, [name, f"adience/{name}"])
        if path is None:
            raise missing(self, dl_manager, name)
        headings, *rows = read_table(path, len(COLUMNS) + 1, "\t") or [()]
        if tuple(headings[: len(COLUMNS)]) != COLUMNS:
            raise ValueError(
                f"{path} must start with a line of the headings "
                f"{', '.join(COLUMNS)}. Received: {', '.join(headings)}."
            )
        return [dict(zip(COLUMNS, row, strict=False)) for row in rows]

    def _find_faces(self, dl_manager):
        for name, start in FACES.items():
            found = find_path(
                dl_manager,
                [name, f"adience/{name}"],
                archives=[f"{name}.tar.gz"],
            )
            if found is not None:
                return found, start
        raise missing(self, dl_manager, "faces.tar.gz", "aligned.tar.gz")

    def _list_faces(self, number, table, start) -> list[Listed]:
        attribute = self.builder_config.attribute
        find_label = {"age": find_age_group, "gender": find_gender}[attribute]
        listed = []
        for row in table:
            label = find_label(row[attribute])
            if label is not None:
                face = f"{start}.{row['face_id']}.{row['original_image']}"
                listed.append(Listed(f"{row['user_id']}/{face}", label))
        logging.warning(
            "Adience, fold %d: %d of %d faces have no usable %s and were left "
            "out.",
            number,
            len(table) - len(listed),
            len(table),
            attribute,
        )
        return listed


def check_subjects(tables) -> None:
    """Raises if a subject, a face of a user, is in two folds."""
    fold_of = {}
    for number, table in enumerate(tables):
        for row in table:
            subject = (row["user_id"], row["face_id"])
            earlier = fold_of.setdefault(subject, number)
            if earlier != number:
                raise ValueError(
                    f"Each subject must be in one fold only. Received: face "
                    f"{subject[1]} of user {subject[0]} in fold {earlier} and "
                    f"in fold {number}. Download the tables again."
                )


def find_age_group(text: str) -> int | None:
    """The number of the age group that a label means, or None."""
    years = [int(number) for number in re.findall(r"\d+", text)]
    if not years:
        return None
    first, last = years[0], years[-1]
    # Years in common less one or, where there is none, minus the years apart.
    closeness = [min(last, end) - max(first, start) for start, end in AGES]
    best = max(closeness)
    return closeness.index(best) if closeness.count(best) == 1 else None


def find_gender(text: str) -> int | None:
    """0 for female, 1 for male, None for anything else."""
    genders = list(GENDERS)
    return genders.index(text) if text in genders else None
