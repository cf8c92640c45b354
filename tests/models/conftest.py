import keras
import pytest

from tests.eager import eager_steps


@pytest.fixture(autouse=True)
def eager_unless_compiled(request):
    """On TensorFlow steps are compiled only where the test is marked so.

    Marked are a training and a prediction of each model, and whatever a
    compiled function might have kept for itself. On JAX a step that is not
    compiled compiles each of its operations, which takes longer.
    """
    is_marked = request.node.get_closest_marker("compiled")
    if is_marked or keras.backend.backend() != "tensorflow":
        yield
    else:
        with eager_steps():
            yield
