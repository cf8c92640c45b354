"""Every public layer against the contract; a layer without a case fails."""

import dataclasses
import inspect

import keras
import pytest

from keras_fgvc import layers
from tests.contract import POLICIES, Case, check_dtypes, check_layer


def features(rng):
    return (rng.uniform(-1, 1, (2, 5, 7, 3)).astype("float32"),)


def features_and_boxes(rng):
    low = rng.uniform(0.0, 0.4, (2, 3, 2))
    high = rng.uniform(0.5, 1.0, (2, 3, 2))
    boxes = keras.ops.convert_to_numpy(
        keras.ops.concatenate([low, high], axis=-1)
    ).astype("float32")
    return (*features(rng), boxes)


def fine_and_coarse(rng):
    shapes = ((2, 5, 7, 3), (2, 3, 4, 2))
    return tuple(rng.uniform(0, 1, s).astype("float32") for s in shapes)


def two_cells_and_one(rng):
    shapes = ((2, 1, 2, 3), (2, 1, 1, 2))
    return tuple(rng.uniform(0, 1, s).astype("float32") for s in shapes)


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


def features_and_saliency(rng):
    saliency = rng.uniform(0, 1, (2, 11, 13, 2)).astype("float32")
    return (*features(rng), saliency)


def class_scores(rng):
    return tuple(rng.normal(size=(2, 5)).astype("float32") for _ in range(3))


def images_and_boxes(rng):
    _, boxes = features_and_boxes(rng)
    return rng.uniform(0, 255, (2, 5, 7, 3)).astype("float32"), boxes


def images(rng):
    return (rng.uniform(0, 255, (2, 31, 37, 3)).astype("float32"),)


def channels_in_pairs(rng):
    return (rng.uniform(-1, 1, (2, 5, 7, 6)).astype("float32"),)


NORMALIZED = ("gamma", "beta", "moving_mean", "moving_variance")

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
    "ProposalViews": Case(
        layers.ProposalViews,
        {"noise_stddev": 20.0, "blur_sigma": 0.2, "seed": 5},
        images_and_boxes,
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
        {"pooling": "max", "normalize": True, "resize": True},
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
        switches=("return_masks",),
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
        switches=("return_gates",),
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
            "places": 2,
            "standardize": False,
            "num_samples": 4,
            "filters": 5,
            "kernel_size": 1,
            "seed": 2,
        },
        features,
        trains=("kernel", "bias"),
        dtype_kept=False,
    ),
    "PartAttentionFilter": Case(
        layers.PartAttentionFilter,
        {"filters": 5, "kernel_size": 1},
        features_and_saliency,
        # The first step finds zeros behind the hidden maps.
        trains=("mask_kernel", "mask_bias"),
        takes_list=True,
        switches=("return_mask",),
    ),
    "ClassScoreFusion": Case(
        layers.ClassScoreFusion,
        {"num_classes": 5},
        class_scores,
        trains=("kernel", "bias"),
        takes_list=True,
    ),
    "LocationHeatmap": Case(
        layers.LocationHeatmap,
        {"size": (4, 3)},
        fine_and_coarse,
        takes_list=True,
    ),
    "SaliencyPartProposals": Case(
        layers.SaliencyPartProposals,
        {
            # More than the 4 small anchors of the first level: both learn.
            "num_parts": 5,
            "filters": 5,
            "cells": 0.1,
            "scales": (1.5,),
            "ratios": (0.2, 5.0),
            "iou_threshold": 0.3,
            "hold_features": False,
        },
        two_cells_and_one,
        trains=("kernel", "bias"),
        takes_list=True,
        dtype_kept=False,
        switches=("return_candidates",),
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
    "GroupBilinear": Case(
        layers.GroupBilinear,
        {"groups": 2, "filters": 7, "codes": False},
        channels_in_pairs,
    ),
    "SemanticGrouping": Case(
        layers.SemanticGrouping,
        {"groups": 2, "filters": 4, "grouping_weight": 0.5},
        features,
        trains=("kernel", *NORMALIZED),
        switches=("return_loss",),
    ),
    "DeepBilinearTransformation": Case(
        layers.DeepBilinearTransformation,
        {"groups": 2, "filters": 8, "grouping_weight": 0.5},
        features,
        # The grouping's gamma waits: its loss does not see how long maps are.
        trains=("kernel", "residual/gamma", *NORMALIZED[1:]),
        switches=("return_loss",),
    ),
}


def test_every_layer_has_a_case():
    assert set(CASES) == set(layers.__all__)


@pytest.mark.parametrize("name", layers.__all__)
def test_contract(name, tmp_path):
    check_layer(CASES[name], tmp_path)


@pytest.mark.parametrize("name", layers.__all__)
def test_dtypes_with_the_defaults(name):
    """The contract's arguments are not the defaults: those decide too."""
    case = CASES[name]
    parameters = inspect.signature(case.layer).parameters
    needed = {
        key: value
        for key, value in case.arguments.items()
        if parameters[key].default is inspect.Parameter.empty
        or key in ("groups", "filters")
    }
    for policy in POLICIES:
        check_dtypes(dataclasses.replace(case, arguments=needed), policy)
