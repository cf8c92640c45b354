import json
import re
import shlex
import types

import pytest

from keras_fgvc import recipes
from keras_fgvc.cli import main
from keras_fgvc.cli.parser import make_parser
from keras_fgvc.cli.report import _command
from keras_fgvc.training.reporting import _facts
from tests import tiny


def test_a_page_and_its_pictures(workdir, photographs, capsys):
    words = ["report", f"--workdir={workdir}", "--num-images=2"]
    assert main([*words, "--split=validation", "--num-mistakes=0"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == f"report: {workdir / 'report.html'}"
    found = {path.name for path in (workdir / "report").iterdir()}
    assert {"explanations.png", "curves.png"} <= found
    assert "mistakes.png" not in found
    page = (workdir / "report.html").read_text()
    title = re.search("<title>(.*)</title>", page)[1]
    assert title == f"ELoPE on {photographs.name}, validation split"
    assert "2 of 3, evenly over the split" in page
    assert "not recorded" in page  # a run of before, without made_by.json
    assert "Most confused pairs" in page
    assert re.search(r"<p class=\"note\">\w+/\d+.png</p>", page)
    run = json.loads((workdir / "run.json").read_text())
    assert run["recipe"]["name"] in page


def test_facts_are_of_the_stages_that_ran():
    recipe = recipes.get("fcan-short")
    images = tiny.labeled_images()
    model = types.SimpleNamespace(
        stages=("whole", "localizer"), count_params=lambda: 7
    )
    run = types.SimpleNamespace(
        recipe=recipe, seed=0, initial_weights="a.h5 (sha256 0123)"
    )
    facts = _facts(run, images, model)
    assert facts["initial weights"] == "a.h5 (sha256 0123)"
    assert facts["parameters"] == "7"
    assert [name for name in facts if "stage" in name] == ["stage 1", "stage 2"]
    assert facts["stage 1"].endswith(f"batches of {recipe.batch_size}")
    size = recipe.stages[1].batch_size
    assert size != recipe.batch_size
    assert facts["stage 2"].endswith(f"batches of {size}")


def test_the_command_that_writes_the_report_again(workdir):
    words = ["report", f"--workdir={workdir} new", "--split=validation"]
    options = make_parser().parse_args([*words, "--num-images=2"])
    command = shlex.split(_command(options))
    assert command[0] == "keras-fgvc"
    assert vars(make_parser().parse_args(command[1:])) == vars(options)


@pytest.mark.slow
def test_mistakes_where_there_are_any(workdir, capsys):
    words = ["report", f"--workdir={workdir}", "--num-mistakes=1"]
    assert main([*words, "--num-images=1"]) == 0
    page = (workdir / "report.html").read_text()
    top1 = float(re.search(r"top-1 ([\d.]+) %", capsys.readouterr().out)[1])
    assert top1 < 100  # or there is nothing to show
    assert (workdir / "report" / "mistakes.png").exists()
    assert "1 of 6, evenly over the split" in page


def test_a_split_that_is_not_there(workdir, tmp_path, photographs, capsys):
    train = tmp_path / "train_only"
    train.mkdir()
    (train / "train").symlink_to(photographs / "train")
    words = ["report", f"--workdir={workdir}", f"--data={train}"]
    assert main(words) == 1
    assert "--split must be one of 'train', 'validation'" in (
        capsys.readouterr().err
    )
