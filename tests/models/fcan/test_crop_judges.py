"""Real crops as what is judged: caches, folds and the exact expectation."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.models import FCAN
from keras_fgvc.models.fcan import caches, crop_judges
from keras_fgvc.ops import crop_and_resize
from tests import tiny

BATCH, CLASSES, PARTS, FOLDS = 6, tiny.NUM_CLASSES, (1, 2), 2
RNG = np.random.default_rng(5)
LABELS = np.arange(BATCH).astype("int32") % CLASSES


def make(**options):
    settings = {
        "image_size": 40,  # maps of 5 x 5 cells
        "crop_size": 16,
        "part_sizes": PARTS,
        "judge": "crops",
        "places": 2,
        "num_samples": None,
        "folds": FOLDS,
        "taps": (8, 8),
    }
    model = FCAN(tiny.backbone(), CLASSES, **{**settings, **options})
    model.begin_stage("localizer")
    return model


def inputs(places=4, folds=FOLDS):
    own = np.eye(folds, dtype="float32")[np.arange(BATCH) % folds]
    return {
        "maps": RNG.normal(size=(BATCH, 5, 5, 11)).astype("float32"),
        "crops": RNG.normal(size=(BATCH, 2, places, 11)).astype("float32"),
        "own": own,
    }


def test_places_and_boxes_are_a_grid_from_border_to_border():
    model = make(places=3)
    ends = {1: [0.0, 0.4, 0.8], 2: [0.0, 0.4, 0.6]}  # by the part's size
    for part, size in enumerate(PARTS):
        corners = [
            [top, left, top + size / 5, left + size / 5]
            for top in ends[size]
            for left in ends[size]
        ]
        np.testing.assert_allclose(
            crop_judges.place_boxes(model)[part], corners, rtol=1e-5
        )


def test_the_grid_is_no_finer_than_the_windows_of_the_largest_part():
    model = make(places=9)
    assert crop_judges.place_boxes(model).shape == (2, 16, 4)
    assert model.places == 9  # as given, so that a file says the same


def test_the_reader_sends_each_crop_through_the_whole_images_network():
    images, _ = tiny.images_and_labels(2)
    model = make()
    images = images.astype("float32")
    found = crop_judges.crop_reader(model).predict_on_batch(images)
    network = crop_judges.graph.backbone_of(model.classifiers[0])
    boxes = crop_judges.place_boxes(model)
    assert found.shape == (2, 2, 4, 11)
    for part, place in np.ndindex(2, 4):
        box = np.tile(boxes[part, place], (2, 1, 1))
        crop = crop_and_resize(images, box, (16, 16))[:, 0]
        expected = to_numpy(network(crop)).mean(axis=(1, 2))
        np.testing.assert_allclose(
            found[:, part, place], expected, rtol=1e-4, atol=1e-5
        )


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def reference_table(judged, choice, greedy):
    """The expected reward of each place, `(b, t, p)`, case by case."""
    loss = -np.log(judged[np.arange(BATCH), ..., LABELS])
    right = judged.argmax(axis=-1) == LABELS[:, None, None]
    table = np.zeros(loss.shape)
    for b, t, place in np.ndindex(loss.shape):
        for before in range(loss.shape[2]):
            if greedy and t == 0:
                earned = right[b, t, place] / loss.shape[2]
            elif greedy:
                fell = loss[b, t, place] < loss[b, t - 1, before]
                earned = right[b, t, place] * fell * choice[b, t - 1, before]
            elif t == 0:
                earned = right[b, 1, before] * choice[b, 1, before]
            else:
                earned = right[b, t, place] / loss.shape[2]
            table[b, t, place] += earned
    return table


@pytest.mark.parametrize("reward", ["greedy", "final"])
def test_the_exact_expectation_against_loops(reward):
    model = make(reward=reward, places=3)
    task = crop_judges.CropTask(model)
    given = inputs(9)
    outputs = task(given, training=True)
    arrays = {name: to_numpy(value) for name, value in outputs.items()}
    judged = np.zeros((BATCH, 2, 9, CLASSES))
    policy = np.zeros((BATCH, 2, 9))
    teaching = np.zeros((BATCH, 2, 9))
    for b, t, place in np.ndindex(BATCH, 2, 9):
        kernel, bias = task.get_layer(f"judge_{t}_crops").get_weights()
        logits = (given["crops"][b, t, place] @ kernel + bias).reshape(2, -1)
        own = b % 2  # the other one learns
        judged[b, t, place] = softmax(logits[own])
        teaching[b, t, place] = -np.log(softmax(logits[1 - own])[LABELS[b]])
        row, column = task.places[t, place]
        powers = np.exp(arrays["scores"][b, ..., t].astype("float64"))
        policy[b, t, place] = powers[row, column] / powers.sum()
    np.testing.assert_allclose(policy.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        np.exp(arrays["judgements"]), judged, rtol=1e-4, atol=1e-6
    )
    terms = task.loss_terms(keras.ops.convert_to_tensor(LABELS), outputs, True)
    greedy = reward == "greedy"
    gained = (policy * reference_table(judged, policy, greedy)).sum(axis=-1)
    middle = np.tile(np.eye(9)[4], (BATCH, 2, 1))
    of_middle = (middle * reference_table(judged, middle, greedy)).sum(axis=-1)
    expected = {
        "policy": -gained.mean(axis=-1),
        "reward": gained.mean(axis=-1),
        "reward_lead": (gained - of_middle).mean(axis=-1),
        "cross_entropy": teaching.mean(axis=(1, 2)),
        "entropy": -(policy * np.log(policy)).sum(axis=-1).mean(axis=-1),
    }
    assert terms.keys() == expected.keys()
    assert 0 < gained.mean() < 1
    for name, values in expected.items():
        np.testing.assert_allclose(
            to_numpy(terms[name]), values, rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_samples_come_to_the_exact_expectation():
    outputs = {}
    for count in (None, 4000):
        keras.utils.set_random_seed(0)
        task = crop_judges.CropTask(make(num_samples=count))
        seen = {**inputs(), "maps": 3 * np.ones((BATCH, 5, 5, 11), "float32")}
        seen["crops"] = np.tile(np.eye(11, dtype="float32")[:4], (6, 2, 1, 1))
        found = task(seen, training=True)
        labels = keras.ops.convert_to_tensor(LABELS)
        outputs[count] = to_numpy(
            task.loss_terms(labels, found, True)["reward"]
        )
    assert 0 < outputs[None].mean() < 1
    np.testing.assert_allclose(outputs[4000], outputs[None], atol=0.05)


def test_no_image_teaches_the_judges_that_judge_it():
    """Of two judges, one learns from images of the other alone."""
    task = crop_judges.CropTask(make())
    given = inputs()
    given["own"][:] = [1.0, 0.0]
    task.compile(keras.optimizers.SGD(1.0))
    before = task.get_layer("judge_0_crops").get_weights()[1]
    task.fit(given, LABELS, batch_size=BATCH, verbose=0)
    moved = task.get_layer("judge_0_crops").get_weights()[1] - before
    assert np.all(moved[:CLASSES] == 0)
    assert np.all(moved[CLASSES:] != 0)


def test_a_single_judge_judges_and_learns():
    task = crop_judges.CropTask(make(folds=1))
    task.compile(keras.optimizers.SGD(1.0))
    before = task.get_layer("judge_0_crops").get_weights()[1]
    task.fit(inputs(folds=1), LABELS, batch_size=BATCH, verbose=0)
    assert np.all(task.get_layer("judge_0_crops").get_weights()[1] != before)


def test_each_image_keeps_its_crops_label_and_fold(tmp_path):
    images = tiny.labeled_images(13, 7)
    model = make(image_size=tiny.SIZE)
    data = caches.judged_maps(model, images, tmp_path, tiny.SIZE)
    assert data.split_sizes == {"train": 13, "validation": 7}
    in_order = data.crops.arrays("train")
    options = {"batch_size": 5, "load_size": tiny.SIZE, "augmentation": None}
    seen = []
    for given, labels in data.batches(
        "train", training=True, epochs=range(2), drop_remainder=False, **options
    ):
        maps, crops, own = (
            to_numpy(given[n]) for n in ("maps", "crops", "own")
        )
        for each in range(len(labels)):
            same = np.abs(in_order - crops[each]).max(axis=(1, 2, 3))
            row = int(same.argmin())
            assert same[row] == 0
            np.testing.assert_array_equal(
                maps[each], data.maps.arrays("train")[row]
            )
            assert labels[each] == data.maps.labels("train")[row]
            np.testing.assert_array_equal(own[each], np.eye(2)[row % 2])
            seen.append(row)
    assert sorted(seen) == sorted(2 * list(range(13)))
    assert seen[:13] != sorted(seen[:13])
    for given, _ in data.batches("validation", **options):
        np.testing.assert_array_equal(given["own"], 0.5)


def test_crops_are_read_once_and_again_for_another_network(tmp_path, capsys):
    images = tiny.labeled_images(13, 7)
    model = make(image_size=tiny.SIZE)
    arguments = (images, tmp_path, tiny.SIZE)
    first = caches.judged_maps(model, *arguments).crops.arrays("train")
    capsys.readouterr()
    again = caches.judged_maps(model, *arguments).crops.arrays("train")
    assert capsys.readouterr().out == ""
    np.testing.assert_array_equal(first, again)
    whole = model.classifiers[0]
    whole.set_weights([w + 0.1 for w in whole.get_weights()])
    other = caches.judged_maps(model, *arguments).crops.arrays("train")
    assert "compute differ" in capsys.readouterr().out
    assert not np.allclose(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"places": "windows"}, r"`places` must be an integer .*'windows'"),
        ({"places": 1}, r"`places` must be .* from 2. Received: places=1"),
        ({"part_sizes": (1, 5)}, r"two windows .*\(1, 5\) .* 5 x 5 cells"),
        ({"folds": 0}, r"`folds` must be at least 1"),
        ({"judge": "part"}, r"`num_samples` .*None with judge='part'"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
