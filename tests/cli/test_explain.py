import pytest
from PIL import Image

from keras_fgvc.cli import main
from keras_fgvc.training import run as actions


def test_a_picture_of_what_could_be_read(trained, mixed, tmp_path, capsys):
    picture = tmp_path / "seen.png"
    words = ["explain", f"--workdir={trained}", f"--out={picture}"]
    assert main([*words, str(mixed)]) == 1
    out, err = capsys.readouterr()
    assert out == f"picture: {picture}\n"
    assert len(err.splitlines()) == 3
    assert f"{mixed / 'c.jpg'} is empty (0 bytes)" in err
    with Image.open(picture) as both:
        height = both.height
    assert main([*words, str(mixed / "a.png")]) == 0
    with Image.open(picture) as one:
        assert one.height == pytest.approx(height / 2, rel=0.02)


def test_what_the_picture_is_made_of(trained, mixed, monkeypatch, tmp_path):
    seen = {}

    def explain(model, images, **options):
        seen.update(options, size=images.shape)
        return ["explained"]

    def save(path, images, explanations, **options):
        seen.update(path=path, explanations=explanations, **options)

    monkeypatch.setattr(actions.visualization, "explain", explain)
    monkeypatch.setattr(actions.visualization, "save_explanations", save)
    words = ["explain", f"--workdir={trained}", "--out=x.png", "--top=2"]
    assert main([*words, str(mixed / "a.png")]) == 0
    assert seen == {
        "class_names": ("blue", "green", "red"),
        "num_top": 2,
        "size": (1, 40, 40, 3),
        "path": "x.png",
        "explanations": ["explained"],
        "names": ["a.png"],
    }


def test_no_image_and_too_many(trained, mixed, monkeypatch, tmp_path, capsys):
    picture = tmp_path / "seen.png"
    words = ["explain", f"--workdir={trained}", f"--out={picture}"]
    assert main([*words, str(mixed / "c.jpg")]) == 1
    assert "There is no image to explain" in capsys.readouterr().err
    monkeypatch.setattr(actions, "MAX_EXPLAINED", 4)
    assert main([*words, str(mixed)]) == 1
    assert "at most 4 images. Received: 5" in capsys.readouterr().err
    assert not picture.exists()
