import math

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import SaliencyPartProposals
from keras_fgvc.layers.saliency_part_proposals import bounded_deltas
from keras_fgvc.ops import decode_boxes
from tests.gradients import gradient
from tests.ops.regions.test_boxes import reference_nms
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(7)
MAPS = [
    RNG.normal(size=shape).astype("float32")
    for shape in ((2, 5, 7, 3), (2, 3, 4, 11))
]
OPTIONS = {
    "filters": 5,
    "cells": 1.5,
    "scales": (1.0, 1.3),
    "ratios": (0.5, 1.0, 1.7),
}
ANCHORS = 6  # per cell


def random_layer(num_parts=3, maps=MAPS, **options):
    layer = SaliencyPartProposals(num_parts, **{**OPTIONS, **options})
    layer.build([m.shape for m in maps])
    weights = [RNG.normal(size=w.shape) / 3 for w in layer.get_weights()]
    layer.set_weights(weights)
    return layer


def bounded(delta, cells=None):
    """At most a cell of a sixth of an anchor away, at most twice as high."""
    y, x, height, width = (float(number) for number in delta)
    stretch = np.log(2) * np.tanh((height - width) / np.log(2))
    size = (height + width) / 2
    down, across = cells or 2 * (OPTIONS.get("cells", 6.0),)
    return [
        np.tanh(y) / down,
        np.tanh(x) / across,
        size + stretch / 2,
        size - stretch / 2,
    ]


def raw_outputs(layer, maps=MAPS):
    """Scores and deltas of each level as the heads give them."""
    levels = [layer.hidden(level) for level in layer.pyramid(maps)]
    return [
        (to_numpy(layer.score(x)), to_numpy(layer.deltas(x))) for x in levels
    ]


def reference_candidates(raw, heatmap=None, side=None):
    """Boxes, scores and whether each may be chosen, of one image."""
    boxes, scores, inside = [], [], []
    for number, (score, deltas) in enumerate(raw):
        height, width, _ = score.shape
        cells = 2 * (OPTIONS["cells"],)
        if side is not None:  # the last level's, and half of it before
            share = side * 0.5 ** (len(raw) - 1 - number)
            cells = share * height, share * width
        for row, column in np.ndindex(height, width):
            y, x = (row + 0.5) / height, (column + 0.5) / width
            kind = 0
            for scale in OPTIONS["scales"]:
                for ratio in OPTIONS["ratios"]:
                    delta = bounded(deltas[row, column, 4 * kind :][:4], cells)
                    h = cells[0] * scale * math.sqrt(ratio) / height
                    w = cells[1] * scale / math.sqrt(ratio) / width
                    boxes.append(reference_box(y, x, h, w, delta))
                    scores.append(score[row, column, kind])
                    inside.append(on_foreground(heatmap, row, column, score))
                    kind += 1
    return np.array(boxes), np.array(scores), np.array(inside)


def reference_box(y, x, h, w, delta):
    y = min(max(y + delta[0] * h, 0), 1)
    x = min(max(x + delta[1] * w, 0), 1)
    h *= math.exp(min(delta[2], math.log(62.5)))
    w *= math.exp(min(delta[3], math.log(62.5)))
    return np.clip([y - h / 2, x - w / 2, y + h / 2, x + w / 2], 0, 1)


def on_foreground(heatmap, row, column, score):
    if heatmap is None:
        return True
    # The cell that holds (row + 1/2) / height, in whole numbers.
    i = (2 * row + 1) * heatmap.shape[0] // (2 * score.shape[0])
    j = (2 * column + 1) * heatmap.shape[1] // (2 * score.shape[1])
    return heatmap[i, j].mean() >= 0.5


def check_choice(layer, found, raw, heatmap=None, side=None):
    for image in range(2):
        boxes, scores, inside = reference_candidates(
            [(s[image], d[image]) for s, d in raw],
            None if heatmap is None else heatmap[image],
            side,
        )
        ranked = np.where(inside, scores, -np.inf)
        chosen, _ = reference_nms(
            boxes, ranked, layer.num_parts, layer.iou_threshold
        )
        expected = boxes[chosen], scores[chosen], boxes, ranked
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                to_numpy(ours)[image], theirs, **TOLERANCES["float32"]
            )


@pytest.mark.parametrize("size", [None, (5, 7), (10, 14), (2, 3), (11, 13)])
def test_choice_matches_loops(size):
    layer = random_layer()
    heatmap = None
    if size is not None:
        heatmap = RNG.integers(0, 2, (2, *size, 3)).astype("float32")
    found = layer(MAPS, heatmap, return_candidates=True)
    check_choice(layer, found, raw_outputs(layer), heatmap)


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_levels(count):
    maps = [*MAPS, MAPS[1][:, :2, :2]][:count]
    layer = random_layer(maps=maps)
    found = layer(maps, return_candidates=True)
    check_choice(layer, found, raw_outputs(layer, maps))


