"""One place for what every test shares: seeds, quiet logs, little compiling."""

import collections
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Tests compile much and compute little: code that is made faster costs more.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import keras
import pytest

from tests.eager import eager_steps

# The files that take longest, the longest first: begun last, they would leave
# a worker waiting.
LONG = (
    "training/test_strategies.py",
    "training/test_methods.py",
    "models/test_compiled.py",
    "models/test_daf.py",
    "layers/test_contract.py",
    "test_examples.py",
    "training/test_stages.py",
)
# What comes after a training, or reads what it left: the steps themselves are
# compiled in tests/models, tests/layers and training/test_strategies.py.
EAGER = (
    "tests/cli/",
    "tests/data/",
    "tests/decoding/",
    "tests/evaluation/",
    "tests/export/",
    "tests/serving/",
    "tests/test_docstrings.py",
    "tests/training/test_runs.py",
    "tests/training/test_stages.py",
    "tests/visualization/",
)


_seconds = collections.Counter()  # by file


def pytest_addoption(parser):
    parser.addoption(
        "--slowest-files",
        type=int,
        default=0,
        help="how many files to list by the time of their tests",
    )


def pytest_runtest_logreport(report):
    _seconds[report.nodeid.split("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter, config):
    """Lists the files to mend first when the whole run becomes too long."""
    count = config.getoption("--slowest-files")
    if count:
        terminalreporter.section(f"{count} slowest files")
        for file, seconds in _seconds.most_common(count):
            terminalreporter.write_line(f"{seconds:7.1f} s  {file}")


def pytest_collection_modifyitems(items):
    """Long files come first, the others as they were."""

    def place(item):
        path = item.path.as_posix()
        return next(
            (n for n, file in enumerate(LONG) if file in path), len(LONG)
        )

    items.sort(key=place)


@pytest.fixture(autouse=True)
def fixed_seed():
    """Every test starts from the same global random state."""
    keras.utils.set_random_seed(20110)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is remembered in the home of whoever runs the tests."""
    folder = str(tmp_path_factory.mktemp("cache"))
    os.environ["KERAS_FGVC_CACHE"] = folder


@pytest.fixture(scope="module", autouse=True)
def eager_modules(request):
    """Before what a module trains for all of its tests."""
    if any(place in request.path.as_posix() for place in EAGER):
        with eager_steps():
            yield
    else:
        yield


@pytest.fixture
def eager():
    """No step of a model is compiled."""
    with eager_steps():
        yield
