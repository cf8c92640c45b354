import io
import json
import os
import shutil

import keras
import numpy as np
import pytest

from keras_fgvc import data, export, models, training
from keras_fgvc.cli import main
from keras_fgvc.training.predictors import read_names
from tests import tiny
from tests.cli.conftest import LOAD_SIZE, NAMES
from tests.serving.client import serve_client as client


def lines_of(capsys):
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err


@pytest.fixture(scope="module")
def expected(trained, photographs):
    """Paths of the test images and what the model says of them."""
    run = training.open_run(trained)
    images = data.open_dataset(str(photographs))
    batches = images.batches("test", load_size=LOAD_SIZE, batch_size=6)
    pixels, _ = next(batches.as_numpy_iterator())
    outputs = run.load_model().predict_on_batch(pixels)
    return images.subset("test").paths, outputs


def check_answers(answers, expected, num_top=3):
    paths, outputs = expected
    assert [answer["path"] for answer in answers] == list(paths)
    for row, answer in enumerate(answers):
        probabilities = outputs["probabilities"][row]
        order = np.argsort(-probabilities)[:num_top]
        assert answer["error"] == ""
        assert answer["top_classes"] == [NAMES[i] for i in order]
        np.testing.assert_allclose(
            answer["top_probabilities"], probabilities[order], atol=1e-5
        )
        pairs = zip(
            answer["top_classes"], answer["top_probabilities"], strict=True
        )
        assert answer["top"] == [  # as before 0.9
            {"class": name, "probability": share} for name, share in pairs
        ]
        np.testing.assert_allclose(
            answer["boxes"], outputs["boxes"][row], atol=1e-5
        )


def test_json_lines_of_a_run(trained, photographs, expected, capsys):
    words = ["predict", f"--workdir={trained}", "--json", "--batch-size=4"]
    assert main([*words, str(photographs / "test")]) == 0
    answers, err = lines_of(capsys)
    check_answers(answers, expected)
    assert err == ""
    assert not np.allclose(  # or the boxes would prove nothing
        expected[1]["boxes"], [0, 0, 1, 1]
    )


def test_fewer_classes(trained, photographs, expected, capsys):
    words = ["predict", f"--workdir={trained}", "--json", "--top=2"]
    assert main([*words, str(photographs / "test")]) == 0
    check_answers(lines_of(capsys)[0], expected, num_top=2)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_bad_files_among_good_ones(trained, mixed, batch_size, capsys):
    words = ["predict", f"--workdir={trained}", f"--batch-size={batch_size}"]
    assert main([*words, "--json", str(mixed)]) == 1
    answers, err = lines_of(capsys)
    names = ["a.png", "b.png", "c.jpg", "d.JPEG", "deep/e.png"]
    assert [a["path"] for a in answers] == [str(mixed / n) for n in names]
    assert [bool(a["error"]) for a in answers] == [0, 1, 1, 1, 0]
    assert answers[2] == {
        "path": str(mixed / "c.jpg"),
        "error": "is empty (0 bytes)",
    }
    # Each image has its own answer, not that of a neighbour.
    for place in (0, 4):
        alone = [*words, "--json", answers[place]["path"]]
        assert main(alone) == 0
        (answer,), _ = lines_of(capsys)
        assert answer["path"] == answers[place]["path"]
        np.testing.assert_allclose(
            answer["top_probabilities"],
            answers[place]["top_probabilities"],
            atol=1e-5,
        )
    shares = [answers[place]["top_probabilities"] for place in (0, 4)]
    assert shares[0] != shares[1]
    lines = err.splitlines()
    assert lines[0].startswith(f"keras-fgvc: {mixed / 'b.png'} is cut short")
    assert lines[3:] == ["keras-fgvc: 3 of 5 images could not be used."]


