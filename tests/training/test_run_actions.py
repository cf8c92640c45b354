"""What a run answers, and that it tells when it is not finished."""

import shutil

import numpy as np
import pytest

from keras_fgvc import evaluation, training
from keras_fgvc.cli import main
from keras_fgvc.data import decode_and_resize
from tests.cli.conftest import LOAD_SIZE, NAMES, trained

__all__ = ["trained"]  # the fixture: a run of all of ELoPE's stages

UNFINISHED = "4-weighted still to be trained.*--unfinished"


@pytest.fixture
def run(trained):
    return training.open_run(trained)


@pytest.fixture
def unfinished(trained, tmp_path):
    """The same run before its last stage was finished."""
    folder = shutil.copytree(trained, tmp_path / "unfinished")
    (folder / "4-weighted" / "done.json").unlink()
    return training.open_run(folder)


def test_evaluates_at_the_size_of_its_images(run):
    expected = evaluation.evaluate(
        run.load_model(), run.open_data(), "test", load_size=LOAD_SIZE
    )
    assert run.evaluate() == expected
    assert run.evaluate("validation").images != expected.images


def test_predicts_files_and_folders(run, photographs):
    folder = photographs / "test" / "red"
    answers = run.predict([folder, "gone.png"], num_top=2)
    assert [a["path"] for a in answers[:-1]] == sorted(
        map(str, folder.iterdir())
    )
    assert answers[-1] == {"path": "gone.png", "error": "does not exist"}
    model = run.load_model()
    for answer in answers[:-1]:
        with open(answer["path"], "rb") as file:
            pixels = decode_and_resize(file.read(), (LOAD_SIZE, LOAD_SIZE))
        outputs = model.predict_on_batch(pixels.numpy()[None])
        best = np.argsort(-outputs["probabilities"][0])[:2]
        assert answer["top_classes"] == [NAMES[i] for i in best]
        np.testing.assert_allclose(
            answer["boxes"], outputs["boxes"][0], atol=1e-5
        )


def test_explains_what_can_be_read(run, photographs, tmp_path):
    picture = tmp_path / "seen.png"
    good = next((photographs / "test" / "red").iterdir())
    assert run.explain([good, "gone.png"], picture) == [
        ("gone.png", "does not exist")
    ]
    assert picture.stat().st_size
    with pytest.raises(ValueError, match=r"no image.*gone\.png does not exist"):
        run.explain(["gone.png"], picture)
    with pytest.raises(ValueError, match=r"at most 60 images. Received: 61"):
        run.explain([good] * 61, picture)


@pytest.mark.slow
def test_reports_and_exports(unfinished, monkeypatch):
    page = unfinished.report(num_images=1, num_mistakes=0, unfinished=True)
    assert page == unfinished.workdir / "report.html"
    assert "<html" in page.read_text(encoding="utf-8")
    seen = {}

    def write(model, path, **settings):
        seen.update(settings, path=path)
        return path

    monkeypatch.setattr("keras_fgvc.export.export_onnx", write)
    assert unfinished.export("a.onnx", "onnx", unfinished=True) == "a.onnx"
    assert seen == {
        "path": "a.onnx",
        "class_names": NAMES,
        "load_size": LOAD_SIZE,
        "resize": "squash",
    }
    with pytest.raises(ValueError, match="`format` must be one of"):
        unfinished.export("a", "caffe")


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: run.load_model(),
        lambda run: run.evaluate(),
        lambda run: run.predict(["a.png"]),
        lambda run: run.explain(["a.png"], "seen.png"),
        lambda run: run.report(),
        lambda run: run.export("served/1"),
    ],
    ids=["load_model", "evaluate", "predict", "explain", "report", "export"],
)
def test_an_unfinished_run_says_so(ask, unfinished):
    with pytest.raises(ValueError, match=UNFINISHED):
        ask(unfinished)


def test_an_unfinished_run_goes_on_when_told(unfinished):
    assert unfinished.missing_stages(
        unfinished.load_model(unfinished=True)
    ) == ["4-weighted"]
    assert unfinished.evaluate(unfinished=True).images == 6


def test_the_command_line_has_the_option(unfinished, capsys):
    words = ["evaluate", f"--workdir={unfinished.workdir}"]
    assert main(words) == 1
    assert "4-weighted still to be trained" in capsys.readouterr().err
    assert main([*words, "--unfinished"]) == 0
