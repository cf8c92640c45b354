import os
import pathlib
import subprocess
import sys

import pytest

import keras_fgvc
from keras_fgvc import recipes, training
from keras_fgvc.cli import parser

ROOT = pathlib.Path(keras_fgvc.__file__).parent.parent


@pytest.mark.parametrize("command", parser.COMMANDS)
def test_help_of_each_command_has_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    summary = parser.COMMANDS[command][0]
    assert summary[1:] in " ".join(text.split())
    example = text.split("example:\n")[1].split("\n\n")[0]
    lines = example.replace("\\\n", " ").splitlines()
    assert lines
    for line in lines:
        words = line.split("keras-fgvc ")[1].split(" > ")[0].split()
        assert parser.parse(words).command == command


def test_help_of_all_names_the_commands_and_the_exit_codes(capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command, (summary, *_) in parser.COMMANDS.items():
        assert f"{command:<9} {summary}" in text
    for code in (
        "0    all",
        "1    something",
        "2    wrong",
        "130  interrupted",
    ):
        assert code in text


def test_names_are_those_of_the_library():
    short = [name for name in recipes.available() if name.endswith("-short")]
    assert {f"{name}-short" for name in parser.METHODS} == set(short)
    train = ["train", "--data=d", "--workdir=w", "--method=elope"]
    for name in training.STRATEGIES:
        assert parser.parse([*train, "--strategy", name]).strategy == name
    assert parser.parse(train).strategy == "none"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["evaluate"], "required: --workdir"),
        (["predict", "--workdir=w"], "required: IMAGE"),
        (["predict", "a.png"], "one of the arguments --workdir --model"),
        (["predict", "--workdir=w", "--model=m", "a.png"], "not allowed with"),
        (["predict", "--workdir=w", "--top=0", "a.png"], "from 1. Received"),
        (["predict", "--workdir=w", "--top=x", "a.png"], "from 1. Received"),
        (["train", "--data=d", "--workdir=w"], "--method --recipe"),
        (["evaluate", "--workdir=w", "--spl=test"], "unrecognized"),
    ],
)
def test_wrong_usage(words, text, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse(words)
    assert stop.value.code == 2
    assert text in capsys.readouterr().err


def test_lists_and_numbers():
    train = ["train", "--data=d", "--workdir=w", "--recipe=elope-paper"]
    lists = ["--epochs=classifier=2,crops=1", "--stages=classifier,"]
    options = parser.parse([*train, *lists, "--seed=0"])
    assert options.epochs == ["classifier=2", "crops=1"]
    assert options.stages == ["classifier"]
    assert (options.seed, options.batch_size, options.rounds) == (0, None, 1)
    assert (options.recipe, options.method) == ("elope-paper", None)
    assert options.data_seed is None


@pytest.mark.parametrize("option", ["--help", "--version", "--nonsense"])
def test_the_console_command_answers_without_the_package(option, tmp_path):
    code = (
        "import sys, keras_fgvc_command\n"
        "try:\n"
        "    keras_fgvc_command.main()\n"
        "except SystemExit as stop:\n"
        "    code = stop.code or 0\n"
        "heavy = {'keras_fgvc', 'keras', 'tensorflow', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "sys.exit(code)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, option],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "AssertionError" not in process.stderr
    assert process.returncode == (2 if option == "--nonsense" else 0)
    if option == "--version":
        version = f"keras-fgvc {keras_fgvc.__version__}"
        assert process.stdout.strip() == version
