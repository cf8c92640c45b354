"""The steps between attention maps and the second look, one by one."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.models.coarse2fine import attention_views as views
from keras_fgvc.ops import crop_and_resize

RNG = np.random.default_rng(0)
SIZE = 24
IMAGES = RNG.uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")


def spots(*places, cells=6):
    """One map an image, 1 at its place and 0 elsewhere: (b, 6, 6, 1)."""
    maps = np.zeros((len(places), cells, cells, 1), "float32")
    for image, (row, column) in enumerate(places):
        maps[image, row, column] = 1.0
    return maps


def enlarged(maps):
    return to_numpy(
        keras.ops.image.resize(maps, (SIZE, SIZE), data_format="channels_last")
    )[..., 0]


def reference_box(enlarged_map, threshold, padding):
    """Rows and columns at or above the share of the maximum, widened."""
    inside = np.argwhere(enlarged_map >= threshold * enlarged_map.max())
    (top, left), (bottom, right) = inside.min(0), inside.max(0) + 1
    box = np.array([top, left, bottom, right]) / SIZE
    return np.clip(box + padding * np.array([-1, -1, 1, 1]), 0, 1)


def scores_by_hand(features, kernel):
    """The product of each cell's features with each map's weights."""
    found = np.zeros((*features.shape[:3], kernel.shape[1]))
    for place in np.ndindex(found.shape):
        found[place] = features[place[:3]] @ kernel[:, place[3]]
    return found


@pytest.mark.parametrize("norm", ["standardize", "batch", "none"])
def test_attention_maps_are_a_product_with_each_channel(norm):
    features = RNG.normal(size=(2, 3, 5, 7)).astype("float32")
    layer = views.AttentionMaps(4, True, norm)
    found = to_numpy(layer(features, training=True))
    kernel = to_numpy(layer.kernel)[0, 0]
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(4), atol=1e-5)
    scores = scores_by_hand(features, kernel)
    if norm != "none":
        axes = (1, 2) if norm == "standardize" else (0, 1, 2)
        scores = scores - scores.mean(axes, keepdims=True)
        scores = scores / np.sqrt(scores.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found, np.maximum(scores, 0), atol=2e-3)


def test_batch_norm_keeps_statistics_of_each_look():
    features = RNG.normal(2, 1, (2, 3, 5, 7)).astype("float32")
    layer = views.AttentionMaps(4, norm="batch")
    layer(features, training=True)
    first, second = (to_numpy(n.moving_mean) for n in layer.batch_norms)
    assert np.all(first != 0)
    np.testing.assert_array_equal(second, 0)
    layer(features, second=True, training=True)
    np.testing.assert_allclose(
        to_numpy(layer.batch_norms[1].moving_mean), first, rtol=1e-5
    )


def test_an_offset_is_added_to_orthonormal_kernels():
    layer = views.AttentionMaps(4, offset=0.1)
    layer.build((None, 3, 5, 25))
    kernel = to_numpy(layer.kernel)[0, 0] - 0.1 / 5
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(4), atol=1e-5)


def test_with_an_offset_maps_start_where_positive_features_are_strong():
    """As behind a ReLU: on the object more channels are active."""
    rng, channels = np.random.default_rng(0), 1600
    features = rng.exponential(1, (20, 6, 6, channels)).astype("float32")
    features *= rng.uniform(size=features.shape) < 0.1
    features[:, 2:4, 2:4] *= 3
    shares = []
    for offset in (0.0, 0.1):
        keras.utils.set_random_seed(0)
        layer = views.AttentionMaps(16, offset=offset)
        maps = to_numpy(layer(features)).reshape(20, 36, 16)
        rows, columns = np.divmod(maps.argmax(1), 6)
        on = (rows // 2 == 1) & (columns // 2 == 1)
        shares.append(on.mean())
    # The draw of the kernel moves a share by some hundredths.
    assert shares[0] < 0.75 < shares[1], shares
    assert shares[1] > shares[0] + 0.1, shares


def test_a_standardized_map_cannot_die():
    """Scores that are all negative light up where they are least so."""
    features = -RNG.uniform(1, 2, (2, 3, 5, 1)).astype("float32")
    for norm, alive in (("standardize", True), ("none", False)):
        layer = views.AttentionMaps(1, True, norm)
        layer.build(features.shape)
        layer.kernel.assign(np.ones((1, 1, 1, 1)))
        assert bool(to_numpy(layer(features)).max() > 0) == alive


@pytest.mark.parametrize(
    ("old", "new"), [(True, "standardize"), (False, "none")]
)
def test_older_configs_say_whether_maps_are_standardized(old, new):
    config = views.AttentionMaps(4).get_config()
    for name in ("norm", "offset"):
        del config[name]
    layer = views.AttentionMaps.from_config({**config, "standardize": old})
    assert (layer.norm, layer.offset) == (new, 0.0)


def test_a_flat_map_stays_flat():
    features = np.full((1, 3, 5, 7), 1.7, "float32")
    found = to_numpy(views.AttentionMaps(2)(features))
    np.testing.assert_allclose(found, 0, atol=1e-2)


def test_inference_crops_by_the_mean_map():
    maps = spots((1, 1), (2, 4), (5, 0))
    two = np.concatenate([maps, 3 * maps], axis=-1)  # both agree
    found = views.CropAndDrop()([IMAGES, two], training=False)
    boxes = [reference_box(m, 0.1, 0.05) for m in enlarged(maps)]
    expected = crop_and_resize(IMAGES, np.float32(boxes), (SIZE, SIZE))
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), atol=1e-2)


def test_training_makes_crops_and_then_drops():
    maps = 7 * spots((1, 1), (2, 4), (5, 0))  # any scale will do
    found = to_numpy(views.CropAndDrop(seed=1)([IMAGES, maps], training=True))
    assert found.shape == (6, SIZE, SIZE, 3)
    for image, large in enumerate(enlarged(maps)):
        # The threshold is random: one of all must give this very crop.
        boxes = [
            reference_box(large, t, 0.1) for t in np.linspace(0.4, 0.6, 81)
        ]
        crops = crop_and_resize(
            np.repeat(IMAGES[image : image + 1], 81, axis=0),
            np.float32(boxes),
            (SIZE, SIZE),
        )
        distance = np.abs(to_numpy(crops) - found[image]).max(axis=(1, 2, 3))
        assert distance.min() < 1e-2
        dropped = np.all(np.abs(found[3 + image] - 127.5) < 1e-3, axis=-1)
        kept = np.all(np.abs(found[3 + image] - IMAGES[image]) < 1e-3, axis=-1)
        assert np.all(dropped ^ kept)
        assert np.all(dropped[large >= 0.5 * large.max()])
        assert not np.any(dropped[large < 0.2 * large.max()])


def test_two_draws_differ_and_two_predictions_do_not():
    attention = RNG.uniform(0, 1, (3, 6, 6, 5)).astype("float32")
    layer = views.CropAndDrop()
    first, second = (
        to_numpy(layer([IMAGES, attention], training=True)) for _ in range(2)
    )
    assert not np.array_equal(first, second)
    first, second = (
        to_numpy(layer([IMAGES, attention], training=False)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_a_map_is_drawn_in_training_and_averaged_otherwise():
    attention = np.zeros((40, 2, 2, 3), "float32") + np.arange(3)
    layer = views.MapChoice()
    drawn = to_numpy(layer(attention, training=True))
    assert drawn.shape == (40, 2, 2, 1)
    assert set(drawn[:, 0, 0, 0]) == {0, 1, 2}
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], drawn[:, 1, 1, 0])
    mean = to_numpy(layer(attention, training=False))
    np.testing.assert_allclose(mean, 1.0)


def test_highlight_keeps_the_peak_and_greys_the_rest():
    masks = np.zeros((3, SIZE, SIZE, 1), "float32")
    masks[:, :8, :8] = 0.3  # the largest: as good as 1
    masks[:, 8:16] = 0.15
    masks[:, 20:] = -0.2  # below zero is zero
    lit = to_numpy(views.Highlight()([IMAGES, masks]))
    np.testing.assert_allclose(lit[:, :8, :8], IMAGES[:, :8, :8], rtol=1e-5)
    half = (IMAGES[:, 8:16] + 127.5) / 2
    np.testing.assert_allclose(lit[:, 8:16], half, rtol=1e-5)
    np.testing.assert_allclose(lit[:, 16:], 127.5, rtol=1e-5)


def test_highlight_resizes_a_smaller_mask_and_survives_a_dead_one():
    small = np.ones((3, 6, 6, 1), "float32")
    np.testing.assert_allclose(
        to_numpy(views.Highlight()([IMAGES, small])), IMAGES, rtol=1e-4
    )
    dead = views.Highlight()([IMAGES, 0 * small])
    np.testing.assert_allclose(to_numpy(dead), 127.5)


def reference_object_box(mask, threshold, window):
    """Mean over the window inside the image, then the tight box."""
    reach = window // 2
    mean = np.zeros_like(mask)
    for y in range(SIZE):
        for x in range(SIZE):
            part = mask[
                max(0, y - reach) : y + reach + 1,
                max(0, x - reach) : x + reach + 1,
            ]
            mean[y, x] = part.mean()
    mean = (mean - mean.min()) / (mean.max() - mean.min())
    inside = np.argwhere(mean >= threshold)
    (top, left), (bottom, right) = inside.min(0), inside.max(0) + 1
    return np.array([top, left, bottom, right]) / SIZE


@pytest.mark.parametrize(("cell", "window"), [(4, 5), (5, 5), (1, 1)])
def test_object_box_is_that_of_the_averaged_map(cell, window):
    masks = RNG.uniform(0, 1, (3, SIZE, SIZE, 1)).astype("float32")
    masks[:, 6:15, 9:20] += 2.0
    boxes = to_numpy(views.ObjectBox(0.62, cell)(masks))
    assert boxes.shape == (3, 1, 4)
    for mask, box in zip(masks[..., 0], boxes[:, 0], strict=True):
        expected = reference_object_box(mask, 0.62, window)
        np.testing.assert_allclose(box, expected, atol=1e-6)


def test_fusion_averages_probabilities_of_the_first_view():
    coarse = RNG.normal(size=(2, 3)).astype("float32")
    fine = RNG.normal(size=(4, 3)).astype("float32")  # crops, then drops

    def shares(logits):
        powers = np.exp(np.asarray(logits))
        return powers / powers.sum(axis=1, keepdims=True)

    expected = {
        "both": (shares(coarse) + shares(fine[:2])) / 2,
        "coarse": shares(coarse),
        "fine": shares(fine[:2]),
    }
    for name, probabilities in expected.items():
        logits = to_numpy(views.HeadFusion(name)([coarse, fine]))
        np.testing.assert_allclose(shares(logits), probabilities, rtol=1e-4)
