"""What TensorFlow writes while it loads is dropped; all else comes through."""

import os
import pathlib
import subprocess
import sys

import pytest

from keras_fgvc._quiet import (
    LEVEL,
    QUIET,
    less_noise,
    set_level,
    set_level_of_module,
)

ROOT = pathlib.Path(__file__).parent.parent
NOISE = (
    "I0000 00:00:1 1 port.cc:153] oneDNN custom operations are on.\n"
    "WARNING: All log messages before absl::InitializeLog() is called are\n"
    "To enable the following instructions: AVX2, in other operations\n"
)
ERROR = "E0000 00:00:1 1 cuda.cc:1] no device\n"
REAL = f"{ERROR}W0000 00:00:1 1 a.cc:1] wrong driver\nI am a bird\n"


def write(text):
    os.write(2, text.encode())


@pytest.fixture
def not_loaded(monkeypatch):
    """A process of a command, whose TensorFlow is not imported yet."""
    monkeypatch.setenv(QUIET, "1")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.delenv(LEVEL, raising=False)


@pytest.mark.usefixtures("not_loaded")
def test_noise_is_dropped_while_libraries_load(capfd):
    write("I0000 before\n")
    with less_noise():
        write(NOISE + REAL)
        print("a warning", file=sys.__stderr__)
        write("bytes \xff that are no UTF-8\n")
    write("I0000 after\n")
    lines = f"{REAL}a warning\nbytes \xff that are no UTF-8\n"
    assert capfd.readouterr().err == f"I0000 before\n{lines}I0000 after\n"


@pytest.mark.usefixtures("not_loaded")
def test_noise_is_dropped_before_an_error(capfd):
    def load():
        write(NOISE + "why\n")
        raise ImportError

    with pytest.raises(ImportError), less_noise():
        load()
    assert capfd.readouterr().err == "why\n"


@pytest.mark.parametrize("change", ["loaded", "asked for", "no sed", "library"])
@pytest.mark.usefixtures("not_loaded")
def test_where_nothing_is_dropped(change, monkeypatch, capfd):
    if change == "loaded":
        monkeypatch.setitem(sys.modules, "tensorflow", object())
    elif change == "asked for":
        set_level(debug=True)
    elif change == "library":
        monkeypatch.delenv(QUIET)
    else:
        monkeypatch.setenv("PATH", "/nowhere")
    with less_noise():
        write(NOISE)
    assert capfd.readouterr().err == NOISE
    os.environ.pop(LEVEL, None)


def test_the_level_of_a_command(monkeypatch):
    for name in (LEVEL, QUIET):  # set first, so that it is removed afterwards
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("sys.argv", ["/bin/keras-fgvc", "datasets"])
    set_level_of_module()
    assert not {LEVEL, QUIET} & set(os.environ)  # a library leaves them alone
    for words, level in ((["datasets"], "3"), (["datasets", "--debug"], "0")):
        monkeypatch.setattr("sys.argv", ["-m", *words])
        set_level_of_module()
        assert os.environ[LEVEL] == level
        assert os.environ[QUIET] == ("1" if level == "3" else "0")
    monkeypatch.setenv(LEVEL, "1")
    set_level(debug=False)
    assert os.environ[LEVEL] == "1"  # the user's own


def run(*words, quiet=None, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in (LEVEL, QUIET):
        environment.pop(name, None)
    if quiet is not None:
        environment[QUIET] = quiet
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        **options,
    )


def test_what_is_said_before_an_abort_is_not_lost():
    path = ROOT / "keras_fgvc" / "_quiet.py"
    code = (
        "import os, runpy\n"
        f"with runpy.run_path({str(path)!r})['less_noise']():\n"
        "    os.write(2, b'I0000 x\\nF0000 no AVX\\n')\n"
        "    os.abort()\n"
    )
    done = run("-c", code, quiet="1")
    assert done.returncode < 0
    assert done.stderr == "F0000 no AVX\n"


REGISTERED = """
import warnings
import tensorflow as tf

warnings.warn("a warning of Python")
tf.get_logger().warning("a warning of TensorFlow")
tf.get_logger().warning("5 calls triggered tf.function retracing")
"""


@pytest.mark.slow
def test_real_warnings_come_through_a_command(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(REGISTERED)
    words = ("datasets", "--name=cub200", "--register", mine)
    for command in (("-m", "keras_fgvc"), (ROOT / "keras_fgvc_command.py",)):
        done = run(*command, *words, cwd=tmp_path)
        assert done.returncode == 0
        assert "UserWarning: a warning of Python" in done.stderr
        assert "WARNING:tensorflow:a warning of TensorFlow" in done.stderr
        assert "retracing" not in done.stderr
        assert "0000 " not in done.stderr


SPAWN = """
import multiprocessing

def work(_):
    import keras_fgvc
    return keras_fgvc.__version__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(work, [0]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("examples/datasets.py", "--name=cub200"),
        ("examples/layer_in_your_model.py", "--num_train=32", "--epochs=0"),
        ("examples/compare.py", "--help"),
        ("examples/quickstart.py", "--help"),
        ("examples/sixth_method.py",),
        ("spawn.py",),
    ],
    ids=lambda words: words[0],
)
def test_scripts_and_workers_are_quiet(words, tmp_path):
    (tmp_path / "spawn.py").write_text(SPAWN)
    folder = tmp_path if words[0] == "spawn.py" else ROOT
    done = run(folder / words[0], *words[1:], quiet="1", cwd=tmp_path)
    noise = [line for line in done.stderr.splitlines() if "0000 " in line]
    # Where there is no GPU, TensorFlow's first operation says so.
    assert [line for line in noise if "failed call to cuInit" not in line] == []
    assert "All log messages" not in done.stderr