def test_centers_of_the_chosen_lie_in_the_foreground():
    layer = SaliencyPartProposals(4, **OPTIONS)  # zero deltas
    heatmap = np.zeros((2, 5, 7, 1), "float32")
    heatmap[:, 1:3, 4:6] = 1.0
    boxes = to_numpy(layer(MAPS, heatmap)[0])
    anywhere = to_numpy(layer(MAPS)[0])
    _, _, candidates, ranked = layer(MAPS, heatmap, return_candidates=True)
    assert np.isneginf(to_numpy(ranked)).mean() > 0.8
    centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    low, high = [1 / 5, 4 / 7], [3 / 5, 6 / 7]
    # Clipping moves centres by half of what it cuts off, here the right side.
    assert np.all(centers[..., 0] > low[0])
    assert np.all(centers[..., 0] < high[0])
    assert np.all(centers[..., 1] > low[1] - 0.1)
    assert np.all(centers[..., 1] < high[1])
    assert not np.allclose(boxes, anywhere)
    allowed = to_numpy(candidates)[np.isfinite(to_numpy(ranked))]
    for box in boxes.reshape(-1, 4):
        assert np.abs(allowed - box).max(axis=-1).min() < 1e-6


def test_without_a_center_in_the_foreground_every_anchor_counts():
    layer = random_layer()
    heatmap = np.zeros((2, 50, 70, 1), "float32")
    heatmap[0, 7, 7] = 1.0  # no centre of either level
    heatmap[1, 5, 5] = 1.0  # the centre of the first cell of 5 by 7
    found = layer(MAPS, heatmap, return_candidates=True)
    expected = layer(MAPS, return_candidates=True)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(to_numpy(ours)[0], to_numpy(theirs)[0])
    assert np.isfinite(to_numpy(found[3])[1]).sum() == ANCHORS


def test_the_best_box_is_repeated_where_none_is_left():
    layer = random_layer(4, iou_threshold=0.0)
    heatmap = np.zeros((2, 5, 7, 1), "float32")
    heatmap[:, 3, 3] = 1.0  # one cell of one level: its boxes all overlap
    layer.deltas.set_weights([0 * w for w in layer.deltas.get_weights()])
    boxes, scores, _, ranked = layer(MAPS, heatmap, return_candidates=True)
    boxes, scores = to_numpy(boxes), to_numpy(scores)
    np.testing.assert_array_equal(boxes, np.repeat(boxes[:, :1], 4, axis=1))
    best = to_numpy(ranked).max(axis=1, keepdims=True)
    np.testing.assert_array_equal(scores, np.repeat(best, 4, axis=1))


def test_first_boxes_are_anchors():
    layer = SaliencyPartProposals(2, **OPTIONS)
    found = layer(MAPS, return_candidates=True)[2]
    raw = [(s[0], 0 * d[0]) for s, d in raw_outputs(layer)]
    expected = reference_candidates(raw)[0]
    for image in to_numpy(found):
        np.testing.assert_allclose(image, expected, **TOLERANCES["float32"])


def gradients_of(layer, loss, heatmap):
    """Gradients of `loss(boxes, scores)`, by the ends of the weights' paths.

    Read off one step of gradient descent: the same on every backend.
    """
    inputs = [keras.Input(m.shape[1:]) for m in (*MAPS, heatmap)]
    boxes, scores = layer(inputs[:2], inputs[2])
    # Both outputs take part, by nothing: each weight has a gradient.
    nothing = 0.0 * (ops.sum(boxes, axis=(1, 2)) + ops.sum(scores, axis=1))
    model = keras.Model(inputs, loss(boxes, scores) + nothing)
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, y: ops.sum(y))
    before = layer.get_weights()
    model.train_on_batch([*MAPS, heatmap], np.zeros(2))
    after = layer.get_weights()
    layer.set_weights(before)
    paths = [w.path.split("/", 1)[1] for w in layer.weights]
    steps = [old - new for old, new in zip(before, after, strict=True)]
    return dict(zip(paths, steps, strict=True))


def kinds_of_chosen(layer, heatmap):
    """How often each of the anchors of a cell was chosen, of all images."""
    boxes, _, candidates, _ = layer(MAPS, heatmap, return_candidates=True)
    counts = np.zeros(ANCHORS)
    for chosen, image in zip(*map(to_numpy, (boxes, candidates)), strict=True):
        for box in chosen:
            found = np.abs(image - box).max(axis=-1).argmin()
            counts[found % ANCHORS] += 1
    return counts


