"""The example scripts run as a user runs them, on the smallest input."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np

from tests import tiny

ROOT = pathlib.Path(__file__).parent.parent


def run(script, *flags, cwd):
    process = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *flags],
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


def test_elope_on_a_folder_of_photographs(tmp_path):
    write_folder(tmp_path / "photos")
    output = run(
        "elope.py",
        "--data=photos",
        "--workdir=run",
        "--backbone=mobilenet_v2",
        "--image_size=32",
        "--load_size=40",
        "--batch_size=4",
        "--stages=classifier,localizer",
        "--epochs=classifier=1,localizer=1",
        "--arguments=k=1,embedding_dim=8",
        "--verbose=0",
        cwd=tmp_path,
    )
    assert "after localizer: 6 images, top-1" in output
    found = json.loads((tmp_path / "run" / "test.json").read_text())
    assert list(found) == ["classifier", "localizer"]
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert (model.image_size, model.embedding_dim) == (32, 8)


def test_layer_in_your_model(tmp_path):
    output = run(
        "layer_in_your_model.py", "--num_train=64", "--epochs=1", cwd=tmp_path
    )
    names = [line.split()[0] for line in output.splitlines()]
    assert names[-2:] == ["GlobalAveragePooling2D", "GlobalKMaxPooling"]
