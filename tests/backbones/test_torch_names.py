"""Files of timm, torchvision and DINOv2: torch's numbers, and clear refusals.

The networks are written in plain torch by timm's names; the other names are
made of these.
"""

import re

import keras
import numpy as np
import pytest

from keras_fgvc import backbones, models
from keras_fgvc.backbones import registry, torch_names, torch_weights
from tests import hub_networks

MEAN = np.array([0.485, 0.456, 0.406]) * 255
DEVIATION = np.array([0.229, 0.224, 0.225]) * 255
SIDE, PATCH, WIDTH, HEADS = 64, 16, 8, 2
DEPTHS = (3, 3, 9, 3)  # of ConvNeXt-T


def images(side=SIDE):
    rng = np.random.default_rng(3)
    return rng.uniform(0, 255, (2, side, side, 3)).astype("float32")


def normal(rng, *shape):
    return rng.normal(0, max(shape[-1], 4) ** -0.5, shape).astype("float32")


def dense(rng, name, inward, outward):
    """A linear layer's tensors, as wide a spread as makes errors visible."""
    return {
        f"{name}.weight": normal(rng, outward, inward),
        f"{name}.bias": normal(rng, outward),
    }


def norm(rng, name, width):
    return {
        f"{name}.weight": 1 + normal(rng, width),
        f"{name}.bias": normal(rng, width),
    }


def convolution(rng, name, inward, outward, side):
    kernel = normal(rng, outward, inward * side * side)
    return {
        f"{name}.weight": kernel.reshape(outward, inward, side, side),
        f"{name}.bias": normal(rng, outward),
    }


def convnext_tensors(widths=(96, 192, 384, 768)):
    """The state dict of timm's `convnext_tiny`."""
    rng = np.random.default_rng(1)
    found = convolution(rng, "stem.0", 3, widths[0], 4)
    found |= norm(rng, "stem.1", widths[0])
    for stage, (depth, width) in enumerate(zip(DEPTHS, widths, strict=True)):
        name = f"stages.{stage}"
        if stage:
            before = widths[stage - 1]
            found |= norm(rng, f"{name}.downsample.0", before)
            found |= convolution(rng, f"{name}.downsample.1", before, width, 2)
        for block in range(depth):
            name = f"stages.{stage}.blocks.{block}"
            found |= convolution(rng, f"{name}.conv_dw", 1, width, 7)
            found |= norm(rng, f"{name}.norm", width)
            found |= dense(rng, f"{name}.mlp.fc1", width, 4 * width)
            found |= dense(rng, f"{name}.mlp.fc2", 4 * width, width)
            found[f"{name}.gamma"] = normal(rng, width)
    found |= norm(rng, "head.norm", widths[-1])
    return found | dense(rng, "head.fc", widths[-1], 5)


def convnext_of_torchvision(tensors):
    result = {}
    for name, value in tensors.items():
        name = re.sub(r"^stem\.", "features.0.", name)
        name = re.sub(
            r"^stages\.(\d)\.blocks\.",
            lambda m: f"features.{2 * int(m[1]) + 1}.",
            name,
        )
        name = re.sub(
            r"^stages\.(\d)\.downsample\.",
            lambda m: f"features.{2 * int(m[1])}.",
            name,
        )
        new = {"conv_dw": "0", "norm": "2", "mlp.fc1": "3", "mlp.fc2": "5"}
        for old, number in new.items():
            name = re.sub(
                rf"^(features\.\d\.\d+)\.{old}\.", rf"\1.block.{number}.", name
            )
        if name.endswith(".gamma"):
            name, value = name[:-5] + "layer_scale", value[:, None, None]
        name = name.replace("head.norm.", "classifier.0.")
        result[name.replace("head.fc.", "classifier.2.")] = value
    return result


def convnext_of_authors(tensors):
    result = {}
    for name, value in tensors.items():
        name = re.sub(r"^stem\.", "downsample_layers.0.", name)
        name = re.sub(
            r"^stages\.(\d)\.downsample", r"downsample_layers.\1", name
        )
        name = name.replace(".blocks.", ".").replace(".conv_dw.", ".dwconv.")
        name = name.replace(".mlp.fc", ".pwconv")
        name = name.replace("head.norm.", "norm.").replace("head.fc.", "head.")
        result[name] = value
    return result


