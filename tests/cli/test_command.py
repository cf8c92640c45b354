import logging
import os
import pathlib
import subprocess
import sys
import types

import pytest

import keras_fgvc
from keras_fgvc.cli import command, main
from keras_fgvc.cli.messages import UsageError, in_flags

ROOT = pathlib.Path(keras_fgvc.__file__).parent.parent


def raising(error):
    def run(options):
        del options
        raise error

    return run


@pytest.fixture
def datasets_raise(monkeypatch):
    """`main(["datasets"])` then raises what it is told."""

    def prepare(error):
        monkeypatch.setitem(command.COMMANDS, "datasets", raising(error))

    return prepare


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ValueError("no such bird"), 1, "error: no such bird"),
        (FileNotFoundError(2, "No such file", "x"), 1, "No such file: 'x'"),
        (ImportError("pip install it"), 1, "error: pip install it"),
        (UsageError("no such stage"), 2, "error: no such stage"),
        (
            KeyError("k"),
            1,
            "error: KeyError: 'k' (--debug shows the traceback)",
        ),
        (ValueError(), 1, "error: ValueError:  (--debug shows"),
        (KeyboardInterrupt(), 130, "keras-fgvc: interrupted.\n"),
        (KeyboardInterrupt("Go on."), 130, "interrupted. Go on.\n"),
    ],
)
def test_errors_are_one_sentence_and_a_code(
    error, code, text, datasets_raise, capsys
):
    datasets_raise(error)
    assert main(["datasets"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("keras-fgvc: ")
    assert text in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (
            "`top` must be. Received: top=9.",
            "--top must be. Received: --top=9.",
        ),
        ("`num_top` is wrong", "--top is wrong"),
        ("`name_or_path` is wrong", "--name is wrong"),
        ("`batch_size` is wrong", "`batch_size` is wrong"),  # not given
        ("`top=9` and top=9", "`top=9` and top=9"),
    ],
)
def test_arguments_are_named_as_options(text, flags):
    options = types.SimpleNamespace(top=9, name="x", batch_size=None)
    assert in_flags(text, options) == flags


def test_the_traceback_on_demand(datasets_raise, capsys):
    datasets_raise(ValueError("no such bird"))
    assert main(["datasets", "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "raise error" in err
    assert err.endswith("keras-fgvc: error: no such bird\n")


def test_what_nobody_can_change_is_for_debugging(monkeypatch, caplog):
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "filters", [])

    def warn(options):
        logger.warning("5 calls triggered tf.function retracing")
        logger.warning("a real one")
        return 0

    monkeypatch.setitem(command.COMMANDS, "datasets", warn)
    assert main(["datasets", "--debug"]) == 0
    assert [r.message for r in caplog.records][1:] == ["a real one"]
    caplog.clear()
    assert main(["datasets"]) == 0
    assert [r.message for r in caplog.records] == ["a real one"]


def test_the_exit_code_is_the_commands_own(monkeypatch):
    monkeypatch.setitem(command.COMMANDS, "datasets", lambda options: 1)
    assert main(["datasets"]) == 1


def test_wrong_usage_and_help_return_their_codes(capsys):
    assert main(["fly"]) == 2
    assert main(["train", "--help"]) == 0
    assert main(["--version"]) == 0
    assert keras_fgvc.__version__ in capsys.readouterr().out


@pytest.mark.parametrize("name", ["evaluate", "explain", "export", "report"])
def test_a_folder_without_a_run(name, tmp_path, capsys):
    image = tmp_path / "image.png"
    image.touch()
    words = [name, f"--workdir={tmp_path}"]
    words += {
        "explain": ["--out=x.png", str(image)],
        "export": ["--out=x"],
    }.get(name, [])
    assert main(words) == 1
    assert "holds no run: it has no run.json" in capsys.readouterr().err


def test_the_package_does_not_import_its_command_line():
    code = "import sys, keras_fgvc; sys.exit('keras_fgvc.cli' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_command_is_there():
    from keras_fgvc.cli import parser

    assert set(command.COMMANDS) == set(parser.NAMES)


def as_process(*words, **options):
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **options,
    )


@pytest.mark.slow
def test_as_a_module():
    process = as_process("-m", "keras_fgvc", "datasets", "--name=nope")
    assert process.returncode == 1
    assert "keras-fgvc: error: --name must be one of" in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""


def test_the_console_command_is_installed_and_runs_commands(monkeypatch):
    import distutils.core

    monkeypatch.chdir(ROOT)
    package = distutils.core.run_setup("setup.py", stop_after="init")
    (entry,) = package.entry_points["console_scripts"]
    name, module, function = entry.replace("=", " ").replace(":", " ").split()
    assert (name, package.py_modules) == ("keras-fgvc", [module])
    code = f"import sys; from {module} import {function} as f; sys.exit(f())"
    process = as_process("-c", code, "datasets", "--name=cub200")
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("cub200: 200 classes")
    assert process.stderr == ""  # nothing of what TensorFlow writes


@pytest.mark.slow
def test_a_reader_that_goes_away():
    """As `keras-fgvc predict ... | head -1`: no traceback, exit code 1."""
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "keras_fgvc", "datasets"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert process.returncode == 1
    assert "BrokenPipe" not in process.stderr
