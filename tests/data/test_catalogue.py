"""The table of data sets against the builders, and what is told of them."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest

from keras_fgvc.data import (
    LabeledImages,
    available,
    builders,
    entries,
    info,
    open_dataset,
)
from keras_fgvc.data.builders.catalogue import CATALOGUE, find_entry
from keras_fgvc.data.builders.catalogue_entry import GENERATED, OURS, TFDS
from tests.data.image_files import write_class_folders

ROOT = pathlib.Path(__file__).parents[2]
# As the papers and TFDS's catalogue have them: classes, train, validation,
# test.
PUBLISHED = {
    "cub200": (200, 5994, None, 5794),
    "cars196": (196, 8144, None, 8041),
    "stanford_cars": (196, 8144, None, 8041),
    "stanford_dogs": (120, 12000, None, 8580),
    "inaturalist2017": (5089, 579184, None, 95986),
    "oxford_flowers102": (102, 1020, 1020, 6149),
    "oxford_pets": (37, 3680, None, 3669),
    "celeb_a": (40, 162770, 19867, 19962),
    "mnist": (10, 60000, None, 10000),
    "nabirds": (555, 23929, None, 24633),
    "fgvc_aircraft": (100, 3334, 3333, 3333),
    "adience": (8, None, None, None),
    "uec_food100": (100, None, None, None),
}


def test_the_names():
    assert set(available()) == {
        "cluttered_digits",
        "cluttered_mnist",
        *PUBLISHED,
    }
    assert [entry.name for entry in entries()] == list(available())
    assert {e.builder for e in entries() if e.origin == OURS} == set(
        builders.available()
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_not_on_disk_is_told_without_a_download(name, tmp_path):
    classes, *sizes = PUBLISHED[name]
    told = info(name, data_dir=str(tmp_path))
    assert told is CATALOGUE[name]
    assert told.num_classes == classes
    splits = ("train", "validation", "test")
    assert [told.split_sizes.get(split) for split in splits] == sizes
    summary = told.summary()
    assert f"{name}: {classes} classes (as published; not on disk)" in summary
    for word in (told.source, told.licence, told.how_to_get):
        assert word
        assert word in summary
    assert ("with boxes" in summary) == (
        told.has_boxes and bool(told.split_sizes)
    )
    assert told.has_boxes == (told.features.box is not None)
    assert not os.listdir(tmp_path)


def test_which_splits_of_the_builders_are_taken():
    """The labels of iNaturalist's test images are not public."""
    splits = {entry.name: entry.splits for entry in entries()}
    assert splits["inaturalist2017"] == {"train": "train", "test": "validation"}
    assert splits["fgvc_aircraft"]["validation"] == "val"
    assert splits["cub200"] == {"train": "train", "test": "test"}
    for entry in entries():
        if entry.origin != GENERATED and entry.split_sizes:
            assert list(entry.splits) == list(entry.split_sizes), entry.name


def test_mnist_is_found_as_a_file_only_for_its_scenes(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert info("cluttered_mnist", data_dir=str(tmp_path)).summary()
    assert not isinstance(
        info("cluttered_mnist", data_dir=str(tmp_path)), LabeledImages
    )
    assert isinstance(info("cluttered_digits"), LabeledImages)


def test_folders_are_told_as_before(tmp_path):
    write_class_folders(tmp_path, {"train/owl": 3, "train/jay": 2})
    told = info(tmp_path)
    assert isinstance(told, LabeledImages)
    assert told.num_classes == 2


def test_variants():
    family = find_entry("fgvc_aircraft/family")
    assert (family.name, family.num_classes) == ("fgvc_aircraft/family", 70)
    assert (family.config, family.features.label) == ("family", "label")
    gender = info("adience/gender_fold_4")
    assert (gender.num_classes, gender.config) == (2, "gender_fold_4")
    smiling = find_entry("celeb_a/Smiling")
    assert smiling.features.label == "attributes/Smiling"
    assert (smiling.config, smiling.num_classes) == (None, 2)
    assert len(CATALOGUE["celeb_a"].variants) == 40
    for name in ("cub200/1", "cub", "celeb_b/Smiling", "/cub200", "cub200/"):
        entry = find_entry(name)
        assert entry is None, name


@pytest.mark.parametrize("name", ["fgvc_aircraft/wing", "celeb_a/Smile"])
def test_unknown_variants_are_listed(name):
    base, _, variant = name.partition("/")
    first = next(iter(CATALOGUE[base].variants))
    message = f"`variant` must be one of '{first}', .*Received.*'{variant}'"
    for function in (open_dataset, info):
        with pytest.raises(ValueError, match=message):
            function(name)


def test_a_folder_named_as_a_variant_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_class_folders(
        tmp_path, {"celeb_a/mine/owl": 4, "celeb_a/mine/jay": 4}
    )
    assert open_dataset("celeb_a/mine").class_names == ("jay", "owl")


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match=r'"cub200".*"mnist".*"cub20"'):
        open_dataset("cub20")


def made(entry, folder):
    if entry.origin == OURS:
        return builders.make(
            entry.builder, data_dir=folder, config=entry.config
        )
    import tensorflow_datasets as tfds

    return tfds.builder(entry.builder, data_dir=folder)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="once is enough"
)
@pytest.mark.parametrize(
    "name",
    [name for name, e in CATALOGUE.items() if e.origin != GENERATED],
)
def test_entries_fit_their_builders(name, tmp_path):
    """Features, classes and variants, without what is downloaded."""
    tfds = pytest.importorskip("tensorflow_datasets")
    entry = CATALOGUE[name]
    builder = made(entry, tmp_path)
    features = builder.info.features
    for feature in entry.features.labels:
        *parents, leaf = feature.split("/")
        label = features[parents[0]][leaf] if parents else features[leaf]
        if not parents:
            assert label.num_classes == entry.num_classes
    if entry.features.box:
        *parents, leaf = entry.features.box.split("/")
        box = features[parents[0]][leaf] if parents else features[leaf]
        box = getattr(box, "feature", box)
        assert isinstance(box, tfds.features.BBoxFeature)
    if entry.features.filename:
        assert isinstance(features[entry.features.filename], tfds.features.Text)
    configs = [c.name for c in builder.BUILDER_CONFIGS]
    assert configs == (list(entry.variants) if entry.origin == OURS else [])
    assert entry.origin in (OURS, TFDS)
    for variant, classes in entry.variants.items():
        if entry.origin == OURS:
            other = made(CATALOGUE[name].with_variant(variant), tmp_path)
            found = other.info.features["label"].num_classes
            assert found == classes, variant


def test_the_attributes_are_those_of_the_builder():
    tfds = pytest.importorskip("tensorflow_datasets")
    features = tfds.builder("celeb_a").info.features
    assert set(CATALOGUE["celeb_a"].variants) == set(features["attributes"])


@pytest.mark.slow
def test_the_table_as_an_example(tmp_path):
    def run(*flags):
        finished = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "datasets.py"), *flags],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr[-2000:]
        return finished.stdout.splitlines()

    lines = run()
    assert {len(line) for line in lines} == {80}
    first_cells = [line.split("|")[1].strip() for line in lines]
    assert set(available()) <= {cell.split()[0] for cell in first_cells if cell}
    assert any("/manufacturer" in cell for cell in first_cells)
    folder = f"--data_dir={tmp_path}"
    assert "cub200: 200 classes" in run("--name=cub200", folder)[0]
