"""PyTorch's files: the same numbers as torch computes, and clear errors."""

import json
import sys

import keras
import numpy as np
import pytest

from keras_fgvc import backbones, models
from keras_fgvc.backbones import registry, torch_weights
from tests.backbones.conftest import SMALL

MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images))


def torch_tensors(model, torch):
    """Random tensors for `model`, under torchvision's names and shapes."""
    generator = np.random.default_rng(17)
    tensors = {}
    for layer in model.layers:
        module = layer.name.replace("_", ".")
        if isinstance(layer, keras.layers.Conv2D):
            height, width, inward, outward = layer.kernel.shape
            shape = (outward, inward, height, width)
            kernel = generator.normal(
                0, (height * width * inward) ** -0.5, shape
            )
            tensors[f"{module}.weight"] = kernel
        elif isinstance(layer, keras.layers.Dense):
            tensors[f"{module}.weight"] = generator.normal(
                size=layer.kernel.shape[::-1]
            )
            tensors[f"{module}.bias"] = generator.normal(size=layer.units)
        elif isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            for name in ("weight", "running_var"):
                tensors[f"{module}.{name}"] = generator.uniform(0.5, 1.5, size)
            for name in ("bias", "running_mean"):
                tensors[f"{module}.{name}"] = generator.normal(0, 0.3, size)
            tensors[f"{module}.num_batches_tracked"] = np.array(3)
    return {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in tensors.items()
    }


def torch_forward(torch, tensors, images, blocks):
    """The network in plain torch; (batch, height, width, 3) pixels."""
    functional = torch.nn.functional

    def convolution(x, name, stride=1):
        kernel = tensors[f"{name}.weight"]
        padding = kernel.shape[-1] // 2
        return functional.conv2d(x, kernel, stride=stride, padding=padding)

    def normalization(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        values = [tensors[f"{name}.{value}"] for value in names]
        return functional.batch_norm(x, *values, eps=1e-5)

    normalized = ((images / 255 - MEAN) / DEVIATION).astype("float32")
    x = torch.tensor(normalized).permute(0, 3, 1, 2)
    x = normalization(convolution(x, "conv1", 2), "bn1").relu()
    x = functional.max_pool2d(x, 3, 2, padding=1)
    for stage, num_blocks in enumerate(blocks, start=1):
        for block in range(num_blocks):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            shortcut = x
            if block == 0:
                shortcut = convolution(x, f"{name}.downsample.0", stride)
                shortcut = normalization(shortcut, f"{name}.downsample.1")
            x = convolution(x, f"{name}.conv1")
            x = normalization(x, f"{name}.bn1").relu()
            x = convolution(x, f"{name}.conv2", stride)
            x = normalization(x, f"{name}.bn2").relu()
            x = normalization(convolution(x, f"{name}.conv3"), f"{name}.bn3")
            x = (x + shortcut).relu()
    scores = x.mean((2, 3)) @ tensors["fc.weight"].T + tensors["fc.bias"]
    return x.permute(0, 2, 3, 1).numpy(), scores.numpy()


@pytest.mark.parametrize("zipped", [True, False])  # torch before and from 1.6
def test_a_torch_file_gives_what_torch_computes(
    zipped, small_entry, tmp_path, images
):
    torch = pytest.importorskip("torch")
    whole = backbones.wide_resnet(**SMALL, classes=7)
    tensors = torch_tensors(whole, torch)
    path = tmp_path / "wide.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    features, scores = torch_forward(torch, tensors, images, SMALL["blocks"])
    assert features.std() > 0.1
    model = backbones.build("wide_resnet50_2", taps=(8,), weights=path)
    np.testing.assert_allclose(
        outputs(model, images), features, rtol=1e-4, atol=1e-5
    )
    torch_weights.load(whole, str(path), "wide_resnet")
    normalized = ((images / 255 - MEAN) / DEVIATION).astype("float32")
    np.testing.assert_allclose(
        outputs(whole, normalized), scores, rtol=1e-4, atol=1e-5
    )


def test_a_resnet_takes_torchvision_s_file(monkeypatch, tmp_path, images):
    torch = pytest.importorskip("torch")
    options = {**SMALL, "widening": 1}
    entry = registry.find("resnet50_v1_5")._replace(options=options)
    monkeypatch.setitem(registry._ENTRIES, "resnet50_v1_5", entry)
    whole = backbones.wide_resnet(**options, classes=7)
    tensors = torch_tensors(whole, torch)
    torch.save(tensors, tmp_path / "plain.pth")
    features, _ = torch_forward(torch, tensors, images, SMALL["blocks"])
    model = models.Baseline(
        "resnet50", 3, tap=8, weights=tmp_path / "plain.pth"
    )
    np.testing.assert_allclose(
        outputs(model.features, images), features, rtol=1e-4, atol=1e-4
    )
    # The stride's place must not be forgotten with the file.
    assert model.get_config()["backbone"] == "resnet50_v1_5"


def test_half_precision_tensors_are_read(small_entry, tmp_path):
    torch = pytest.importorskip("torch")
    model = backbones.wide_resnet(**SMALL)
    tensors = torch_tensors(model, torch)
    half = {name: value.bfloat16() for name, value in tensors.items()}
    torch.save(half, tmp_path / "wide.pt")
    torch_weights.load(model, tmp_path / "wide.pt", "wide_resnet")
    np.testing.assert_allclose(
        model.get_layer("fc").get_weights()[1], tensors["fc.bias"], rtol=0.01
    )


def broken_tensors(torch, problem):
    tensors = torch_tensors(backbones.wide_resnet(**SMALL), torch)
    if problem == "missing":
        del tensors["layer2.1.bn3.running_var"]
    elif problem == "deeper":
        tensors["layer2.2.conv1.weight"] = tensors["layer2.1.conv1.weight"]
    elif problem == "narrow":
        kernel = tensors["layer1.0.conv2.weight"]
        tensors["layer1.0.conv2.weight"] = kernel[:5]
    elif problem == "wrapped":
        tensors = {"optimizer": tensors, "epoch": 3}
    elif problem == "list":
        tensors = list(tensors)
    return tensors


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("missing", "has no 'layer2.1.bn3.running_var'"),
        ("deeper", "also has 'layer2.2.conv1.weight'"),
        (
            "narrow",
            r"has 'layer1.0.conv2.weight' as \(3, 3, 6, 5\) instead of "
            r"\(3, 3, 6, 6\)",
        ),
        ("wrapped", "has no 'conv1.weight'"),
        ("list", "holds a list"),
        ("truncated", "is cut short or not such a file"),
    ],
)
def test_a_torch_file_that_does_not_fit_says_why(
    problem, message, small_entry, tmp_path
):
    torch = pytest.importorskip("torch")
    path = tmp_path / "odd.pth"
    torch.save(broken_tensors(torch, problem), path)
    if problem == "truncated":
        path.write_bytes(path.read_bytes()[:999])
    start = r"odd.pth' does not hold .* of wide_resnet50_2: it "
    message = f"{start}{message}.*torchvision or timm"
    with pytest.raises(ValueError, match=message):
        backbones.build("wide_resnet50_2", taps=(8,), weights=str(path))


