"""What FCAN's stages minimise, against plain loops, and what it teaches."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import recipes, training
from keras_fgvc.models import FCAN
from keras_fgvc.models.fcan import RECIPES, tasks
from tests import tiny
from tests.tolerances import TOLERANCES

BATCH, CLASSES, PARTS, SAMPLES = 6, tiny.NUM_CLASSES, (1, 2), 7
RNG = np.random.default_rng(3)
MAPS = RNG.normal(size=(BATCH, 5, 5, 11)).astype("float32")
LABELS = np.arange(BATCH).astype("int32") % CLASSES


def make(**options):
    settings = {
        "image_size": 40,
        "crop_size": 24,
        "part_sizes": PARTS,
        "num_samples": SAMPLES,
        "taps": (8, 8),
    }
    model = FCAN(tiny.backbone(), CLASSES, **{**settings, **options})
    model.begin_stage("localizer")
    return model


def window(maps, location, size):
    top, left = np.clip(np.array(location) - size // 2, 0, 5 - size)
    return maps[top : top + size, left : left + size]


def weights_of(task, name):
    return task.get_layer(name).get_weights()


def log_softmax(logits):
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def reference_judgements(task, locations, judge):
    samples = locations.shape[2]
    judged = np.zeros((BATCH, len(PARTS), samples, CLASSES))
    for b in range(BATCH):
        for t in range(len(PARTS)):
            for k in range(samples):
                steps = range(t + 1) if judge == "all" else [t]
                for number, u in enumerate(steps):
                    kernel, bias = weights_of(task, f"judge_{t}_{number}")
                    cut = window(MAPS[b], locations[b, u, k], PARTS[u])
                    judged[b, t, k] += cut.reshape(-1) @ kernel + bias
                if judge == "all":
                    kernel, bias = weights_of(task, f"judge_{t}_whole")
                    judged[b, t, k] += MAPS[b].mean((0, 1)) @ kernel + bias
    return judged


def middle_judgements(task, judge):
    """One cell in the middle of 5 x 5, and the 2 x 2 cells next to it."""
    middle = np.tile([[[2, 2]], [[2, 2]]], (BATCH, 1, 1, 1))
    return reference_judgements(task, middle, judge)


def reference_terms(outputs, reward):
    """Equations 1, 4 and 6, sample by sample."""
    scores, locations = outputs["scores"], outputs["locations"]
    samples = locations.shape[2]
    terms = {"policy": [], "cross_entropy": [], "reward": [], "entropy": []}
    for b in range(BATCH):
        sums = dict.fromkeys(terms, 0.0)
        for t in range(len(PARTS)):
            policy = log_softmax(scores[b, ..., t].reshape(-1)).reshape(5, 5)
            sums["entropy"] -= (np.exp(policy) * policy).sum()
            for k in range(samples):
                logs = [
                    log_softmax(outputs["judgements"][b, u, k])
                    for u in range(len(PARTS))
                ]
                right = [log.argmax() == LABELS[b] for log in logs]
                loss = [-log[LABELS[b]] for log in logs]
                if reward == "final":
                    earned = right[-1]
                else:
                    earned = right[t] and (t == 0 or loss[t] < loss[t - 1])
                row, column = locations[b, t, k]
                sums["policy"] -= earned * policy[row, column] / samples
                sums["reward"] += earned / samples
                sums["cross_entropy"] += loss[t] / samples
        for name in terms:
            terms[name].append(sums[name] / len(PARTS))
    return terms


@pytest.mark.parametrize("judge", ["part", "all"])
@pytest.mark.parametrize("reward", ["greedy", "final"])
def test_losses_against_loops(judge, reward):
    model = make(judge=judge, reward=reward, entropy_weight=0.3)
    task = tasks.GlimpseTask(model)
    outputs = task(MAPS, training=True)
    arrays = {name: to_numpy(value) for name, value in outputs.items()}
    assert arrays["locations"].shape == (BATCH, len(PARTS), SAMPLES, 2)
    np.testing.assert_allclose(
        arrays["judgements"],
        reference_judgements(task, arrays["locations"], judge),
        rtol=1e-4,
        atol=1e-5,
    )
    found = task.loss_terms(keras.ops.convert_to_tensor(LABELS), outputs, False)
    expected = reference_terms(arrays, reward)
    assert 0 < np.mean(expected["reward"]) < 1
    # What the same judges reward in the middle is taken off.
    middle = {**arrays, "judgements": middle_judgements(task, judge)}
    middle["locations"] = arrays["locations"][:, :, :1]
    of_middle = reference_terms(middle, reward)["reward"]
    expected["reward_lead"] = np.subtract(expected["reward"], of_middle)
    for name, values in expected.items():
        np.testing.assert_allclose(
            to_numpy(found[name]), values, rtol=1e-4, atol=1e-5, err_msg=name
        )
    assert task.loss_weights == {
        "policy": 1.0,
        "cross_entropy": 1.0,
        "reward": 0.0,
        "reward_lead": 0.0,
        "entropy": -0.3,
    }


def test_the_best_region_is_judged_outside_training():
    model = make()
    outputs = tasks.GlimpseTask(model).predict(MAPS, verbose=0)
    assert outputs["locations"].shape == (BATCH, 2, 1, 2)
    np.testing.assert_allclose(
        outputs["probabilities"],
        to_numpy(keras.ops.softmax(outputs["judgements"][:, -1, 0])),
        **TOLERANCES["float32"],
    )


def step(model, **changes):
    """Weights of glimpses and judges before and after one step."""
    task = tasks.GlimpseTask(model)
    task.loss_weights.update(changes)
    glimpses = [w for g in model.glimpses for w in g.trainable_weights]
    known = {id(w) for w in glimpses}
    judges = [w for w in task.trainable_weights if id(w) not in known]
    groups = {"glimpses": glimpses, "judges": judges}
    before = {n: [to_numpy(w.value) for w in g] for n, g in groups.items()}
    task.compile(keras.optimizers.SGD(0.5))
    task.fit(MAPS, LABELS, verbose=0, batch_size=BATCH)
    return {
        name: [
            np.array_equal(old, to_numpy(w.value))
            for old, w in zip(before[name], group, strict=True)
        ]
        for name, group in groups.items()
    }


def test_each_loss_teaches_its_own():
    """Rewards teach the glimpses alone, the judges' loss the judges alone."""
    still = step(make(), policy=0.0)
    assert all(still["glimpses"])
    assert not any(still["judges"])
    still = step(make(), cross_entropy=0.0)
    assert all(still["judges"])
    assert not all(still["glimpses"])


