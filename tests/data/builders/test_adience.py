"""Adience: five folds of different subjects, and its odd labels."""

import pytest

from tests.data.builders.archives import (
    examples,
    lines,
    names_by_file,
    photograph,
)

HEADINGS = (
    "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\ttilt_ang\t"
    "fiducial_yaw_angle\tfiducial_score"
)
# Fold -> (user, image, face, age, gender).
FACES = [
    [
        ("30601258@N03", "1_a_o.jpg", "1", "(25, 32)", "f"),
        ("30601258@N03", "1_a_o.jpg", "2", "(38, 43)", "m"),
        ("30601258@N03", "2_b_o.jpg", "2", "None", ""),
    ],
    [("7@N01", "3_c_o.jpg", "481", "(60, 100)", "f")],
    [("8@N01", "4_d_o.jpg", "911", "(0, 2)", "u")],
    [("9@N01", "5_e_o.jpg", "1322", "35", "m")],
    [("10@N01", "6_f_o.jpg", "1744", "(8, 12)", "f")],
]


def tables(faces=FACES) -> dict:
    return {
        f"fold_{number}_data.txt": lines(
            HEADINGS,
            *("\t".join([*row, "0", "414", "1086"]) for row in fold),
        )
        for number, fold in enumerate(faces)
    }


def pictures(folder="faces", start="coarse_tilt_aligned_face") -> dict:
    return {
        f"{folder}/{user}/{start}.{face}.{image}": photograph(47, 43)
        for fold in FACES
        for user, image, face, *_ in fold
    }


def test_ages(downloads, caplog):
    downloads.put(tables())
    downloads.tar("faces.tar.gz", pictures())
    builder = downloads.prepare("adience")
    assert builder.builder_config.name == "age_fold_0"
    assert builder.info.features["label"].names == [
        "0-2",
        "4-6",
        "8-13",
        "15-20",
        "25-32",
        "38-43",
        "48-53",
        "60-100",
    ]
    start = "coarse_tilt_aligned_face"
    assert names_by_file(builder, "test") == {
        f"30601258@N03/{start}.1.1_a_o.jpg": "25-32",
        f"30601258@N03/{start}.2.1_a_o.jpg": "38-43",
    }
    assert names_by_file(builder, "train") == {
        f"7@N01/{start}.481.3_c_o.jpg": "60-100",
        f"8@N01/{start}.911.4_d_o.jpg": "0-2",
        f"10@N01/{start}.1744.6_f_o.jpg": "8-13",
    }
    left_out = [text for text in caplog.messages if "left out" in text]
    assert "fold 0: 1 of 3 faces have no usable age" in left_out[0]
    assert "fold 1: 0 of 1 faces" in left_out[1]
    assert "fold 3: 1 of 1 faces" in left_out[3]


def test_genders_of_aligned_faces(downloads):
    files = tables() | pictures("aligned", "landmark_aligned_face")
    downloads.put({f"adience/{name}": files[name] for name in files})
    builder = downloads.prepare("adience", "gender_fold_3")
    start = "landmark_aligned_face"
    assert builder.info.features["label"].names == ["female", "male"]
    name = f"9@N01/{start}.1322.5_e_o.jpg"
    assert names_by_file(builder, "test") == {name: "male"}
    assert names_by_file(builder, "train") == {
        f"30601258@N03/{start}.1.1_a_o.jpg": "female",
        f"30601258@N03/{start}.2.1_a_o.jpg": "male",
        f"7@N01/{start}.481.3_c_o.jpg": "female",
        f"10@N01/{start}.1744.6_f_o.jpg": "female",
    }
    assert "bbox" not in builder.info.features
    content = files[f"aligned/{name}"]
    assert examples(builder, "test")[name]["image"] == content


def test_each_fold_is_test_once():
    from keras_fgvc.data import builders

    configs = builders.find("adience").BUILDER_CONFIGS
    assert [(c.name, c.attribute, c.test_fold) for c in configs] == [
        (f"{attribute}_fold_{fold}", attribute, fold)
        for attribute in ("age", "gender")
        for fold in range(5)
    ]


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("(0, 2)", "0-2"),
        ("(8, 12)", "8-13"),
        ("(15, 20)", "15-20"),
        ("(60, 100)", "60-100"),
        # Ranges that are no group.
        ("(27, 32)", "25-32"),
        ("(38, 42)", "38-43"),
        ("(38, 48)", "38-43"),
        # Single years: inside, or 2, 3 - 2, 4 - 3 years away.
        ("2", "0-2"),
        ("13", "8-13"),
        ("29", "25-32"),
        ("34", "25-32"),
        ("36", "38-43"),
        ("22", "15-20"),
        ("23", "25-32"),
        ("45", "38-43"),
        ("46", "48-53"),
        ("55", "48-53"),
        ("57", "60-100"),
        # As near to one group as to the next: 1, 3 years, 6 in common.
        ("3", None),
        ("35", None),
        ("(8, 23)", None),
        ("None", None),
        ("", None),
    ],
)
def test_odd_ages(text, group):
    from keras_fgvc.data.builders.adience import NAMES, find_age_group

    label = find_age_group(text)
    assert (None if label is None else NAMES["age"][label]) == group


def test_a_subject_in_two_folds_is_an_error(downloads):
    faces = [*FACES[:4], [*FACES[4], ("7@N01", "9_x_o.jpg", "481", "3", "m")]]
    downloads.put(tables(faces) | pictures())
    message = r"face 481 of user 7@N01 in fold 1 and in fold 4\. Download"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("adience")


def test_a_face_number_may_come_back_with_another_user(downloads):
    faces = [*FACES[:4], [("99@N01", "6_f_o.jpg", "481", "(8, 12)", "f")]]
    downloads.put(tables(faces) | pictures())
    name = "99@N01/coarse_tilt_aligned_face.481.6_f_o.jpg"
    downloads.put({f"faces/{name}": photograph(47, 43)})
    builder = downloads.prepare("adience", "age_fold_4")
    assert list(examples(builder, "test")) == [name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"fold_2_data.txt": lines("user_id\tage", "7@N01\t3")},
            r"fold_2_data\.txt, line 1: expected 6 columns",
        ),
        (
            {"fold_2_data.txt": tables()["fold_2_data.txt"][20:]},
            r"fold_2_data\.txt must start with a line of the headings user_id,",
        ),
        ({"fold_2_data.txt": b""}, r"fold_2_data\.txt must start with a line"),
    ],
)
def test_a_wrong_table_is_named(downloads, change, message):
    downloads.put(tables() | pictures() | change)
    with pytest.raises(ValueError, match=message):
        downloads.prepare("adience")


def test_what_is_missing_is_named(downloads):
    downloads.put(tables())
    message = (
        rf"no faces\.tar\.gz and no aligned\.tar\.gz in {downloads.manual}"
    )
    with pytest.raises(ValueError, match=message):
        downloads.prepare("adience")
    (downloads.manual / "fold_1_data.txt").unlink()
    message = r"there is no fold_1_data\.txt in .*Register at https://tal"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("adience")


def test_a_missing_face_is_named(downloads):
    lost = pictures()
    del lost["faces/10@N01/coarse_tilt_aligned_face.1744.6_f_o.jpg"]
    downloads.put(tables() | lost)
    message = r"1744\.6_f_o\.jpg is listed but cannot be read: No such file"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("adience")
