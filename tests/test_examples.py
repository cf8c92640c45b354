"""The example scripts on the smallest input, and benchmarks that read runs.

Their steps are not compiled. A paper's script is called with a tiny recipe and
network; the others run as a user runs them. `quickstart.py` and
`benchmarks/fcan_digits.py` train for minutes: `make demo` is the test of the
first.
"""

import os
import pathlib
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_fgvc import data, models, recipes, training
from tests import tiny

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent


def run(script, *flags, cwd):
    process = subprocess.run(
        [*(sys.executable, "-m", "tests.eager"), str(ROOT / script), *flags],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout


def call(script, recipe, *, load_size=32, backbone=None, **changes):
    """Calls what a paper's script calls; returns the model it saved."""
    recipe = recipes.get(recipe).replace(
        image_size=32, load_size=load_size, batch_size=4, **changes
    )
    ones = {stage.name: 1 for stage in recipe.stages}
    recipe = recipe.with_epochs(**ones).with_batch_sizes(
        **dict.fromkeys(ones, 4)
    )
    main = runpy.run_path(str(ROOT / "examples" / script))["main"]
    main("photos", "run", recipe, backbone or tiny.backbone(), None)
    workdir = pathlib.Path("run")
    assert (workdir / "seen.png").stat().st_size > 1000
    return keras.saving.load_model(workdir / "model.keras")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of photographs in the current one; returns the latter."""
    write_folder(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def write_boxes(root):
    """A split.csv over such a folder: every object fills its image's middle."""
    rows = ["path,label,split,x_min,y_min,x_max,y_max"]
    for path in sorted(root.glob("*/*/*.png")):
        split, label, _ = path.relative_to(root).parts
        rows.append(f"{path.relative_to(root)},{label},{split},8,8,24,24")
    (root / "split.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.usefixtures("eager")
def test_elope_chooses_its_threshold_by_boxes(photos, capsys):
    write_boxes(photos / "photos")
    arguments = {"tap": 8, "k": 1, "embedding_dim": 8}
    model = call("elope.py", "elope-short", load_size=40, arguments=arguments)
    assert (model.image_size, model.embedding_dim) == (32, 8)
    out = capsys.readouterr().out
    assert f"threshold {model.threshold}, test: 6 images, top-1" in out
    assert f"threshold {model.threshold} is best on validation" in out


@pytest.mark.usefixtures("eager")
def test_coarse2fine_and_its_first_look(photos, capsys):
    arguments = {"tap": 8, "num_maps": 2}
    model = call("coarse2fine.py", "coarse2fine-short", arguments=arguments)
    assert (model.image_size, model.num_maps, model.tap) == (32, 2, 8)
    out = capsys.readouterr().out
    assert "both looks: 6 images, top-1" in out
    assert "first look: 6 images, top-1" in out


@pytest.mark.usefixtures("eager")
def test_painless_attention_and_its_gates(photos, capsys):
    arguments = {"tap": 8, "taps": [4, 8], "num_heads": 3}
    script = "painless_attention.py"
    model = call(script, "painless-short", arguments=arguments)
    assert (model.taps, model.num_heads) == ((4, 8), 3)
    lines = capsys.readouterr().out.splitlines()
    gates = [line.split(":") for line in lines if line.startswith("gate of")]
    names = [name.removeprefix("gate of ") for name, _ in gates]
    assert names == ["network", "4/0", "4/1", "4/2", "8/0", "8/1", "8/2"]
    np.testing.assert_allclose(sum(float(g) for _, g in gates), 1, atol=0.04)


@pytest.mark.usefixtures("eager")
def test_fcan_its_views_and_its_table(photos, capsys):
    arguments = {"part_sizes": (1, 2), "crop_size": 16}
    arguments |= {"taps": (8, 8)}
    model = call("fcan.py", "fcan-short", arguments=arguments)
    assert (model.part_sizes, model.taps) == ((1, 2), (8, 8))
    out = capsys.readouterr().out
    for name in ("whole image", "1x1 cells", "2x2 cells"):
        assert f"{name} alone: top-1" in out
    output = run("benchmarks/fcan_views.py", "--workdir=run", cwd=photos)
    rows = [line for line in output.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == [
        "| whole image",
        "| 1x1 attention alone",
        "| 2x2 attention alone",
        "| whole image + 2x2 attention",
        "| whole image + 1x1 attention, 2x2 attention",
        "| whole image + random crops (no training on them)",
    ]
    assert (photos / "run" / "glimpses.png").stat().st_size > 1000


@pytest.mark.usefixtures("eager")
def test_daf_its_members_and_its_figures(photos, capsys):
    paths = sorted((photos / "photos").glob("test/*/*.png"))
    names = [p.relative_to(photos / "photos").as_posix() for p in paths]
    points = np.tile(np.float32([[16, 16, 1], [1, 1, 0]]), (len(names), 1, 1))
    np.savez(photos / "points.npz", path=names, parts_xyv=points)
    weights = {"grouping": 0.2}
    arguments = {"num_parts": 2, "term_weights": weights}
    backbone = "mobilenet"
    model = call("daf.py", "daf-short", backbone=backbone, arguments=arguments)
    assert model.num_parts == 2
    assert model.loss_weights["grouping"] == 0.2
    out = capsys.readouterr().out
    for name in ("student", "teacher", "fusion"):
        assert f"test, {name}: top-1" in out
    flags = ("--workdir=run", "--points=points.npz")
    output = run("benchmarks/daf_views.py", *flags, cwd=photos)
    for name in ("student", "teacher", "fusion"):
        assert f"test, {name}: top-1" in output
    assert "test: KL(teacher, student)" in output
    assert "test, parts: long over short side" in output
    assert "of the parts hold a point of the object" in output
    assert (photos / "run" / "parts.png").stat().st_size > 1000


def test_painless_ablation_prints_a_table_and_goes_on(tmp_path):
    flags = (
        "--workdir=run",
        "--num_train=128",
        "--num_test=20",
        "--epochs=1",
        "--rows=no attention,AD 1 AW 1",
        "--seeds=0",
    )
    script = "benchmarks/painless_ablation.py"
    output = run(script, *flags, cwd=tmp_path)
    assert "no attention, seed 0" in output
    assert "| AD 1 AW 1 | 1 |" in output
    assert (tmp_path / "run" / "figure4.png").stat().st_size > 1000
    again = run(script, *flags, cwd=tmp_path)
    assert "seed 0" not in again  # read, not trained
    assert output.splitlines()[-4:] == again.splitlines()[-4:]


def test_layer_in_your_model(tmp_path):
    output = run(
        "examples/layer_in_your_model.py",
        "--num_train=64",
        "--epochs=1",
        cwd=tmp_path,
    )
    names = [line.rsplit(maxsplit=2)[0] for line in output.splitlines()]
    assert names[-3:] == ["average", "k-max", "k-max, both losses"]


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
    output = run(
        "examples/report.py", "--workdir=run", "--num_images=2", cwd=tmp_path
    )
    assert "6 images, top-1" in output
    assert output.endswith("report: run/report.html\n")
    pictures = {path.name for path in (tmp_path / "run/report").iterdir()}
    assert {"explanations.png", "curves.png", "confusions.png"} <= pictures
    page = (tmp_path / "run/report.html").read_text()
    for heading in ("Figures", "Classes", "What the model saw", "training"):
        assert heading in page
    assert "2 of 6, evenly over the split." in page
    assert "<td>elope-short</td>" in page