def test_without_reward_no_glimpse_moves():
    model = make()
    task = tasks.GlimpseTask(model)
    outputs = task(MAPS, training=True)
    # Judges who are sure of a wrong class everywhere.
    wrong = keras.ops.one_hot((LABELS + 1) % CLASSES, CLASSES) * 9.0
    outputs["judgements"] = keras.ops.broadcast_to(
        keras.ops.reshape(wrong, (BATCH, 1, 1, CLASSES)),
        outputs["judgements"].shape,
    )
    terms = task.loss_terms(keras.ops.convert_to_tensor(LABELS), outputs, True)
    assert np.all(to_numpy(terms["policy"]) == 0)
    assert np.all(to_numpy(terms["reward"]) == 0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_moving_baseline_moves_under_half_precision(policy):
    """Its steps of a hundredth would be rounded away."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        baseline = tasks.GlimpseTask(make(moving_baseline=True)).baseline
    finally:
        keras.config.set_dtype_policy(before)
    baseline.mean.assign([0.5, 0.5])
    rewards = keras.ops.full((1, 2, 3), 0.6)
    for _ in range(100):
        seen = baseline(rewards, training=True)
    expected = 0.6 - 0.1 * 0.99 ** np.array([99, 100])
    np.testing.assert_allclose(to_numpy(seen)[0, 0, 0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(
        to_numpy(baseline.mean)[0], expected[1], rtol=1e-5
    )


def test_moving_baseline_is_taken_off_and_follows_the_rewards():
    model = make(moving_baseline=True)
    task = tasks.GlimpseTask(model)
    task.baseline.mean.assign([0.5, 0.25])
    outputs = task(MAPS, training=True)
    labels = keras.ops.convert_to_tensor(LABELS)
    plain = tasks.GlimpseTask(make())
    shared = {**outputs}
    rewards = to_numpy(
        plain.loss_terms(labels, shared, False)["reward"]
    )  # mean over both steps
    shift = 0.0
    for t, mean in enumerate((0.5, 0.25)):
        scores = to_numpy(outputs["scores"])[..., t].reshape(BATCH, -1)
        logs = np.array([log_softmax(s) for s in scores]).reshape(BATCH, 5, 5)
        for k in range(SAMPLES):
            rows, columns = to_numpy(outputs["locations"])[:, t, k].T
            shift += mean * logs[range(BATCH), rows, columns] / SAMPLES / 2
    expected = to_numpy(plain.loss_terms(labels, shared, False)["policy"])
    found = task.loss_terms(labels, outputs, False)["policy"]
    np.testing.assert_allclose(to_numpy(found), expected + shift, rtol=1e-4)
    np.testing.assert_array_equal(to_numpy(task.baseline.mean), [0.5, 0.25])
    task.loss_terms(labels, outputs, True)
    moved = to_numpy(task.baseline.mean) - [0.5, 0.25]
    # A hundredth of the way to the batch's mean rewards.
    np.testing.assert_allclose(
        moved.mean(), 0.01 * (rewards.mean() - 0.375), rtol=1e-3, atol=1e-7
    )


def telling_maps(count, seed):
    """Noise, one cell that says the class, and four that say nothing."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 0.3, (count, 81, 11)).astype("float32")
    labels = rng.integers(0, 5, count).astype("int32")
    cells = np.array([rng.permutation(81)[:5] for _ in range(count)])
    image = np.arange(count)
    maps[image, cells[:, 0], labels] += 3
    maps[image, cells[:, 0], 5] += 3
    for decoy in range(1, 5):
        maps[image, cells[:, decoy], 6 + decoy] += 3
        maps[image, cells[:, decoy], 6] += 3
    places = np.stack(np.divmod(cells[:, 0], 9), axis=-1)
    return maps.reshape(count, 9, 9, 11), labels, places


def as_of_a_deep_network(maps, channels):
    """Mixes them into so many channels, none of which is negative."""
    mix = np.random.default_rng(2).normal(size=(11, channels))
    return np.maximum(maps @ mix.astype("float32") + 0.5, 0)


def share_of_regions_that_show(places, task, maps):
    """Regions of 3 x 3 cells that hold a place."""
    locations = task.predict(maps, verbose=0)["locations"][:, 0, 0]
    centres = np.clip(locations, 1, 7)
    return np.mean(np.all(np.abs(centres - places) <= 1, axis=1))


def glimpse_task(channels, part_sizes=(3,), **options):
    """A task on maps of 9 x 9 cells and so many channels, for 5 classes."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(channels, 8, strides=8)(image)
    model = FCAN(
        keras.Model(image, maps),
        5,
        image_size=72,
        crop_size=24,
        part_sizes=part_sizes,
        taps=(8, 8),
        **options,
    )
    model.begin_stage("localizer")
    return model, tasks.GlimpseTask(model)


LEARNS = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="slow, and the same everywhere"
)


@pytest.mark.compiled
@LEARNS
@pytest.mark.parametrize(
    "channels", [11, pytest.param(512, marks=pytest.mark.slow)]
)
def test_it_learns_to_look_where_the_class_is_told(channels):
    """With the paper's optimizer and rate; by chance 9 of 81 regions do."""
    _, task = glimpse_task(channels)
    maps, labels, _ = telling_maps(512, seed=0)
    others, _, places = telling_maps(100, seed=1)
    if channels > 11:
        maps = as_of_a_deep_network(maps, channels)
        others = as_of_a_deep_network(others, channels)
    assert share_of_regions_that_show(places, task, others) < 0.5
    task.compile(keras.optimizers.RMSprop(0.01))
    task.fit(maps, labels, batch_size=64, epochs=6, verbose=0)
    assert share_of_regions_that_show(places, task, others) > 0.8


@pytest.mark.compiled
@LEARNS
@pytest.mark.parametrize("name", [r.name for r in RECIPES])
def test_no_rate_of_a_recipe_closes_the_policy_of_many_channels(name):
    """30 steps on noise, from which nothing is to be learned."""
    stage = recipes.get(name).stages[1]
    model, task = glimpse_task(512, part_sizes=(2, 4))
    rng = np.random.default_rng(0)
    maps = rng.normal(-0.3, 1, (64, 9, 9, 512)).astype("float32")
    maps = np.maximum(maps, 0)
    labels = rng.integers(0, 5, 64).astype("int32")
    task.compile(training.make_optimizer(stage, 30, model))
    epochs = task.fit(maps, labels, batch_size=32, epochs=15, verbose=0)
    flat = np.mean(np.log([8 * 8, 6 * 6]))
    assert epochs.history["entropy"][0] < flat + 1e-3
    assert epochs.history["entropy"][-1] > 0.5 * flat
