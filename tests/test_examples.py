"""The example scripts run as a user runs them, on the smallest input.

Except for one thing: their steps are not compiled. `quickstart.py` and
`fcan_digits.py` train for minutes: `make demo` is the test of the first.
"""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np

from keras_fgvc import data, evaluation, models, recipes, training
from tests import tiny

ROOT = pathlib.Path(__file__).parent.parent


def run(script, *flags, cwd):
    process = subprocess.run(
        [
            *(sys.executable, "-m", "tests.eager"),
            str(ROOT / "examples" / script),
            *flags,
        ],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout


def write_folder(root):
    for split, count in (("train", 18), ("test", 6)):
        images, labels = tiny.images_and_labels(count)
        for number, (image, label) in enumerate(
            zip(images, labels, strict=True)
        ):
            # JPEG would mix the colours of neighbours; every file differs.
            path = root / split / f"class_{label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image[0, 0] = np.uint8([number, len(split), 0])
            keras.utils.save_img(path, image, scale=False)


def elope(*flags, cwd):
    return run(
        "elope.py",
        "--data=photos",
        "--workdir=run",
        "--backbone=mobilenet",
        "--image_size=32",
        "--load_size=40",
        "--batch_size=4",
        "--epochs=classifier=1,localizer=1,crops=1,weighted=1",
        "--arguments=k=1,embedding_dim=8",
        "--verbose=0",
        *flags,
        cwd=cwd,
    )


def test_elope_on_a_folder_of_photographs(tmp_path):
    write_folder(tmp_path / "photos")
    output = elope("--stages=classifier,localizer", cwd=tmp_path)
    assert "after localizer: 6 images, top-1" in output
    found = json.loads((tmp_path / "run" / "test.json").read_text())
    assert list(found) == ["classifier", "localizer"]
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert (model.image_size, model.embedding_dim) == (32, 8)


def test_elope_in_several_commands(tmp_path):
    """tau goes from one to the next; an early stage again spoils nothing."""
    write_folder(tmp_path / "photos")
    write_boxes(tmp_path / "photos")

    def kept():
        model = keras.saving.load_model(tmp_path / "run" / "model.keras")
        path = tmp_path / "run" / "predictions-test.npz"
        found = evaluation.Predictions.load(path)
        return model, found.probabilities

    early = ("--stages=classifier,localizer", "--tune_threshold")
    elope(*early, cwd=tmp_path)
    tuned, _ = kept()
    path = tmp_path / "run" / "threshold.json"
    assert json.loads(path.read_text()) == tuned.threshold
    path.write_text("0.9")  # no choice that can come by itself
    elope("--stages=crops,weighted", cwd=tmp_path)
    whole, answers = kept()
    assert (whole.threshold, whole.stage) == (0.9, "weighted")
    elope(*early, cwd=tmp_path)
    again, answers_now = kept()
    assert (again.threshold, again.stage) == (0.9, "weighted")
    np.testing.assert_array_equal(answers_now, answers)
    results = json.loads((tmp_path / "run" / "test.json").read_text())
    assert list(results) == ["classifier", "localizer", "crops", "weighted"]


def write_boxes(root):
    """A split.csv over such a folder: every object fills its image's middle."""
    rows = ["path,label,split,x_min,y_min,x_max,y_max"]
    for path in sorted(root.glob("*/*/*.png")):
        split, label, _ = path.relative_to(root).parts
        rows.append(f"{path.relative_to(root)},{label},{split},8,8,24,24")
    (root / "split.csv").write_text("\n".join(rows) + "\n")


def test_coarse2fine_and_its_picture(tmp_path):
    write_folder(tmp_path / "photos")
    write_boxes(tmp_path / "photos")
    output = run(
        "coarse2fine.py",
        "--data=photos",
        "--workdir=run",
        "--backbone=mobilenet",
        "--image_size=32",
        "--load_size=32",
        "--batch_size=4",
        "--epochs=upsampler=1,classifier=1",
        "--arguments=num_maps=2,tap=8",
        "--tune_threshold",
        "--verbose=0",
        cwd=tmp_path,
    )
    assert "after upsampler: 6 images" in output
    assert "after classifier: 6 images" in output
    assert (tmp_path / "run" / "attention.png").stat().st_size > 1000
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert (model.image_size, model.num_maps, model.tap) == (32, 2, 8)
    assert f"threshold {model.threshold} is best on validation" in output


def test_fcan_its_table_and_its_picture(tmp_path):
    write_folder(tmp_path / "photos")
    flags = (
        "--data=photos",
        "--workdir=run",
        "--backbone=mobilenet",
        "--image_size=64",
        "--load_size=64",
        "--batch_size=4",
        "--epochs=whole=1,localizer=1,parts=1",
        "--arguments=part_sizes=[1,2],crop_size=32,tap=8",
        "--batch_sizes=localizer=5",
        "--verbose=0",
    )
    process = run("fcan.py", *flags, cwd=tmp_path)
    rows = [line for line in process.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == [
        "| whole image",
        "| 1x1 attention alone",
        "| 2x2 attention alone",
        "| whole image + 2x2 attention",
        "| whole image + 1x1 attention, 2x2 attention",
        "| whole image + random crops (no training on them)",
    ]
    assert (tmp_path / "run" / "glimpses.png").stat().st_size > 1000
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert (model.part_sizes, model.tap) == ((1, 2), 8)


def test_daf_its_figures_and_its_picture(tmp_path):
    write_folder(tmp_path / "photos")
    paths = sorted((tmp_path / "photos").glob("test/*/*.png"))
    names = [p.relative_to(tmp_path / "photos").as_posix() for p in paths]
    points = np.tile(np.float32([[16, 16, 1], [1, 1, 0]]), (len(names), 1, 1))
    np.savez(tmp_path / "points.npz", path=names, parts_xyv=points)
    flags = (
        "--data=photos",
        "--backbone=mobilenet",
        "--image_size=32",
        "--load_size=32",
        "--batch_size=4",
        "--epochs=classifier=1",
        '--arguments=num_parts=2,term_weights={"hint":0,"grouping":0.2}',
        "--points=points.npz",
        "--verbose=0",
    )
    output = run("daf.py", *flags, "--workdir=run", cwd=tmp_path)
    for name in ("student", "teacher", "fusion"):
        assert f"test, {name}: top-1" in output
    assert "test: KL(teacher, student)" in output
    assert "of the parts hold a point of the object" in output
    assert (tmp_path / "run" / "parts.png").stat().st_size > 1000
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert model.num_parts == 2
    assert model.loss_weights["grouping"] == 0.2
    assert "hint" not in model.loss_weights


def test_painless_attention_and_its_picture(tmp_path):
    write_folder(tmp_path / "photos")
    output = run(
        "painless_attention.py",
        "--data=photos",
        "--workdir=run",
        "--backbone=mobilenet",
        "--image_size=32",
        "--load_size=32",
        "--batch_size=4",
        "--epochs=classifier=1",
        "--arguments=taps=[8,16],num_heads=3",
        "--verbose=0",
        cwd=tmp_path,
    )
    assert "after classifier: 6 images" in output
    assert (tmp_path / "run" / "masks.png").stat().st_size > 1000
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert (model.taps, model.num_heads) == ((8, 16), 3)


def test_painless_ablation_prints_a_table_and_goes_on(tmp_path):
    flags = (
        "--ablation",
        "--workdir=run",
        "--num_train=128",
        "--num_test=20",
        "--epochs=classifier=1",
        "--rows=no attention,AD 1 AW 1",
        "--seeds=0",
    )
    output = run("painless_attention.py", *flags, cwd=tmp_path)
    assert "no attention, seed 0" in output
    assert "| AD 1 AW 1 | 1 |" in output
    assert (tmp_path / "run" / "figure4.png").stat().st_size > 1000
    again = run("painless_attention.py", *flags, cwd=tmp_path)
    assert "seed 0" not in again  # read, not trained
    assert output.splitlines()[-4:] == again.splitlines()[-4:]


def test_layer_in_your_model(tmp_path):
    output = run(
        "layer_in_your_model.py", "--num_train=64", "--epochs=1", cwd=tmp_path
    )
    names = [line.split()[0] for line in output.splitlines()]
    assert names[-2:] == ["GlobalAveragePooling2D", "GlobalKMaxPooling"]


def test_report_of_a_run(tmp_path, monkeypatch):
    write_folder(tmp_path / "photos")
    write_boxes(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    recipe = recipes.get("elope-short").replace(
        method="Baseline", image_size=32, load_size=32, batch_size=4
    )
    training.fit(
        models.Baseline(tiny.backbone(), 3, tap=8, batch_norm="train"),
        recipe.with_epochs(classifier=1),
        data.open_dataset("photos"),
        "run",
        verbose=0,
    )
    output = run("report.py", "--workdir=run", "--num_images=2", cwd=tmp_path)
    assert "6 images, top-1" in output
    assert output.endswith("report: run/report.html\n")
    pictures = {path.name for path in (tmp_path / "run/report").iterdir()}
    assert {"explanations.png", "curves.png", "confusions.png"} <= pictures
    page = (tmp_path / "run/report.html").read_text()
    for heading in ("Figures", "Classes", "What the model saw", "training"):
        assert heading in page
    assert "2 of 6, evenly over the split." in page
    assert "<td>elope-short</td>" in page
