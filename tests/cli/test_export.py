import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc import export, training
from keras_fgvc.cli import main
from keras_fgvc.data import decode_and_resize
from tests.cli.conftest import LOAD_SIZE, NAMES


@pytest.mark.slow
def test_a_saved_model(trained, tmp_path, photographs, capsys):
    out = tmp_path / "served" / "1"
    words = ["export", f"--workdir={trained}", f"--out={out}", "--top=2"]
    assert main(words) == 0
    assert capsys.readouterr().out.endswith(f"{out}\n")
    names = (out / "assets.extra" / "class_names.txt").read_text()
    assert tuple(names.splitlines()) == NAMES
    encoded = (photographs / "test" / "red" / "2.png").read_bytes()
    serve = tf.saved_model.load(str(out)).signatures["serving_bytes"]
    answer = serve(image_bytes=tf.constant([encoded]))
    assert answer["top_classes"].shape == (1, 2)
    pixels = decode_and_resize(encoded, (LOAD_SIZE, LOAD_SIZE))
    model = training.open_run(trained).load_model()
    expected = model.predict_on_batch(pixels.numpy()[None])
    np.testing.assert_allclose(
        answer["probabilities"], expected["probabilities"], atol=1e-5
    )
    assert main(words) == 1  # it is there already
    assert f"{out} exists already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_other_formats(name, trained, monkeypatch, capsys):
    seen = {}

    def write(model, path, **options):
        seen.update(options, method=type(model).__name__)
        return path

    monkeypatch.setattr(export, f"export_{name}", write)
    words = ["export", f"--workdir={trained}", "--out=x", f"--format={name}"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{name}: x\n"
    assert seen == {
        "method": "ELoPE",
        "class_names": NAMES,
        "load_size": LOAD_SIZE,
        "resize": "squash",
    }
    assert main([*words, "--top=2"]) == 2
    assert "--top is for --format savedmodel" in capsys.readouterr().err
