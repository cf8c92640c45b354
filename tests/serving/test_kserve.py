"""Our SavedModel behind a server of other make, asked by our client.

KServe's REST V1 is TF Serving's protocol. It has an environment of its own;
`make test-serving` makes that and runs this file.
"""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc import data, export
from keras_fgvc.models import ELoPE
from tests import tiny
from tests.data.image_files import encode, smooth_pixels
from tests.export.bad_files import CASES
from tests.export.conftest import NAMES
from tests.serving import bad_inputs
from tests.serving.client import load, serve_client

kserve = load("benchmarks/kserve_process.py")
pytestmark = pytest.mark.skipif(
    kserve.VARIABLE not in os.environ,
    reason=f"{kserve.VARIABLE} names no Python with kserve and "
    "tensorflow-cpu; `make test-serving` makes one",
)
SIZE = 40


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model with boxes, and the address where it is served."""
    keras.utils.set_random_seed(0)
    model = ELoPE(
        tiny.backbone(), 3, image_size=tiny.SIZE, tap=8, threshold=0.6
    )
    model.localizer.enable()
    path = export.export_saved_model(
        model,
        tmp_path_factory.mktemp("served") / "1",
        class_names=NAMES,
        load_size=SIZE,
    )
    with kserve.serving(path, "birds") as url:
        yield model, url


def test_client_reads_the_models_numbers(served, tmp_path, capsys):
    model, url = served
    files = [
        encode(smooth_pixels(height, width, seed), kind)
        for seed, (height, width, kind) in enumerate(
            [(37, 53, "JPEG"), (64, 48, "PNG"), (40, 40, "WEBP")]
        )
    ]
    for number, content in enumerate(files):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    (tmp_path / "broken.jpg").write_bytes(files[0][:99])
    flags = [f"--url={url}", "--model=birds", "--json", "--outputs=all"]
    code = serve_client.main([str(tmp_path), *flags, "--timeout=120"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    pixels = np.stack([data.decode_and_resize(f, (SIZE, SIZE)) for f in files])
    expected = model.predict(pixels, verbose=0)
    for name, value in expected.items():
        found = np.array([row[name] for row in rows[:3]])
        np.testing.assert_allclose(found, value, atol=1e-5)
    best = expected["probabilities"].argmax(axis=1)
    assert [row["top_classes"][0] for row in rows[:3]] == [
        NAMES[label] for label in best
    ]
    assert [bool(row["error"]) for row in rows] == [False] * 3 + [True]
    assert code == 1


def test_pixels_as_json(served):
    model, url = served
    images, _ = tiny.images_and_labels(2, size=11)
    status, answer = bad_inputs.post(
        url, "birds", {"instances": images.tolist()}
    )
    assert status == 200
    found = [row["probabilities"] for row in answer["predictions"]]
    expected = model.predict(images, verbose=0)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bad_inputs_each_get_their_own_error(served):
    _, url = served
    found = bad_inputs.ask_all(url, "birds")
    for name, (_, error) in CASES.items():
        status, row = found[name]
        assert status == 200
        assert error in row["error"]
        assert bool(error) == bool(row["error"])
        total = np.sum(row["probabilities"])
        np.testing.assert_allclose(total, 0 if error else 1, atol=1e-5)
    for name in bad_inputs.REQUESTS:
        status, answer = found[name]
        assert status == 400, name
        assert answer["error"]


def test_unknown_model_and_signature_in_the_clients_words(
    served, tmp_path, capsys
):
    _, url = served
    path = tmp_path / "1.png"
    path.write_bytes(tf.io.encode_png(tf.zeros((8, 8, 3), "uint8")).numpy())
    flags = [str(path), f"--url={url}"]
    assert serve_client.main([*flags, "--model=cats"]) == 1
    assert "HTTP 404: Model with name cats" in capsys.readouterr().out
    flags += ["--model=birds", "--signature_name=mine"]
    assert serve_client.main(flags) == 1
    assert 'HTTP 400: Serving signature name: "mine"' in capsys.readouterr().out
