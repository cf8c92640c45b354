import pytest

from tests.eager import eager_steps


@pytest.fixture(autouse=True)
def eager_unless_compiled(request):
    """Steps are compiled where the test is marked so, and only there.

    Marked are a training and a prediction of each model, and whatever a
    compiled function might have kept for itself.
    """
    if request.node.get_closest_marker("compiled"):
        yield
    else:
        with eager_steps():
            yield