def test_scores_teach_through_the_chosen_only():
    layer = random_layer(4)
    heatmap = RNG.integers(0, 2, (2, 5, 7, 1)).astype("float32")
    kinds = kinds_of_chosen(layer, heatmap)

    def loss(boxes, scores):
        return ops.sum(scores, axis=1)

    found = gradients_of(layer, loss, heatmap)
    # A bias of the score head is added to each anchor of its kind.
    np.testing.assert_allclose(
        found["score/bias"], kinds, **TOLERANCES["float32"]
    )
    for name in ("pyramid/lateral_0", "pyramid/lateral_1", "hidden", "score"):
        assert np.abs(found[f"{name}/kernel"]).max() > 1e-3
    np.testing.assert_array_equal(found["deltas/kernel"], 0.0)
    np.testing.assert_array_equal(found["deltas/bias"], 0.0)


def test_boxes_teach_through_the_chosen_only():
    # Small anchors in the middle: nothing is clipped.
    layer = SaliencyPartProposals(4, **{**OPTIONS, "cells": 0.1})
    heatmap = np.zeros((2, 5, 7, 1), "float32")
    heatmap[:, 1:4, 2:5] = 1.0
    boxes = to_numpy(layer(MAPS, heatmap)[0])
    kinds = kinds_of_chosen(layer, heatmap)

    def loss(boxes, scores):
        return ops.sum(boxes[..., 3] - boxes[..., 1], axis=1)  # widths

    found = gradients_of(layer, loss, heatmap)
    # A width grows by itself with its last delta, and with nothing else.
    growth = found["deltas/bias"].reshape(ANCHORS, 4)
    np.testing.assert_allclose(growth[:, :3], 0.0, atol=1e-6)
    total = (boxes[..., 3] - boxes[..., 1]).sum()
    np.testing.assert_allclose(growth[:, 3].sum(), total, rtol=1e-4)
    np.testing.assert_array_equal(growth[:, 3] > 0, kinds > 0)
    np.testing.assert_array_equal(found["score/kernel"], 0.0)


@pytest.mark.parametrize("hold_features", [True, False])
def test_gradients_into_the_features_are_held(hold_features):
    layer = random_layer(hold_features=hold_features)

    def loss(*maps):
        boxes, scores = layer(list(maps))
        return ops.sum(boxes) + ops.sum(scores)

    for result in gradient(loss, *MAPS):
        if hold_features:
            np.testing.assert_array_equal(result, 0.0)
        else:
            assert np.abs(result).max() > 1e-3


def test_gradients_are_finite_with_absurd_weights():
    layer = random_layer(hold_features=False)
    layer.set_weights([1e3 * w for w in layer.get_weights()])

    def loss(*maps):
        boxes, scores = layer(list(maps))
        return ops.sum(boxes) + ops.sum(scores)

    for result in gradient(loss, *MAPS):
        assert np.isfinite(result).all()


@pytest.mark.parametrize("known", [True, False])
def test_shapes_in_a_graph(known):
    layer = random_layer()
    sides = (lambda m: m.shape[1:3]) if known else (lambda m: (None, None))
    maps = [keras.Input((*sides(m), m.shape[-1])) for m in MAPS]
    heatmap = keras.Input((None, None, 2))
    outputs = layer(maps, heatmap, return_candidates=True)
    count = ANCHORS * (5 * 7 + 3 * 4) if known else None
    expected = [(None, 3, 4), (None, 3), (None, count, 4), (None, count)]
    assert [x.shape for x in outputs] == expected
    assert all(x.dtype == "float32" for x in outputs)
    values = RNG.uniform(size=(2, 7, 5, 2)).astype("float32")
    model = keras.Model([*maps, heatmap], outputs)
    results = model.predict([*MAPS, values], verbose=0)
    direct = layer(MAPS, values, return_candidates=True)
    for result, ours in zip(results, direct, strict=True):
        np.testing.assert_allclose(result, to_numpy(ours), rtol=1e-4, atol=1e-4)


def test_a_saved_model_with_a_heatmap(tmp_path):
    inputs = [keras.Input(m.shape[1:]) for m in MAPS]
    inputs.append(keras.Input((5, 7, 1)))
    layer = random_layer()
    model = keras.Model(inputs, layer(inputs[:2], heatmap=inputs[2]))
    heatmap = RNG.integers(0, 2, (2, 5, 7, 1)).astype("float32")
    expected = model.predict([*MAPS, heatmap], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    results = loaded.predict([*MAPS, heatmap], verbose=0)
    for ours, theirs in zip(results, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **TOLERANCES["float32"])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy):
    layer = random_layer(dtype=policy)
    assert layer.pyramid.laterals[1].compute_dtype == policy[6:]
    # A majority by 1 / 3000, which bfloat16 rounds to a tie or away.
    heatmap = np.zeros((2, 5, 7, 2), "float32")
    heatmap[:, 2, 3] = [0.5007, 0.4994]
    heatmap[:, 2, 2] = [0.5, 0.4999]
    outputs = layer(MAPS, heatmap, return_candidates=True)
    for output in outputs:
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
    # The middle cell of the fine level; no centre of the coarse one.
    assert np.isfinite(to_numpy(outputs[3])).sum() == 2 * ANCHORS
    assert np.isfinite(to_numpy(outputs[0])).all()