def convnext_forward(torch, arrays, pixels):
    """The last map behind the last norm, (batch, height, width, channels)."""
    functional = torch.nn.functional
    t = {name: torch.tensor(value) for name, value in arrays.items()}

    def conv(x, name, **options):
        weight, bias = t[f"{name}.weight"], t[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, **options)

    def linear(x, name):
        return functional.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])

    def layer_norm(x, name):
        weight, bias = t[f"{name}.weight"], t[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, 1e-6)

    def norm_2d(x, name):
        return layer_norm(x.permute(0, 2, 3, 1), name).permute(0, 3, 1, 2)

    normalized = ((pixels - MEAN) / DEVIATION).astype("float32")
    x = torch.tensor(normalized).permute(0, 3, 1, 2)
    x = norm_2d(conv(x, "stem.0", stride=4), "stem.1")
    for stage, depth in enumerate(DEPTHS):
        if stage:
            x = norm_2d(x, f"stages.{stage}.downsample.0")
            x = conv(x, f"stages.{stage}.downsample.1", stride=2)
        for block in range(depth):
            name = f"stages.{stage}.blocks.{block}"
            y = conv(x, f"{name}.conv_dw", padding=3, groups=x.shape[1])
            y = layer_norm(y.permute(0, 2, 3, 1), f"{name}.norm")
            y = functional.gelu(linear(y, f"{name}.mlp.fc1"))
            y = linear(y, f"{name}.mlp.fc2") * t[f"{name}.gamma"]
            x = x + y.permute(0, 3, 1, 2)
    return layer_norm(x.permute(0, 2, 3, 1), "head.norm").numpy()


