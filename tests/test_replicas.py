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
print("apart")
"""
TRAINING = """
from keras_fgvc.models import Coarse2Fine, PainlessAttention
from tests import tiny
images, labels = tiny.images_and_labels(8)
for make in (
    lambda: PainlessAttention(tiny.backbone(), 3, attend_at=(4, 8), tap=8),
    lambda: Coarse2Fine(tiny.backbone(), 3, image_size=32, tap=8),
    lambda: Coarse2Fine(
        tiny.backbone(), 3, image_size=32, tap=8, augment="crop_drop"),
):
    with both.scope():
        model = make()
        model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    history = model.fit(data, epochs=2, verbose=0, shuffle=False).history
    assert np.all(np.isfinite(history["loss"]))
    if hasattr(model, "center_loss"):
        copies = model.center_loss.centers.value.values
        np.testing.assert_array_equal(copies[0], copies[1])
        assert np.any(copies[0] != 0)
print("trained")
"""


@pytest.mark.parametrize(
    ("code", "answer"), [(SEEDS, "apart"), (TRAINING, "trained")]
)
def test_two_replicas(code, answer):
    check_answer(code, answer)