def test_names_of_weights():
    paths = [w.path.split("/", 1)[1] for w in random_layer().weights]
    names = [
        *(f"pyramid/lateral_{level}" for level in range(2)),
        *(f"pyramid/smoothing_{level}" for level in range(2)),
        *("hidden", "score", "deltas"),
    ]
    expected = {f"{n}/{w}" for n in names for w in ("kernel", "bias")}
    assert set(paths) == expected
    assert len(paths) == len(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_parts": 0}, "`num_parts` must be at least 1"),
        ({"filters": 0}, "`filters` must be at least 1"),
        ({"cells": -1.0}, "`cells` must be a positive number"),
        ({"cells": None}, "`cells` must be a positive number"),
        ({"side": 0.0}, "`side` must be a positive number"),
        ({"scales": ()}, "`scales` must be positive numbers"),
        ({"ratios": (0.0,)}, "`ratios` must be positive numbers"),
        ({"iou_threshold": 1.5}, "`iou_threshold` must be between"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        SaliencyPartProposals(**options)


def test_wrong_inputs():
    layer = SaliencyPartProposals(2, **OPTIONS)
    with pytest.raises(ValueError, match="must be a list of at least one map"):
        layer(MAPS[0])
    with pytest.raises(ValueError, match=r"`feature_maps\[1\]` must have 4"):
        layer([MAPS[0], MAPS[1][0]])
    with pytest.raises(ValueError, match="must go from fine to coarse"):
        layer(MAPS[::-1])
    with pytest.raises(ValueError, match="`heatmap` must have 4 axes"):
        layer(MAPS, MAPS[0][..., 0])
    layer(MAPS)
    with pytest.raises(ValueError, match="must have 2 maps"):
        layer(MAPS[:1])
    with pytest.raises(ValueError, match="`heatmap` must have 4 axes"):
        layer(MAPS, MAPS[0][..., 0])


def test_a_box_keeps_its_place_and_shape_but_not_its_size():
    """Far deltas: one cell of four, a ratio of two, a tenth of the sides."""
    layer = SaliencyPartProposals(1, cells=4.0, scales=[1.0], ratios=[1.0])
    maps = np.ones((1, 8, 8, 3), "float32")
    layer.build([maps.shape])
    tenth = np.log(0.1)
    layer.deltas.set_weights(
        [
            np.zeros((1, 1, 128, 4)),
            np.array([9.0, -9.0, tenth + 20.0, tenth - 20.0]),
        ]
    )
    boxes = to_numpy(layer([maps], return_candidates=True)[2])[0]
    # Anchors of 4 / 8; the centre of the cell in row 3 and column 4.
    y, x, side = 3.5 / 8 + 1 / 8, 4.5 / 8 - 1 / 8, 0.05
    half = side * math.sqrt(2) / 2, side / math.sqrt(2) / 2
    expected = [y - half[0], x - half[1], y + half[0], x + half[1]]
    np.testing.assert_allclose(boxes[3 * 8 + 4], expected, atol=1e-5)


def test_a_centre_moves_by_a_share_of_its_anchors_sides():
    """Four times as high as wide: four times as far down as across."""
    deltas = ops.convert_to_tensor([[[9.0, -9.0, 0.0, 0.0]]])
    moved = to_numpy(bounded_deltas(deltas, cells=4.0))
    anchor = np.float32([[0.3, 0.4, 0.7, 0.5]])
    box = to_numpy(decode_boxes(moved, anchor))[0, 0]
    center = (box[:2] + box[2:]) / 2
    np.testing.assert_allclose(center, [0.5 + 0.1, 0.45 - 0.025], atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_sides_of_the_image_match_loops(count):
    maps = [*MAPS, MAPS[1][:, :2, :2]][:count]
    layer = random_layer(maps=maps, side=0.3)
    found = layer(maps, return_candidates=True)
    check_choice(layer, found, raw_outputs(layer, maps), side=0.3)


def test_sides_of_the_image_are_six_cells_at_448_pixels():
    maps = [np.ones((1, n, n, 2), "float32") for n in (56, 28, 14)]
    cells, shares = (
        SaliencyPartProposals(3, filters=3, **options)
        for options in ({}, {"side": 3 / 7})
    )
    for layer in (cells, shares):
        layer.build([m.shape for m in maps])
    weights = [RNG.normal(size=w.shape) for w in cells.get_weights()]
    for layer in (cells, shares):
        layer.set_weights(weights)
    ours, theirs = (
        to_numpy(layer(maps, return_candidates=True)[2])
        for layer in (shares, cells)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
