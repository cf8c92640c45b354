"""Every public layer against the contract; a layer without a case fails."""

import keras
import pytest

from keras_fgvc import layers
from tests.contract import Case, check_layer


def features(rng):
    return (rng.uniform(-1, 1, (2, 5, 7, 3)).astype("float32"),)


def features_and_boxes(rng):
    low = rng.uniform(0.0, 0.4, (2, 3, 2))
    high = rng.uniform(0.5, 1.0, (2, 3, 2))
    boxes = keras.ops.convert_to_numpy(
        keras.ops.concatenate([low, high], axis=-1)
    ).astype("float32")
    return (*features(rng), boxes)


def embeddings_and_labels(rng):
    embeddings = rng.normal(size=(7, 5)).astype("float32")
    return embeddings, rng.integers(0, 3, 7).astype("int32")


def parts_and_labels(rng):
    parts = rng.normal(size=(7, 2, 5)).astype("float32")
    return parts, rng.integers(0, 3, 7).astype("int32")


def features_and_attention(rng):
    attention = rng.uniform(0, 1, (2, 5, 7, 2)).astype("float32")
    return (*features(rng), attention)


def heads(rng):
    shapes = ((2, 3, 7), (2, 5), (2, 4))  # attended, features, logits
    return tuple(rng.normal(size=s).astype("float32") for s in shapes)


def images(rng):
    return (rng.uniform(0, 255, (2, 31, 37, 3)).astype("float32"),)


CASES = {
    "GlobalKMaxPooling": Case(
        layers.GlobalKMaxPooling,
        {"k": 3, "weighted": True},
        features,
        trains=("rank_weights",),
    ),
    "ROIAlign": Case(
        layers.ROIAlign,
        {"output_size": (3, 2), "samples": 3},
        features_and_boxes,
        takes_list=True,
    ),
    "PartCrop": Case(
        layers.PartCrop,
        {"output_size": (3, 2), "source": "features"},
        features_and_boxes,
        takes_list=True,
    ),
    "ClassMeanEmbeddingLoss": Case(
        layers.ClassMeanEmbeddingLoss,
        {
            "num_classes": 3,
            "rate": 0.4,
            "between_weight": 7.0,
            "margin": 0.6,
            "renormalize": True,
            "seed": 5,
        },
        embeddings_and_labels,
        trains=("means",),
        dtype_kept=False,
    ),
    "BilinearAttentionPooling": Case(
        layers.BilinearAttentionPooling,
        {"pooling": "max", "normalize": True},
        features_and_attention,
        takes_list=True,
    ),
    "AttentionCenterLoss": Case(
        layers.AttentionCenterLoss,
        {"num_classes": 3, "rate": 0.4, "normalize": True},
        parts_and_labels,
        trains=("centers",),
        dtype_kept=False,
    ),
    "SpatialSoftmaxAttention": Case(
        layers.SpatialSoftmaxAttention,
        {
            "num_heads": 2,
            "kernel_size": 3,
            "mask": "sigmoid",
            "diversity_weight": 0.2,
        },
        features,
        trains=("kernel", "bias"),
    ),
    "GatedOutputHeads": Case(
        layers.GatedOutputHeads,
        {
            "num_classes": 4,
            "reduction": "projection",
            "gates": True,
            "mix": "probabilities",
            "temperature": 0.7,
        },
        heads,
        trains=(
            "kernel_0",
            "bias_0",
            "gate_0",
            "reduction_0",
            "network_gate",
        ),
        dtype_kept=False,
    ),
    "AttentionUpsampler": Case(
        layers.AttentionUpsampler,
        {"factor": 3, "kernel_size": 7},
        features,
        trains=("kernel",),
    ),
    "GlimpseAttention": Case(
        layers.GlimpseAttention,
        {
            "region_size": 3,
            "num_samples": 4,
            "filters": 5,
            "kernel_size": 1,
            "seed": 2,
        },
        features,
        trains=("kernel", "bias"),
        dtype_kept=False,
    ),
    "LocalizationModule": Case(
        layers.LocalizationModule,
        {
            "output_size": (5, 4),
            "threshold": 0.4,
            "min_size": 0.1,
            "enabled": True,
        },
        images,
        trains=("kernel", "bias"),
        dtype_kept=False,
    ),
}


def test_every_layer_has_a_case():
    assert set(CASES) == set(layers.__all__)


@pytest.mark.parametrize("name", layers.__all__)
def test_contract(name, tmp_path):
    check_layer(CASES[name], tmp_path)