def test_the_table(trained, mixed, monkeypatch, capsys):
    monkeypatch.chdir(mixed)
    monkeypatch.setenv("COLUMNS", "80")
    words = ["predict", f"--workdir={trained}", "a.png", "deep/e.png", "c.jpg"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.startswith("a.png       ")
    assert second.startswith("deep/e.png  ")
    for line in (first, second):
        for name in NAMES:
            assert f"  {name:<5} " in line
        assert line.count(" %") == 3
        assert len(line.split("  box ")[1].split()) == 4
        assert len(line) <= 80
    assert "c.jpg is empty" in err


def test_paths_on_standard_input(trained, mixed, monkeypatch, capsys):
    listed = f"{mixed / 'deep' / 'e.png'}\n{mixed / 'a.png'}\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(listed))
    assert main(["predict", f"--workdir={trained}", "--json", "-"]) == 0
    answers, _ = lines_of(capsys)
    assert [a["path"] for a in answers] == listed.split()


def test_nothing_asked_is_nothing_wrong(trained, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["predict", f"--workdir={trained}", "-"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def names_file(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in NAMES))
    return path


def test_names_of_classes_are_whole_lines(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffwren\r\nblue\u2028jay\r\n".encode())
    assert read_names(path) == ["wren", "blue\u2028jay"]


def test_a_keras_file(trained, photographs, names_file, expected, capsys):
    words = ["predict", f"--model={trained / 'model.keras'}", "--json"]
    words += [f"--classes={names_file}", f"--load-size={LOAD_SIZE}"]
    assert main([*words, str(photographs / "test")]) == 0
    check_answers(lines_of(capsys)[0], expected)


@pytest.fixture(scope="module")
def saved_model(trained, tmp_path_factory):
    run = training.open_run(trained)
    return export.export_saved_model(
        run.load_model(),
        tmp_path_factory.mktemp("served") / "1",
        class_names=run.class_names,
        load_size=run.recipe.load_size,
    )


def test_a_saved_model(saved_model, photographs, mixed, expected, capsys):
    words = ["predict", f"--model={saved_model}", "--json", "--batch-size=4"]
    assert main([*words, str(photographs / "test")]) == 0
    check_answers(lines_of(capsys)[0], expected)
    assert main([*words, str(mixed)]) == 1
    answers, _ = lines_of(capsys)
    assert [bool(a["error"]) for a in answers] == [0, 1, 1, 1, 0]


def test_keys_are_those_of_the_serving_client(saved_model, mixed, capsys):
    import tensorflow as tf

    path = mixed / "a.png"
    serve = tf.saved_model.load(str(saved_model)).signatures["serving_bytes"]
    outputs = serve(image_bytes=tf.constant([path.read_bytes()]))
    row = {k: client._plain(v.numpy()[0]) for k, v in outputs.items()}
    flags = client.parse_flags([str(path), "--model=colours", "--json"])
    served = json.loads(client.as_line(path, row, flags, 0))
    words = ["predict", f"--model={saved_model}", "--json", str(path)]
    assert main(words) == 0
    (answer,), _ = lines_of(capsys)
    assert set(answer) == {*served, "top"}
    for name in ("path", "top_classes", "error"):
        assert answer[name] == served[name]
    for name in ("top_probabilities", "boxes"):
        np.testing.assert_allclose(answer[name], served[name], atol=1e-5)


@pytest.fixture
def copied(saved_model, tmp_path):
    """A SavedModel to change, and its file of what the outputs mean."""
    path = shutil.copytree(saved_model, tmp_path / "copied" / "1")
    return path, path / "assets.extra" / "outputs.json"


@pytest.mark.slow
def test_a_saved_model_of_before_its_outputs_were_declared(
    copied, photographs, expected, capsys
):
    """Its answers have the boxes that they always had."""
    path, declaration = copied
    declaration.unlink()
    words = ["predict", f"--model={path}", str(photographs / "test")]
    assert main([*words, "--json"]) == 0
    check_answers(lines_of(capsys)[0], expected)
    assert main(words) == 0
    assert "  box " in capsys.readouterr().out


@pytest.mark.slow
def test_a_saved_model_shows_what_it_declares(
    copied, photographs, expected, capsys
):
    path, declaration = copied
    words = ["predict", f"--model={path}", str(photographs / "test")]
    declaration.write_text('{"boxes": {"kind": "PartBoxes"}}')
    assert main([*words, "--json"]) == 0
    check_answers(lines_of(capsys)[0], expected)
    assert main(words) == 0  # the table has the object's box alone
    assert "  box " not in capsys.readouterr().out
    declaration.write_text("{}")
    assert main([*words, "--json"]) == 0
    answers, _ = lines_of(capsys)
    keys = {*("path", "top_classes", "top_probabilities", "top", "error")}
    assert all(set(answer) == keys for answer in answers)


@pytest.mark.slow
def test_what_a_saved_model_refuses(trained, mixed, tmp_path, capsys):
    run = training.open_run(trained)
    path = export.export_saved_model(
        run.load_model(),
        tmp_path / "1",
        class_names=run.class_names,
        load_size=run.recipe.load_size,
        max_pixels=1600,  # the photographs have 47 x 47
    )
    small = keras.utils.load_img(mixed / "a.png", target_size=(30, 30))
    small.save(mixed / "small.png")
    words = ["predict", f"--model={path}", "--json"]
    images = [str(mixed / name) for name in ("a.png", "small.png")]
    assert main([*words, *images]) == 1
    (refused, answer), err = lines_of(capsys)
    assert refused["path"] == images[0]
    assert "1600" in refused["error"]
    assert refused["error"] in err
    assert answer["path"] == images[1]
    assert len(answer["top_classes"]) == 3


@pytest.mark.slow
def test_other_names_for_a_saved_model(saved_model, mixed, tmp_path, capsys):
    path = tmp_path / "names.txt"
    path.write_text("bleu\nvert\nrouge\n")
    words = ["predict", f"--model={saved_model}", f"--classes={path}"]
    assert main([*words, "--json", str(mixed / "a.png")]) == 0
    (answer,), _ = lines_of(capsys)
    assert set(answer["top_classes"]) == {"bleu", "vert", "rouge"}


def test_wrong_usage(trained, saved_model, mixed, names_file, capsys):
    keras_file = f"--model={trained / 'model.keras'}"
    for words, text in (
        ([keras_file, "--load-size=8"], "A .keras file needs --classes"),
        (
            [keras_file, f"--classes={names_file}"],
            "A .keras file needs --load-size",
        ),
        (
            [f"--model={saved_model}", "--load-size=8"],
            "--load-size is known from the model itself",
        ),
        (
            [f"--model={saved_model}", "--resize=pad"],
            "--resize is known from the model itself",
        ),
        (
            [f"--workdir={trained}", f"--classes={names_file}"],
            "--classes is known from the model itself",
        ),
    ):
        assert main(["predict", *words, str(mixed)]) == 2
        out, err = capsys.readouterr()
        assert text in err
        assert out == ""


def test_what_cannot_be_done(trained, mixed, names_file, tmp_path, capsys):
    options = [f"--classes={names_file}", "--load-size=32", str(mixed)]
    assert main(["predict", f"--model={trained}", *options]) == 1
    assert "For the folder of a training use --workdir" in (
        capsys.readouterr().err
    )
    names_file.write_text("only\ntwo\n")
    model = f"--model={trained / 'model.keras'}"
    assert main(["predict", model, *options]) == 1
    assert "The model has 3 classes. Received: 2 names" in (
        capsys.readouterr().err
    )
    image = keras.Input((None, None, 3))
    plain = keras.Model(image, keras.layers.GlobalMaxPooling2D()(image))
    plain.save(tmp_path / "plain.keras")
    model = f"--model={tmp_path / 'plain.keras'}"
    assert main(["predict", model, *options]) == 1
    assert 'must return a dict with "probabilities"' in capsys.readouterr().err


@pytest.fixture
def diverged(trained):
    """The trained model with a weight that is NaN."""
    model = training.open_run(trained).load_model()
    bias = model.get_layer("logits").weights[-1]
    bias.assign(keras.ops.full_like(bias, np.nan))
    return model


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_answers_that_are_not_finite(
    options, diverged, workdir, mixed, names_file, tmp_path, capsys
):
    """Of a run, and of a file that somebody brings."""
    own, image = tmp_path / "own.keras", str(mixed / "a.png")
    for path in (own, workdir / "model.keras"):
        diverged.save(path)
    (workdir / "checksums.json").unlink()  # as if it had been trained so
    run = f"--workdir={workdir}"
    given = [f"--model={own}", f"--classes={names_file}", "--load-size=32"]
    for words in (
        ["predict", *given, image, *options],
        ["predict", run, image, *options],
        ["evaluate", run, *options],
        ["export", run, f"--out={workdir / 'served'}"],
        ["explain", run, image, f"--out={tmp_path / 'seen.png'}"],
    ):
        assert main(words) == 1
        out, err = capsys.readouterr()
        assert not out
        assert "inite" in err
    assert not (workdir / "served").exists()


def test_damaged_files(trained, workdir, mixed, names_file, tmp_path, capsys):
    model = f"--model={workdir / 'model.keras'}"
    rest = ["--load-size=32", str(mixed / "a.png")]
    names_file.write_bytes(b"a\xff\nb\nc\n")
    assert main(["predict", model, f"--classes={names_file}", *rest]) == 1
    assert (
        "it is not UTF-8 text (byte 1). Give a text" in capsys.readouterr().err
    )
    names_file.write_text("")
    assert main(["predict", model, f"--classes={names_file}", *rest]) == 1
    assert "is damaged: it is empty" in capsys.readouterr().err
    names_file.write_text("a\nb\nc\n")
    content = (workdir / "model.keras").read_bytes()
    (workdir / "model.keras").write_bytes(content[:-99])
    for words in ([model, f"--classes={names_file}"], [f"--workdir={workdir}"]):
        images = rest if words[0] == model else rest[1:]
        assert main(["predict", *words, *images]) == 1
        assert "model.keras is damaged: its SHA-256" in capsys.readouterr().err


def test_a_training_that_is_not_finished(workdir, mixed, capsys):
    (workdir / "model.keras").unlink()
    assert main(["predict", f"--workdir={workdir}", str(mixed)]) == 1
    assert "has no model.keras yet" in capsys.readouterr().err


def test_a_folder_without_images(trained, tmp_path, capsys):
    assert main(["predict", f"--workdir={trained}", str(tmp_path)]) == 1
    assert f"{tmp_path} is a folder without images" in capsys.readouterr().err


def test_parts_are_told(photographs, tmp_path, names_file, capsys):
    model = models.FCAN(
        tiny.backbone(),
        3,
        image_size=48,
        crop_size=tiny.SIZE,
        part_sizes=(2, 3),
        taps=(8, 8),
    )
    model.save(tmp_path / "fcan.keras")
    shutil.copy(photographs / "test" / "red" / "2.png", tmp_path / "a.png")
    words = [f"--model={tmp_path / 'fcan.keras'}", "--load-size=48"]
    words += [f"--classes={names_file}", "--json", str(tmp_path / "a.png")]
    assert main(["predict", *words]) == 0
    (answer,), _ = lines_of(capsys)
    assert np.shape(answer["part_boxes"]) == (2, 4)


def test_names_that_a_terminal_cannot_show(
    trained, mixed, tmp_path, monkeypatch, capsys
):
    """Not UTF-8, or codes for the terminal: escaped, and still answered."""
    monkeypatch.setenv("COLUMNS", "400")
    folder = tmp_path / "others"
    folder.mkdir()
    names = [b"\xe9.png", b"\x1b[31m.png", b"\xc3\xa9.png"]
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        shutil.copy(mixed / "a.png", path)
    words = ["predict", f"--workdir={trained}"]
    assert main([*words, str(folder)]) == 0
    out = capsys.readouterr().out
    out.encode()  # a strict stream can print it
    assert "\x1b" not in out
    for shown in (r"\udce9.png", r"\u001b[31m.png", "é.png"):
        assert f"{folder}/{shown}" in out
    assert main([*words, "--json", str(folder)]) == 0
    out = capsys.readouterr().out
    out.encode()
    answers = [json.loads(line) for line in out.splitlines()]
    paths = {os.path.basename(os.fsencode(a["path"])) for a in answers}
    assert paths == set(names)
    assert main([*words, str(tmp_path / "gone\x1b[31m.png")]) == 1
    assert r"gone\u001b[31m.png does not exist" in capsys.readouterr().err


def test_the_old_name_of_reading_names(tmp_path):
    from keras_fgvc.cli import predictors

    assert predictors._read_names is read_names


@pytest.mark.parametrize(
    ("names", "problem"),
    [("a\nb\x1b[31m\nc\n", "control character"), ("a\nb\na\n", "twice")],
)
def test_a_file_of_names_that_are_none(
    trained, names_file, mixed, tmp_path, capsys, names, problem
):
    path = tmp_path / "names.txt"
    path.write_text(names)
    model = tmp_path / "model.keras"
    training.open_run(trained).load_model().save(model)
    words = [f"--model={model}", f"--classes={path}", "--load-size=8"]
    assert main(["predict", *words, str(mixed)]) == 1
    err = capsys.readouterr().err
    assert "--classes must be names that tell classes apart" in err
    assert problem in err
