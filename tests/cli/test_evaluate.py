import json
import math

import pytest

from keras_fgvc import evaluation, training
from keras_fgvc.cli import main
from keras_fgvc.data.sources import files, remembered


@pytest.fixture(scope="module")
def expected(trained):
    """The figures of each split."""
    run = training.open_run(trained)
    model, images = run.load_model(), run.open_data()
    return {
        split: evaluation.evaluate(
            model, images, split, load_size=run.recipe.load_size
        )
        for split in ("test", "validation")
    }


def test_json(trained, expected, capsys):
    assert main(["evaluate", f"--workdir={trained}", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert found.pop("split") == "test"
    assert found == json.loads(json.dumps(expected["test"].as_dict()))


def test_the_table_of_another_split(trained, expected, capsys):
    words = ["evaluate", f"--workdir={trained}", "--split=validation"]
    assert main([*words, "--batch-size=1"]) == 0
    rows = [
        [cell.strip() for cell in line.split("  ", maxsplit=1)]
        for line in capsys.readouterr().out.splitlines()
    ]
    figures = expected["validation"]
    assert rows == [
        ["split", f"validation, {figures.images} images"],
        ["top-1", f"{100 * figures.top1:.2f} %"],
        ["top-5", f"{100 * figures.top5:.2f} %"],
        ["mean per class", f"{100 * figures.mean_per_class:.2f} %"],
        ["macro F1", f"{100 * figures.macro_f1:.2f} %"],
        [
            "negative log likelihood",
            f"{figures.negative_log_likelihood:.3f}",
        ],
        ["calibration error", f"{100 * figures.calibration_error:.2f} %"],
    ]
    # Another split than the default, or this proves nothing.
    assert figures.images != expected["test"].images


def test_figures_that_are_not_known_are_null(workdir, monkeypatch, capsys):
    real = evaluation.evaluate

    def with_a_gap(*args, **options):
        figures = real(*args, **options)
        figures.per_class["blue"] = math.nan
        figures.localization["boxes"] = 0.5
        figures.constant_localization["fixed mean box (train)"] = 0.25
        return figures

    monkeypatch.setattr(evaluation, "evaluate", with_a_gap)
    assert main(["evaluate", f"--workdir={workdir}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["per_class"]["blue"] is None
    assert found["constant_localization"] == {"fixed mean box (train)": 0.25}
    assert main(["evaluate", f"--workdir={workdir}"]) == 0
    rows = [r.split() for r in capsys.readouterr().out.splitlines()]
    assert [" ".join(row) for row in rows[-2:]] == [
        "IoU >= 0.5 by boxes 50.00 %",
        "IoU >= 0.5 by fixed mean box (train) 25.00 %",
    ]


def test_data_that_is_gone_and_data_that_was_moved(
    workdir, photographs, capsys
):
    path = workdir / "run.json"
    run = json.loads(path.read_text())
    run["opened_by"]["name_or_path"] = "/gone"
    path.write_text(json.dumps(run))
    words = ["evaluate", f"--workdir={workdir}", "--json"]
    assert main(words) == 1
    assert "looked for at /gone" in capsys.readouterr().err
    assert main([*words, f"--data={photographs}"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 6


def test_progress_is_no_part_of_the_answer(
    trained, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(remembered.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(files, "PROGRESS_AFTER", -1)  # at once
    assert main(["evaluate", f"--workdir={trained}", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "Checking 24 images" in err
    assert json.loads(out)["images"] == 6
