"""ONNX and LiteRT files, where their packages are installed."""

import builtins
import importlib
import json
import sys
import zipfile

import numpy as np
import pytest

from keras_fgvc import _extras, export
from keras_fgvc.models import (
    DAF,
    FCAN,
    Baseline,
    Coarse2Fine,
    ELoPE,
    PainlessAttention,
)
from tests import tiny
from tests.export.conftest import NAMES

SIZE = tiny.SIZE


def elope():
    model = ELoPE(tiny.backbone(), 3, image_size=SIZE, tap=8, threshold=0.6)
    model.localizer.enable()
    return model


MODELS = {
    "Baseline": lambda: Baseline(tiny.backbone(), 3, tap=8),
    "ELoPE": elope,
    "PainlessAttention": lambda: PainlessAttention(
        tiny.backbone(), 3, taps=(4, 8), tap=8, num_heads=3
    ),
    "Coarse2Fine": lambda: Coarse2Fine(
        tiny.backbone(), 3, image_size=SIZE, tap=8
    ),
    "FCAN": lambda: FCAN(
        tiny.backbone(),
        3,
        image_size=SIZE,
        crop_size=24,
        part_sizes=(1, 2),
        taps=(8, 8),
    ),
    "DAF": lambda: DAF(
        tiny.backbone(), 3, image_size=SIZE, taps=(4, 8), groups=11
    ),
}
WRITERS = {
    ".onnx": (export.export_onnx, ("tf2onnx", "onnxruntime")),
    ".tflite": (export.export_litert, ("ai_edge_litert",)),
}
# tf2onnx before it follows NumPy 2, and SWIG's types in onnxruntime.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def need(suffix):
    for package in WRITERS[suffix][1]:
        pytest.importorskip(package, reason=f"needs {package}: see setup.py")


def write(suffix, model, path):
    need(suffix)
    return WRITERS[suffix][0](model, path, class_names=NAMES, load_size=SIZE)


def run(path, images):
    """All outputs by name, by the format's own runtime."""
    if path.suffix == ".onnx":
        runtime = importlib.import_module("onnxruntime")
        session = runtime.InferenceSession(str(path))
        names = [output.name for output in session.get_outputs()]
        values = session.run(None, {"image": images})
        return dict(zip(names, values, strict=True))
    litert = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(str(path))
    return interpreter.get_signature_runner("serving_default")(image=images)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_converts(suffix, name, tmp_path):
    model = MODELS[name]()
    path = write(suffix, model, tmp_path / f"birds{suffix}")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    images, _ = tiny.images_and_labels(5)
    expected = model.predict(images, verbose=0)
    found = run(path, images.astype("float32"))
    assert set(found) == set(expected)
    for output, value in expected.items():
        np.testing.assert_allclose(found[output], value, atol=1e-4)


def test_class_names_travel_with_the_file(tmp_path):
    model = MODELS["Baseline"]()
    path = write(".onnx", model, tmp_path / "birds.onnx")
    session = importlib.import_module("onnxruntime").InferenceSession(str(path))
    names = session.get_modelmeta().custom_metadata_map["class_names"]
    assert json.loads(names) == list(NAMES)
    assert session.get_inputs()[0].shape == ["batch", SIZE, SIZE, 3]
    assert all(o.shape[0] == "batch" for o in session.get_outputs())
    path = write(".tflite", model, tmp_path / "birds.tflite")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("class_names.txt") == b"red\ngreen\nblue\n"


@pytest.mark.parametrize("suffix", WRITERS)
def test_parity_is_really_compared(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(export.parity, "TOLERANCE", -1.0)
    path = tmp_path / f"birds{suffix}"
    with pytest.raises(RuntimeError, match="differs from the model"):
        write(suffix, MODELS["Baseline"](), path)
    assert not path.exists()


@pytest.mark.parametrize("suffix", WRITERS)
def test_missing_package_is_named(suffix, tmp_path, monkeypatch):
    writer, packages = WRITERS[suffix]
    for name in list(sys.modules):
        if name.split(".")[0] == packages[0]:
            monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__
    monkeypatch.setattr(
        _extras.importlib,
        "import_module",
        lambda name: real(f"missing_{name.split('.')[0]}"),
    )
    message = rf"needs the package 'missing_{packages[0]}'.*\[\w+\]"
    with pytest.raises(ImportError, match=message):
        writer(
            MODELS["Baseline"](),
            tmp_path / f"birds{suffix}",
            class_names=NAMES,
            load_size=SIZE,
        )


@pytest.mark.parametrize("suffix", WRITERS)
def test_wrong_targets(suffix, tmp_path):
    writer, _ = WRITERS[suffix]
    model, path = MODELS["Baseline"](), tmp_path / f"birds{suffix}"
    with pytest.raises(ValueError, match="Received: 1 names"):
        writer(model, path, class_names=("one",), load_size=SIZE)
    path.write_text("there")
    with pytest.raises(ValueError, match="exists already"):
        writer(model, path, class_names=NAMES, load_size=SIZE)


def test_litert_ending(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.tflite"):
        export.export_litert(
            MODELS["Baseline"](),
            tmp_path / "birds.lite",
            class_names=NAMES,
            load_size=SIZE,
        )