def test_a_torch_file_runs_no_code(small_entry, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": keras.layers.ReLU}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="not such a file"):
        backbones.build("wide_resnet50_2", weights=tmp_path / "code.pth")


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras itself needs PyTorch"
)
def test_without_torch_the_message_has_the_remedy(
    small_entry, tmp_path, monkeypatch
):
    (tmp_path / "wide.pth").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"wide.pth'.*`pip install torch`"):
        backbones.build("wide_resnet50_2", weights=tmp_path / "wide.pth")


def write_safetensors(path, tensors, dtype="F32"):
    """The format by hand: length, JSON header, values."""
    header, parts, place = {"__metadata__": {"format": "pt"}}, [], 0
    for name, values in tensors.items():
        array = np.asarray(values)
        if dtype == "BF16" and array.dtype == "float32":
            kind, array = "BF16", (array.view("uint32") >> 16).astype("uint16")
        else:
            kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        parts.append(array.tobytes())
        end = place + len(parts[-1])
        header[name] = {
            "dtype": kind,
            "shape": array.shape,
            "data_offsets": [place, end],
        }
        place = end
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + b"".join(parts)
    path.write_bytes(content)


WRAPPED = {
    "state_dict": lambda tensors: {"state_dict": tensors, "epoch": 3},
    "model": lambda tensors: {"model": tensors, "args": {"lr": 0.1}},
    "model_state": lambda tensors: {"model_state": tensors},
    "module": lambda tensors: {f"module.{k}": v for k, v in tensors.items()},
    "compiled": lambda tensors: {
        "model": {f"module._orig_mod.{k}": v for k, v in tensors.items()}
    },
    "lightning": lambda tensors: {
        "state_dict": {
            "loss.weight": tensors["bn1.weight"],
            **{f"model.{k}": v for k, v in tensors.items()},
        }
    },
}


@pytest.mark.parametrize("kind", [*WRAPPED, "safetensors", "BF16"])
def test_checkpoints_as_people_have_them(kind, tmp_path):
    torch = pytest.importorskip("torch")
    model = backbones.wide_resnet(**SMALL)
    tensors = torch_tensors(model, torch)
    if kind in WRAPPED:
        path = tmp_path / "model.pth"
        torch.save(WRAPPED[kind](tensors), path)
    else:
        path = tmp_path / "model.safetensors"
        numbers = {name: value.numpy() for name, value in tensors.items()}
        write_safetensors(path, numbers, kind)
    torch_weights.load(model, str(path), "wide_resnet50_2")
    found = keras.ops.convert_to_numpy(model.get_layer("bn1").gamma)
    expected = tensors["bn1.weight"].numpy()
    rtol = 1e-2 if kind == "BF16" else 1e-6
    np.testing.assert_allclose(found, expected, rtol=rtol)


def test_a_damaged_safetensors_file_is_told(tmp_path):
    model = backbones.wide_resnet(**SMALL)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    for content in (b"", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 40):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"PyTorch state dict"):
            torch_weights.load(model, str(path), "wide_resnet50_2")
