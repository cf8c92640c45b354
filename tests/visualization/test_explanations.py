import keras
import numpy as np
import pytest

from keras_fgvc.models import (
    DAF,
    FCAN,
    Baseline,
    Coarse2Fine,
    ELoPE,
    PainlessAttention,
)
from keras_fgvc.models.outputs import Gates, MapOf, ObjectBox
from keras_fgvc.ops import saliency_map
from keras_fgvc.visualization import TopClass, explain
from keras_fgvc.visualization.explanations import BATCH_SIZE
from keras_fgvc.visualization.model_outputs import CANVAS
from tests import tiny

NAMES = ("red", "green", "blue")
IMAGES, _ = tiny.images_and_labels(count=2, size=40)


def build(method, **options):
    return method(tiny.backbone(), tiny.NUM_CLASSES, **options)


def explained(model, **options):
    """Explanations of both images, and the model's own outputs."""
    found = explain(model, IMAGES, class_names=NAMES, **options)
    assert len(found) == len(IMAGES)
    return found, model.predict(IMAGES, verbose=0)


def assert_same_arrays(found, expected):
    """Dicts of arrays, in this order."""
    assert list(found) == list(expected)
    for title, values in expected.items():
        np.testing.assert_allclose(found[title], values, rtol=1e-5, atol=1e-7)


def softmax(logits):
    exponentials = np.exp(np.asarray(logits, "float64"))
    return exponentials / exponentials.sum()


def top_of(logits):
    shares = softmax(logits)
    label = int(shares.argmax())
    return nearly(TopClass(label, NAMES[label], shares[label]))


def nearly(top):
    return top._replace(probability=pytest.approx(top.probability, rel=1e-4))


def test_baseline():
    found, outputs = explained(build(Baseline, tap=8), num_top=2)
    for n, explanation in enumerate(found):
        maps = {"mean activation": outputs["mean_activation"][n]}
        assert_same_arrays(explanation.maps, maps)
        assert explanation.boxes == explanation.gates == {}
        assert explanation.members == {}
        shares = outputs["probabilities"][n]
        first, second = explanation.top
        assert first.label == shares.argmax()
        assert first.probability == pytest.approx(shares.max(), rel=1e-5)
        assert second.probability == pytest.approx(np.median(shares), rel=1e-5)
        assert second.name == NAMES[second.label]


def test_elope_before_and_behind_its_crop():
    model = build(ELoPE, image_size=32, embedding_dim=5, tap=8)
    found, outputs = explained(model)
    for n, explanation in enumerate(found):
        expected = {
            "heat map": outputs["heatmap"][n],
            "mean activation": outputs["mean_activation"][n],
        }
        assert_same_arrays(explanation.maps, expected)
        assert_same_arrays(explanation.boxes, {"crop": [[0, 0, 1, 1]]})
    model.begin_stage("crops")
    model.set_threshold(0.8)
    found, outputs = explained(model)
    cropped = 0
    for n, explanation in enumerate(found):
        assert_same_arrays(explanation.boxes, {"crop": outputs["boxes"][n]})
        y_min, x_min, y_max, x_max = outputs["boxes"][n, 0]
        seen = np.isfinite(explanation.maps["mean activation"])
        area = (y_max - y_min) * (x_max - x_min)
        assert seen.mean() == pytest.approx(area, abs=0.03)
        cropped += area < 0.9
    assert cropped


@pytest.mark.parametrize("augment", ["highlight", "crop_drop"])
def test_coarse2fine(augment):
    model = build(
        Coarse2Fine, image_size=32, num_maps=5, tap=8, augment=augment
    )
    found, outputs = explained(model)
    for n, explanation in enumerate(found):
        expected = {"mean attention": outputs["heatmap"][n]}
        for number in range(5):
            title = f"attention map {number + 1}"
            expected[title] = outputs["attention"][n, ..., number]
        assert_same_arrays(explanation.maps, expected)
        assert_same_arrays(explanation.boxes, {"object": outputs["boxes"][n]})
        assert explanation.members == {
            "first look": top_of(outputs["coarse_logits"][n]),
            "second look": top_of(outputs["fine_logits"][n]),
        }
    (alone, _), _ = explained(model.coarse_model())
    assert list(alone.maps) == list(found[0].maps)
    assert list(alone.boxes) == ["object"]
    assert alone.members == {}
    assert alone.top[0] == nearly(found[0].members["first look"])