def vit_tensors(kind, grid=SIDE // PATCH, *, gated=False, width=WIDTH, depth=2):
    """The state dict of timm's ViT or DeiT, or of DINOv2's authors."""
    rng = np.random.default_rng(2)
    patch = 14 if kind == "DINOv2" else PATCH
    found = convolution(rng, "patch_embed.proj", 3, width, patch)
    found["cls_token"] = normal(rng, 1, 1, width)
    positions = grid * grid + (2 if kind == "DeiT" else 1)
    found["pos_embed"] = normal(rng, 1, positions, width)
    if kind == "DeiT":
        found["dist_token"] = normal(rng, 1, 1, width)
    if kind == "DINOv2":
        found["mask_token"] = normal(rng, 1, width)
        found["register_tokens"] = normal(rng, 1, 2, width)
    for block in range(depth):
        name = f"blocks.{block}"
        found |= norm(rng, f"{name}.norm1", width)
        found |= dense(rng, f"{name}.attn.qkv", width, 3 * width)
        found |= dense(rng, f"{name}.attn.proj", width, width)
        found |= norm(rng, f"{name}.norm2", width)
        if gated:  # 16 * 2 / 3, rounded up to a multiple of 8
            found |= dense(rng, f"{name}.mlp.w12", width, 2 * 16)
            found |= dense(rng, f"{name}.mlp.w3", 16, width)
        else:
            inner = 4 * width if width > WIDTH else 16
            found |= dense(rng, f"{name}.mlp.fc1", width, inner)
            found |= dense(rng, f"{name}.mlp.fc2", inner, width)
        if kind == "DINOv2":
            found[f"{name}.ls1.gamma"] = normal(rng, width)
            found[f"{name}.ls2.gamma"] = normal(rng, width)
    found |= norm(rng, "norm", width)
    return found | dense(rng, "head", width, 5)


def vit_of_torchvision(tensors, *, old=False):
    names = {
        "patch_embed.proj.": "conv_proj.",
        "cls_token": "class_token",
        "pos_embed": "encoder.pos_embedding",
        "norm1.": "ln_1.",
        "norm2.": "ln_2.",
        "attn.qkv.": "self_attention.in_proj_",
        "attn.proj.": "self_attention.out_proj.",
        "mlp.fc1.": "mlp.linear_1." if old else "mlp.0.",
        "mlp.fc2.": "mlp.linear_2." if old else "mlp.3.",
        "head.": "heads.head.",
    }
    result = {}
    for name, value in tensors.items():
        name = re.sub(r"^norm\.", "encoder.ln.", name)
        for timm, torchvision in names.items():
            name = name.replace(timm, torchvision)
        name = re.sub(r"^blocks\.", "encoder.layers.encoder_layer_", name)
        result[name] = value
    return result


def vit_forward(torch, arrays, pixels, grid=None):
    """Patches behind the last norm, (batch, rows, columns, channels)."""
    functional = torch.nn.functional
    t = {name: torch.tensor(value) for name, value in arrays.items()}
    count = sum(name.endswith("norm1.weight") for name in t)

    def linear(x, name):
        return functional.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])

    def layer_norm(x, name):
        weight, bias = t[f"{name}.weight"], t[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, 1e-6)

    def attention(x, name):
        b, n, c = x.shape
        qkv = linear(x, f"{name}.qkv").reshape(b, n, 3, HEADS, c // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(q, k, v)
        return linear(x.transpose(1, 2).reshape(b, n, c), f"{name}.proj")

    def mlp(x, name):
        if f"{name}.w12.weight" in t:
            first, second = linear(x, f"{name}.w12").chunk(2, dim=-1)
            return linear(functional.silu(first) * second, f"{name}.w3")
        return linear(functional.gelu(linear(x, f"{name}.fc1")), f"{name}.fc2")

    kernel = t["patch_embed.proj.weight"]
    x = torch.tensor(pixels).permute(0, 3, 1, 2)
    x = functional.conv2d(
        x, kernel, t["patch_embed.proj.bias"], stride=kernel.shape[-1]
    )
    rows, columns, batch = *x.shape[2:], len(x)
    tokens = [t[n] for n in ("cls_token", "dist_token") if n in t]
    tokens = torch.cat([token.expand(batch, -1, -1) for token in tokens], 1)
    positions, before = t["pos_embed"], tokens.shape[1]
    if grid:  # timm's resample_abs_pos_embed
        patches = positions[:, before:].reshape(1, grid, grid, -1)
        patches = functional.interpolate(
            patches.permute(0, 3, 1, 2),
            (rows, columns),
            mode="bicubic",
            antialias=True,
        )
        patches = patches.flatten(2).transpose(1, 2)
        positions = torch.cat([positions[:, :before], patches], 1)
    x = torch.cat([tokens, x.flatten(2).transpose(1, 2)], 1) + positions
    if "register_tokens" in t:
        registers = t["register_tokens"].expand(batch, -1, -1)
        x = torch.cat([x[:, :1], registers, x[:, 1:]], 1)
    for block in range(count):
        name = f"blocks.{block}"
        scales = [t.get(f"{name}.ls{n}.gamma", 1) for n in (1, 2)]
        y = attention(layer_norm(x, f"{name}.norm1"), f"{name}.attn")
        x = x + scales[0] * y
        x = x + scales[1] * mlp(layer_norm(x, f"{name}.norm2"), f"{name}.mlp")
    x = layer_norm(x, "norm")[:, -rows * columns :]
    return x.reshape(batch, rows, columns, -1).numpy()


def write(torch, tensors, path, wrap=lambda tensors: tensors):
    tensors = {n: torch.tensor(v) for n, v in tensors.items()}
    torch.save(wrap(tensors), path)
    return path


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


CONVNEXT = {
    "timm": dict,
    "torchvision": convnext_of_torchvision,
    "authors": convnext_of_authors,
}


@pytest.mark.parametrize("names", CONVNEXT)
def test_a_convnext_has_all_names_and_shapes(names):
    tensors = CONVNEXT[names](convnext_tensors((1, 2, 3, 4)))
    translated = torch_names.translate(tensors)
    assert list(translated) == list(convnext_tensors((1, 2, 3, 4)))
    assert translated["stages.2.blocks.8.gamma"].shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize("names", CONVNEXT)
def test_a_convnext_gives_what_torch_computes(names, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = convnext_tensors()
    path = write(torch, CONVNEXT[names](tensors), tmp_path / "tiny.pth")
    network = registry.construct(registry.find("convnext_tiny"))
    torch_weights.load(network, path, "convnext_tiny")
    expected = convnext_forward(torch, tensors, images())
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        numpy(network(images())), expected, rtol=1e-4, atol=1e-4
    )
    model = backbones.build("convnext_tiny", weights=str(path), taps=(4,))
    first = model.get_layer("convnext_tiny_stage_0_block_0_depthwise_conv")
    np.testing.assert_array_equal(
        numpy(first.bias), tensors["stages.0.blocks.0.conv_dw.bias"]
    )


@pytest.mark.parametrize("old", [True, False])
def test_torchvision_s_names_of_a_transformer(old):
    tensors = vit_tensors("ViT", 14, width=768, depth=1)
    translated = torch_names.translate(tensors)
    found = torch_names.translate(vit_of_torchvision(tensors, old=old))
    assert list(found) == list(translated)
    assert found["blocks.0.attn.q.weight"].shape == (768, 768)
    assert found["pos_embed"].shape == (1, 197, 768)


TRANSFORMERS = {
    "timm's ViT": ("ViT", dict),
    "torchvision's ViT": ("ViT", vit_of_torchvision),
    "timm's DeiT": ("DeiT", dict),
    "DINOv2's own": ("DINOv2", dict),
    "timm's DINOv2": (
        "DINOv2",
        lambda tensors: {
            name.replace("register_tokens", "reg_token"): value
            for name, value in tensors.items()
            if name != "mask_token"
        },
    ),
}


def hub_network(kind, side=SIDE, **options):
    keras_hub = pytest.importorskip("keras_hub")
    if kind == "DINOv2" and options:
        return keras_hub.models.DINOV2Backbone(
            14,
            2,
            WIDTH,
            HEADS,
            16,
            num_register_tokens=2,
            image_shape=(side, side, 3),
            position_embedding_shape=(84, 84),
            **options,
        )
    return hub_networks.network(kind, side)


@pytest.mark.filterwarnings("ignore")  # of KerasHub, when it makes networks
@pytest.mark.parametrize("names", TRANSFORMERS)
@pytest.mark.parametrize("is_other_size", [False, True])
def test_a_transformer_gives_what_torch_computes(
    names, is_other_size, tmp_path
):
    torch = pytest.importorskip("torch")
    kind, rename = TRANSFORMERS[names]
    side = 96 if is_other_size else SIDE
    if kind == "DINOv2":
        side = side // 16 * 14
    tensors = vit_tensors(kind)
    path = write(torch, rename(tensors), tmp_path / "vit.pth")
    network = hub_network(kind, side)
    model = backbones.build(
        network, taps=(16,), weights=path, preprocessing="none"
    )
    pixels = (images(side) / 127.5 - 1).astype("float32")
    grid = SIDE // PATCH if is_other_size else None
    expected = vit_forward(torch, tensors, pixels, grid)
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        numpy(model(pixels)), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.filterwarnings("ignore")
def test_gated_blocks_and_positions_of_patches_alone(tmp_path):
    torch = pytest.importorskip("torch")
    network = hub_network("DINOv2", 56, use_swiglu_ffn=True)
    tensors = vit_tensors("DINOv2", gated=True)
    given = {**tensors, "pos_embed": tensors["pos_embed"][:, 1:]}
    given = {f"backbone.{name}": value for name, value in given.items()}
    path = write(torch, given, tmp_path / "vit.pt", lambda t: {"teacher": t})
    model = models.Baseline(
        network, 3, weights=path, preprocessing="none", tap=16
    )
    tensors["pos_embed"][:, :1] = 0  # timm's `no_embed_class`
    pixels = (images(56) / 127.5 - 1).astype("float32")
    np.testing.assert_allclose(
        numpy(model.features(pixels)),
        vit_forward(torch, tensors, pixels),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("ViT", {"norm.weight": None}, r"it has no 'norm.weight'\. Give"),
        (
            "ViT",
            {f"extra.{n}": 1.0 for n in "abcde"},
            r"it also has 'extra.a', 'extra.b', 'extra.c' and 2 more\. Give",
        ),
        ("DINOv2", "ViT", "has no 'reg_token', 'blocks.0.ls1.gamma', "),
        ("ViT", "DINOv2", r"has 'patch_embed.proj.weight' as \(14, 14, 3, 8\)"),
        ("ViT", {"pos_embed": np.ones((1, 13, 8))}, r"'pos_embed' as \(1, 13"),
        ("DINOv3", {}, "Only KerasHub's ViT, DeiT and DINOv2 take"),
        ("Swin", {}, "Only KerasHub's ViT, DeiT and DINOv2 take"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(kind, change, message, tmp_path):
    torch = pytest.importorskip("torch")
    network = hub_network(kind)
    if isinstance(change, str):
        tensors = vit_tensors(change)
    else:
        tensors = {**vit_tensors("ViT"), **change}
    tensors = {n: v for n, v in tensors.items() if v is not None}
    path = write(torch, tensors, tmp_path / "vit.pth")
    with pytest.raises(ValueError, match=message):
        backbones.build(network, weights=path, preprocessing="none")


@pytest.mark.filterwarnings("ignore")
def test_another_epsilon_is_refused():
    keras_hub = pytest.importorskip("keras_hub")
    network = keras_hub.models.ViTBackbone(
        (SIDE, SIDE, 3), PATCH, 2, HEADS, WIDTH, 16, layer_norm_epsilon=1e-3
    )
    with pytest.raises(ValueError, match=r"Received: layer_norm_epsilon=0\.0"):
        torch_names.variables(network)


def test_a_plain_model_takes_no_file():
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)]
    )
    for path in ("vit.pth", "some.weights.h5"):
        with pytest.raises(ValueError, match="must be None where `backbone`"):
            backbones.build(network, weights=path, preprocessing="none")


def test_another_named_backbone_takes_no_file(tmp_path):
    path = tmp_path / "mobilenet.pth"
    path.write_bytes(b"anything")
    with pytest.raises(ValueError, match="must be a file of Keras, because"):
        backbones.build("mobilenet_v2", weights=path)


def test_a_resnet_with_a_torch_file_is_torch_s(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "resnet50.pth").write_bytes(b"anything")
    with pytest.raises(ValueError, match=r"state dict of resnet50_v1_5: it is"):
        backbones.build("resnet50", weights=tmp_path / "resnet50.pth")
