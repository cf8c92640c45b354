"""Two replicas on one machine, in a process of their own."""

import keras
import pytest

from tests.two_replicas import check_answer

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)

SEEDS = """
from keras_fgvc._replicas import SeedGenerator
with both.scope():
    generator = SeedGenerator(5)
draw = tf.function(lambda: keras.random.uniform((4,), seed=generator))
a, b = both.experimental_local_results(both.run(draw))
assert not np.allclose(a, b)
c, d = both.experimental_local_results(both.run(draw))
assert not np.allclose(a, c) and not np.allclose(b, d)
print("seeds apart")
"""
REGULARIZER = """
from keras_fgvc.models import Baseline
from tests import tiny
images, labels = tiny.images_and_labels(4)
found = []
for strategy in (one, both):
    with strategy.scope():
        model = Baseline(tiny.backbone(), 3, tap=8)
        kernel = model.get_layer("logits").kernel
        kernel.regularizer = keras.regularizers.L2(0.1)
        kernel.assign(keras.ops.ones_like(kernel))
        model.loss_weights = {"cross_entropy": 0.0}
        model.compile(keras.optimizers.SGD(0.1))
        data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
        loss = model.fit(data, verbose=0).history["loss"][0]
        found.append((loss, keras.ops.convert_to_numpy(kernel).max()))
np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
np.testing.assert_allclose(found[0][1], 0.98, rtol=1e-6)
print("counts once")
"""
FCAN = """
from keras_fgvc.models import FCAN
from keras_fgvc.models.fcan.tasks import GlimpseTask
from tests import tiny
_, labels = tiny.images_and_labels(12)
rng = np.random.default_rng(0)
maps = rng.normal(size=(12, 5, 5, 11)).astype("float32")

def make():
    keras.utils.set_random_seed(0)
    model = FCAN(
        tiny.backbone(), 3, image_size=40, crop_size=24, part_sizes=(2,),
        num_samples=7, taps=(8, 8), moving_baseline=True)
    model.begin_stage("localizer")
    return model

def train(model, inputs):
    model.compile(keras.optimizers.SGD(0.1))
    before = model.get_weights()
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(4)
    history = model.fit(data, epochs=2, verbose=0, shuffle=False).history
    assert np.all(np.isfinite(history["loss"]))
    after = model.get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(before, after)) > 0.01
    return after

def assert_baseline_is_shared(task):
    first, second = task.baseline.mean.value.values
    np.testing.assert_array_equal(first, second)
"""
FCAN_EQUAL = """
results = []
for strategy in (one, both):
    with strategy.scope():
        model = make()
        for glimpse in model.glimpses:
            # Each draw is of the best cell: chance has no say.
            glimpse.score.kernel.assign(1e6 * glimpse.score.kernel)
        task = GlimpseTask(model)
        weights = train(task, maps)
    results.append(weights)
for a, b in zip(*results, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
assert_baseline_is_shared(task)
rewards = keras.ops.convert_to_numpy(task.baseline.mean) / (1 - 0.99**6)
assert np.all((0 < rewards) & (rewards < 1))
print("equal")
"""
FCAN_GLIMPSES = """
with both.scope():
    task = GlimpseTask(make())
look = tf.function(lambda: task(maps, training=True)["locations"])
first, second = both.experimental_local_results(both.run(look))
assert not np.array_equal(first, second)
with both.scope():
    train(task, maps)
assert_baseline_is_shared(task)
print("glimpses apart")
"""


@pytest.mark.slow
def test_two_replicas():
    """One process: TensorFlow is long in coming up."""
    check_answer(
        SEEDS + REGULARIZER + FCAN + FCAN_EQUAL + FCAN_GLIMPSES,
        "seeds apart\ncounts once\nequal\nglimpses apart",
    )