def test_painless_attention():
    model = build(
        PainlessAttention, taps=(4, 8), num_heads=3, tap=8, mask="sigmoid"
    )
    for weight in model.get_layer("heads").weights:  # the gates start equal
        if "gate" in weight.name:
            weight.assign(keras.random.normal(weight.shape, seed=1))
    found, outputs = explained(model)
    heads = [f"module {m}, head {h}" for m in (1, 2) for h in (1, 2, 3)]
    for n, explanation in enumerate(found):
        expected = {"mean activation": outputs["mean_activation"][n]}
        for number, head in enumerate(heads):
            module, mask = divmod(number, 3)
            expected[head] = outputs[f"masks_{module}"][n, ..., mask]
        assert_same_arrays(explanation.maps, expected)
        gates = dict(zip(["network", *heads], outputs["gates"][n], strict=True))
        assert explanation.gates == pytest.approx(gates, rel=1e-5)
        assert len({round(float(gate), 4) for gate in gates.values()}) == 7
        assert sum(explanation.gates.values()) == pytest.approx(1, rel=1e-5)
        assert list(explanation.members) == ["network", *heads]
        for name, logits in zip(gates, outputs["hypotheses"][n], strict=True):
            assert explanation.members[name] == top_of(logits)


@pytest.mark.parametrize("regions", ["attention", "center"])
def test_fcan(regions):
    model = build(
        FCAN,
        image_size=40,
        crop_size=24,
        part_sizes=(1, 2),
        taps=(8, 8),
        regions=regions,
    )
    found, outputs = explained(model)
    for n, explanation in enumerate(found):
        expected = {}
        if regions == "attention":
            expected = {
                f"score map {part + 1}": outputs["score_maps"][n, ..., part]
                for part in (0, 1)
            }
        assert_same_arrays(explanation.maps, expected)
        boxes = {"glimpses": outputs["part_boxes"][n]}
        assert_same_arrays(explanation.boxes, boxes)
        names = ("whole image", "glimpse 1", "glimpse 2")
        for name, logits in zip(names, outputs["view_logits"][n], strict=True):
            assert explanation.members[name] == top_of(logits)


@pytest.mark.parametrize("teacher", [True, False])
def test_daf(teacher):
    model = build(
        DAF,
        image_size=32,
        num_parts=2,
        taps=(4, 8),
        groups=11,
        teacher=teacher,
    )
    found, outputs = explained(model)
    boxes = keras.ops.convert_to_tensor(outputs["part_boxes"])
    saliency = keras.ops.convert_to_numpy(saliency_map(boxes, CANVAS, CANVAS))
    for n, explanation in enumerate(found):
        maps = {"heat map": outputs["heatmap"][n], "part saliency": saliency[n]}
        assert_same_arrays(explanation.maps, maps)
        assert_same_arrays(
            explanation.boxes, {"parts": outputs["part_boxes"][n]}
        )
        members = {
            name: top_of(outputs[f"{name}_logits"][n])
            for name in ("student", "teacher", "fusion")
            if teacher
        }
        assert explanation.members == members
        assert explanation.gates == {}
    if teacher:
        (alone, _), _ = explained(model.student_model())
        assert list(alone.maps) == list(found[0].maps)
        assert alone.top[0] == nearly(found[0].members["student"])
        assert alone.members == {}


def test_a_model_from_a_file(tmp_path):
    model = build(ELoPE, image_size=32, embedding_dim=5, tap=8)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(
        explained(model)[0], explained(loaded)[0], strict=True
    ):
        assert ours.top == tuple(nearly(top) for top in theirs.top)
        assert_same_arrays(theirs.maps, ours.maps)


