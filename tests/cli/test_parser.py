import argparse
import os
import pathlib
import subprocess
import sys

import pytest

import keras_fgvc
from keras_fgvc import recipes, training
from keras_fgvc.cli import parser, train

ROOT = pathlib.Path(keras_fgvc.__file__).parent.parent


@pytest.mark.parametrize("command", parser.NAMES)
def test_help_of_each_command_has_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    summary = parser.read_command(command)["SUMMARY"]
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
    for name in parser.NAMES:
        summary = parser.read_command(name)["SUMMARY"]
        assert f"{name:<9} {summary}" in text
    for code in (
        "0    all",
        "1    something",
        "2    wrong",
        "130  interrupted",
    ):
        assert code in text


def test_names_are_those_of_the_library():
    short = [name for name in recipes.available() if name.endswith("-short")]
    assert {f"{name}-short" for name in train.METHODS} == set(short)
    words = ["train", "--data=d", "--workdir=w", "--method=elope"]
    for name in training.STRATEGIES:
        assert parser.parse([*words, "--strategy", name]).strategy == name
    assert parser.parse(words).strategy == "none"


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
    words = ["train", "--data=d", "--workdir=w", "--recipe=elope-paper"]
    lists = ["--epochs=classifier=2,crops=1", "--stages=classifier,"]
    lists += ["--set=crops.augmentation.random_crop=0.5,1,crops.momentum=0"]
    lists += ["--epochs=weighted=3"]
    options = parser.parse([*words, *lists, "--seed=0"])
    assert options.epochs == ["classifier=2", "crops=1", "weighted=3"]
    assert options.set == [
        "crops.augmentation.random_crop=0.5,1",
        "crops.momentum=0",
    ]
    assert parser.parse(words).set is None  # nothing left from the call before
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


def test_sizes_have_one_meaning():
    """`--load-size` is that of loading, and no trained run needs a size."""
    seen = {}
    for name in parser.NAMES:
        made = argparse.ArgumentParser()
        parser.read_command(name)["add_options"](parser.Options(made))
        for action in made._actions:
            if "size" in action.dest and action.dest != "batch_size":
                key = (action.dest, action.help.partition(" (default")[0])
                seen.setdefault(key, []).append(name)
    assert seen == {
        ("image_size", "side that the backbone sees, in pixels"): ["train"],
        ("load_size", "side at which images are loaded, in pixels"): [
            "train",
            "predict",  # for a .keras file, which does not hold its size
        ],
        ("resize", "how images are brought to that size"): [
            "train",
            "predict",
        ],
        ("batch_sizes", "of stages, as localizer=64"): ["train"],
    }
