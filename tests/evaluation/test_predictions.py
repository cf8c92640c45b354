import dataclasses

import numpy as np
import pytest

from keras_fgvc.evaluation import Predictions


def make(count=7, classes=3, seed=0, **changes):
    rng = np.random.default_rng(seed)
    values = {
        "labels": np.arange(count) % classes,
        "probabilities": rng.dirichlet(np.ones(classes), size=count),
        "class_names": tuple(f"class {c}" for c in range(classes)),
        **changes,
    }
    return Predictions(**values)


def test_ranks_against_a_plain_loop():
    found = make(count=37, classes=11)
    for row, label, rank in zip(
        found.probabilities, found.labels, found.ranks, strict=True
    ):
        order = sorted(range(11), key=lambda c, row=row: -row[c])
        assert order.index(label) == rank


def test_ties_count_against_the_model():
    found = make(
        labels=[0, 1, 0, 1],
        probabilities=[[0.5, 0.5, 0], [0.5, 0.5, 0], [1 / 3] * 3, [0, 1, 0]],
    )
    np.testing.assert_array_equal(found.ranks, [1, 1, 2, 0])


def test_overlaps_against_a_plain_loop():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(size=(2, 7, 2, 2)), axis=2)
    given, true = corners.reshape(2, 7, 4)
    true[3] = np.nan
    found = make(boxes={"heatmap": given}, true_boxes=true).overlaps("heatmap")
    for i, (a, b) in enumerate(zip(given, true, strict=True)):
        if i == 3:
            assert np.isnan(found[i])
            continue
        height = max(0, min(a[2], b[2]) - max(a[0], b[0]))
        width = max(0, min(a[3], b[3]) - max(a[1], b[1]))
        areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
        iou = height * width / (sum(areas) - height * width)
        assert found[i] == pytest.approx(iou, abs=1e-5)


def test_overlaps_that_are_not_there():
    found = make(boxes={"heatmap": np.zeros((7, 4))})
    with pytest.raises(ValueError, match="by heatmap, and no true boxes"):
        found.overlaps("heatmap")
    found = make(true_boxes=np.zeros((7, 4)))
    with pytest.raises(ValueError, match="by no output, and some true boxes"):
        found.overlaps("boxes")


@pytest.mark.parametrize("is_full", [False, True])
def test_file_holds_everything(tmp_path, is_full):
    extra = {}
    if is_full:
        boxes = np.random.default_rng(1).uniform(size=(3, 7, 4))
        extra = {
            "boxes": {"boxes": boxes[0], "heatmap": boxes[1]},
            "true_boxes": boxes[2],
            "image_digest": "files 0a1b",
            "class_names": ("Müller's wren", "b/c", "d=e"),
        }
    found = make(**extra)
    path = tmp_path / "predictions-test.npz"
    found.save(path)
    again = Predictions.load(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    for field in dataclasses.fields(Predictions):
        left, right = (getattr(p, field.name) for p in (found, again))
        if field.name == "boxes":
            assert list(left) == list(right)
            left, right = list(left.values()), list(right.values())
        np.testing.assert_array_equal(left, right)
        assert type(left) is type(right)
    assert again.probabilities.dtype == np.float32
    assert again.labels.dtype == np.int32


def test_files_that_hold_no_predictions(tmp_path):
    path = tmp_path / "predictions.npz"
    with pytest.raises(FileNotFoundError):
        Predictions.load(path)
    make().save(path)
    whole = path.read_bytes()
    middle = len(whole) // 3
    flipped = whole[:middle] + bytes(20) + whole[middle + 20 :]
    half = whole[: len(whole) // 2]
    for broken in (b"", b"no file of NumPy", half, flipped):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"damaged.*predict again"):
            Predictions.load(path)
    np.savez(path, labels=np.zeros(3))
    with pytest.raises(ValueError, match="lacks probabilities, class_names"):
        Predictions.load(path)


def test_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "predictions.npz"
    make(seed=1).save(path)
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(KeyboardInterrupt):
        make(seed=2).save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": []}, "at least one label. Received: shape \\(0,\\)"),
        ({"labels": [[0] * 7]}, "must be a vector"),
        ({"labels": [0] * 6}, r"`probabilities` must have shape \(6, 3\)"),
        ({"labels": [3] * 7}, r"from 0 to 2 \(num_classes=3\)"),
        ({"class_names": "ab"}, r"`probabilities` must have shape \(7, 2\)"),
        ({"class_names": ("wren", "crow", "wren")}, "must differ"),
        ({"boxes": {"boxes": np.zeros((7, 1, 4))}}, r"`boxes\['boxes'\]`"),
        ({"true_boxes": np.zeros((6, 4))}, "`true_boxes` must have shape"),
        ({"probabilities": np.full((7, 3), np.nan)}, "7 of 7 .* diverged"),
        ({"probabilities": np.full((7, 3), 0.5)}, r"sum 1\.5"),
        ({"probabilities": [[1.5, -0.5, 0]] * 7}, r"from -0\.5 to 1\.5"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_rounding_of_half_precision_is_no_error():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(5000), size=7).astype("float16")
    names = tuple(map(str, range(5000)))
    make(probabilities=rows, class_names=names)


def test_difference_in_images():
    found = make(image_digest="files 1")
    same = make(seed=3, image_digest="files 1")
    assert found.difference_in_images(same) == ""
    assert found.difference_in_images(make()) == ""  # not known
    pixels = make(image_digest="pixels 8x8 2")  # the same, in memory
    assert found.difference_in_images(pixels) == ""
    for other, text in (
        (make(image_digest="files 2"), "other images with the same labels"),
        (make(count=6), "7 and 6 images"),
        (make(labels=[1, 1, 2, 0, 1, 2, 1]), "other labels at 2 of 7 places"),
        (make(class_names=("x", "class 1", "class 2")), "other classes"),
        (make(classes=4), "other classes"),
    ):
        assert text in found.difference_in_images(other)
        assert other.difference_in_images(found)