class Fixed(keras.Model):
    """A model of another make: gives what it was given."""

    def __init__(self, outputs, meanings=None):
        super().__init__()
        self.outputs_given = outputs
        self.output_meanings = meanings or {}

    def predict(self, images, batch_size, verbose):
        assert (batch_size, verbose) == (BATCH_SIZE, 0)
        return self.outputs_given


def test_a_models_map_is_laid_over_what_it_saw():
    """A hot corner of a crop lies in that corner of the crop's box."""
    activation = np.zeros((1, 2, 3), "float32")
    activation[0, 1, 2] = 1.0  # lower right
    model = Fixed(
        {
            "probabilities": np.float32([[0.2, 0.8]]),
            "what": activation,
            "where": np.float32([[[0.25, 0.5, 0.5, 1.0]]]),
        },
        {"what": MapOf("boxes", "activity"), "where": ObjectBox(cropped=True)},
    )
    (found,) = explain(model, IMAGES[:1])
    assert list(found.boxes) == ["crop"]
    placed = found.maps["activity"]
    assert placed.shape == (CANVAS, CANVAS)
    rows, columns = np.where(np.isfinite(placed))
    assert (rows.min(), rows.max() + 1) == (CANVAS // 4, CANVAS // 2)
    assert (columns.min(), columns.max() + 1) == (CANVAS // 2, CANVAS)
    assert placed[CANVAS // 2 - 1, CANVAS - 1] == 1.0
    assert placed[CANVAS // 4, CANVAS // 2] == 0.0
    # Half way between the two rows' centres lies their mean.
    assert placed[CANVAS * 3 // 8, CANVAS - 1] == pytest.approx(0.5, abs=0.04)


def test_a_model_that_declares_nothing_has_its_top_classes():
    image = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    shares = keras.layers.Dense(3, activation="softmax")(pooled)
    # Names and shapes of a method of ours say nothing.
    box = keras.ops.stack([pooled, pooled, pooled, pooled], axis=-1)
    outputs = {
        "probabilities": shares,
        "heatmap": keras.ops.mean(image, axis=-1),
        "attention": image,
        "boxes": box[:, :1],
    }
    found, outputs = explained(keras.Model(image, outputs))
    assert found[0].top[0].label == outputs["probabilities"][0].argmax()
    assert found[0].maps == found[0].boxes == found[0].gates == {}
    assert found[0].members == {}


def test_gates_without_members():
    model = Fixed(
        {
            "probabilities": np.float32([[0.2, 0.8]]),
            "shares": np.float32([[0.6, 0.4]]),
        },
        {"shares": Gates(("near", "far"))},
    )
    (found,) = explain(model, IMAGES[:1])
    assert found.gates == pytest.approx({"near": 0.6, "far": 0.4})
    assert found.members == {}


def test_names_and_ties():
    model = Fixed({"probabilities": np.float32([[0.2, 0.4, 0.4]])})
    (found,) = explain(model, IMAGES[:1], num_top=7)
    assert [top.name for top in found.top] == ["class 1", "class 2", "class 0"]


def test_wrong_arguments():
    model = Fixed({"probabilities": np.float32([[0.2, 0.8]])})
    with pytest.raises(ValueError, match=r"model's 2 classes.*3 names"):
        explain(model, IMAGES[:1], class_names=NAMES)
    with pytest.raises(ValueError, match=r"\(n, height, width, 3\).*\(40, 40"):
        explain(model, IMAGES[0])
    with pytest.raises(ValueError, match=r"at least one image.*\(0, 40"):
        explain(model, IMAGES[:0])
    with pytest.raises(ValueError, match="`num_top` must be at least 1"):
        explain(model, IMAGES, num_top=0)
    with pytest.raises(ValueError, match=r"dict with logits, parts.*keras\.M"):
        explain(Fixed({"logits": IMAGES, "parts": IMAGES}), IMAGES)
    wrong = Fixed(model.outputs_given, {"where": ObjectBox()})
    with pytest.raises(ValueError, match=r"must name outputs.*'where'"):
        explain(wrong, IMAGES[:1])
    with pytest.raises(ValueError, match="Received: a ndarray"):
        explain(Fixed(np.zeros((1, 2))), IMAGES)
