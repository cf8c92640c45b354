import keras
import pytest

from tests.eager import eager_steps


@pytest.fixture(autouse=True)
def eager_unless_compiled(request):
    """On TensorFlow steps are compiled only where the test is marked so.

    Marked are a training and a prediction of each model, and whatever a
    compiled function might have kept for itself. On JAX, which compiles each
    operation of a step that is not compiled, there are these tests alone:
    what the others look at is the same code on each backend.
    """
    is_marked = request.node.get_closest_marker("compiled")
    backend = keras.backend.backend()
    if backend == "jax" and not is_marked:
        pytest.skip("runs on TensorFlow and PyTorch")
    if is_marked or backend != "tensorflow":
        yield
    else:
        with eager_steps():
            yield
