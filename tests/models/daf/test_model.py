import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import losses
from keras_fgvc.models import DAF
from keras_fgvc.models.daf.terms import TERMS
from tests import tiny
from tests.gradients import gradient

BATCH, CLASSES, PARTS = 6, tiny.NUM_CLASSES, 2
NOT_ON_JAX = pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="nothing of JAX's own, and each compiles for many seconds",
)
SETTINGS = {
    "image_size": tiny.SIZE,
    "num_parts": PARTS,
    "taps": (4, 8),  # maps of 8 x 8 x 7 and 4 x 4 x 11
    "groups": 11,
}
STUDENT = ["student", "concentrate", "ranking", "overlap", "area"]
TEACHER = ["teacher", "fusion", "grouping"]
DISTILLATION = ["soft_target", "hint"]


def make(**options):
    return DAF(tiny.backbone(), CLASSES, **{**SETTINGS, **options})


def only(*names):
    """Weights that leave no other term."""
    others = {*STUDENT, *TEACHER, *DISTILLATION} - set(names)
    return dict.fromkeys(others, 0.0)


def softmax(logits):
    logits = np.asarray(logits, "float64")
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def cross_entropy(logits, labels):
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


def test_outputs():
    images, _ = tiny.images_and_labels(size=53)
    outputs = make().predict(images, verbose=0)
    shapes = {name: value.shape for name, value in outputs.items()}
    assert shapes == {
        "probabilities": (BATCH, CLASSES),
        "logits": (BATCH, CLASSES),
        "student_logits": (BATCH, CLASSES),
        "teacher_logits": (BATCH, CLASSES),
        "fusion_logits": (BATCH, CLASSES),
        "part_boxes": (BATCH, PARTS, 4),
        "part_scores": (BATCH, PARTS),
        "heatmap": (BATCH, 8, 8),
        "grouping": (BATCH,),
        "hint": (BATCH,),
    }
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, rtol=1e-5)
    assert outputs["heatmap"].min() >= 0
    assert outputs["heatmap"].max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "terms", "missing"),
    [
        pytest.param(
            {},
            STUDENT + TEACHER + DISTILLATION,
            [],
            marks=pytest.mark.compiled,
        ),
        ({"distill": False}, STUDENT + TEACHER, ["hint"]),
        ({"teacher": False}, STUDENT, ["hint", "grouping", "teacher_logits"]),
        (
            {"teacher": False, "heatmap": False},
            STUDENT,
            ["fusion_logits", "heatmap"],
        ),
        ({"heatmap": False}, STUDENT + TEACHER + DISTILLATION, ["heatmap"]),
    ],
)
def test_rows_of_table_3(options, terms, missing):
    images, labels = tiny.images_and_labels()
    model = make(**options)
    assert list(model.loss_weights) == terms
    model.compile("sgd", metrics=["accuracy"])
    history = model.fit(images, labels, epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy", *terms}
    assert np.all(np.isfinite(list(history.values())))
    outputs = model.predict(images, verbose=0)
    assert not set(missing) & set(outputs)


def test_whose_probabilities_are_predicted():
    images, _ = tiny.images_and_labels()
    for options, expected in (
        ({}, "fusion"),
        ({"teacher": False}, "student"),
        ({"predict_with": "student"}, "student"),
        ({"predict_with": "teacher"}, "teacher"),
        ({"predict_with": "mean"}, "fusion"),
        ({"predict_with": "mean", "fusion": "learned"}, "mean"),
        ({"fusion": "learned"}, "fusion"),
    ):
        model = make(**options)
        model.set_weights([w + 0.1 for w in model.get_weights()])
        outputs = model.predict(images, verbose=0)
        logits = outputs[f"{expected}_logits"]
        np.testing.assert_array_equal(outputs["logits"], logits)
        if options.get("teacher", True):
            name = "mean" if "mean_logits" in outputs else "fusion"
            both = outputs["student_logits"] + outputs["teacher_logits"]
            np.testing.assert_allclose(
                outputs[f"{name}_logits"], both / 2, rtol=1e-5
            )
        learned = options.get("fusion") == "learned"
        assert ("mean_logits" in outputs) == learned
        np.testing.assert_allclose(
            outputs["probabilities"], softmax(logits), rtol=1e-4, atol=1e-30
        )


def test_terms_against_what_they_are_made_of():
    """Each from the outputs, and the views' from `part_logits`."""
    images, labels = tiny.images_and_labels()
    model = make(parts_per_object=5.0, temperature=3.0)
    model.compile("sgd")
    found = model.evaluate(images, labels, verbose=0, return_dict=True)
    out = model.predict(images, verbose=0)
    views = to_numpy(model.part_logits(images, out["part_boxes"]))
    assert views.shape == (BATCH, PARTS, CLASSES)
    confidences = softmax(views)[np.arange(BATCH), :, labels]
    object_area = (out["heatmap"] >= 0.5).mean(axis=(1, 2))
    boxes, student = out["part_boxes"], out["student_logits"]
    expected = {
        "student": cross_entropy(student, labels),
        "teacher": cross_entropy(out["teacher_logits"], labels),
        "fusion": cross_entropy(out["fusion_logits"], labels),
        "concentrate": cross_entropy(views.mean(axis=1), labels),
        "ranking": losses.pairwise_ranking(confidences, out["part_scores"]),
        "overlap": losses.box_overlap(boxes),
        "area": losses.box_area_penalty(
            object_area, boxes, parts_per_object=5.0
        ),
        "soft_target": losses.soft_target(
            out["teacher_logits"], student, temperature=3.0
        ),
        "grouping": out["grouping"],
        "hint": out["hint"],
    }
    for name, values in expected.items():
        mean = to_numpy(values).mean()
        np.testing.assert_allclose(
            found[name], mean, rtol=1e-3, atol=1e-5, err_msg=name
        )
    total = sum(w * found[name] for name, w in model.loss_weights.items())
    np.testing.assert_allclose(found["loss"], total, rtol=1e-4)


# What each term may move; the rest of the model stands still.
STUDENT_LAYERS = {"features", "student"}
TEACHER_LAYERS = {"guided_image", "teacher_features", "part_filter"} | {
    "bilinear",
    "teacher",
}
MOVED = {
    "student": STUDENT_LAYERS,
    "concentrate": STUDENT_LAYERS,
    "ranking": {"proposals"},
    "area": {"proposals"},
    "teacher": TEACHER_LAYERS,
    "fusion": {"fusion"} | STUDENT_LAYERS | TEACHER_LAYERS,
    "soft_target": STUDENT_LAYERS,
    "hint": {"features", "hint"},
}


@NOT_ON_JAX
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("term", MOVED)
def test_what_each_term_moves(term):
    images, labels = tiny.images_and_labels()
    model = make(term_weights=only(term), fusion="learned")
    assert list(model.loss_weights) == [term]
    rng = np.random.default_rng(0)
    model.set_weights(
        [w + rng.normal(0, 0.05, w.shape) for w in model.get_weights()]
    )
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.compile(keras.optimizers.SGD(0.01))
    model.fit(images, labels, verbose=0)
    moved = {
        layer.name
        for layer in model.layers
        if any(
            not np.array_equal(old, new)
            for old, new in zip(
                before[layer.name], layer.get_weights(), strict=True
            )
        )
    }
    # Statistics of the bilinear block's batch normalisation move in any case.
    assert moved - {"bilinear"} == MOVED[term] - {"bilinear"}


def test_the_teacher_begins_as_the_student():
    """The image unchanged, nothing filtered, nothing added."""
    images, _ = tiny.images_and_labels()
    model = make()
    outputs = model.predict(images, verbose=0)
    np.testing.assert_allclose(outputs["hint"], 0, atol=1e-8)
    student, teacher = model.get_layer("student"), model.get_layer("teacher")
    teacher.set_weights(student.get_weights())
    outputs = model.predict(images, verbose=0)
    for name in ("teacher_logits", "fusion_logits"):
        np.testing.assert_allclose(
            outputs[name], outputs["student_logits"], rtol=1e-4, atol=1e-5
        )


def test_the_teacher_sees_the_maps_once_it_has_learned_to():
    images, _ = tiny.images_and_labels()
    model = make()
    before = model.predict(images, verbose=0)
    guided = model.get_layer("guided_image")
    kernel, bias = guided.get_weights()
    assert kernel.shape == (3 + 1 + 2, 3)  # colours, boxes, two heat maps
    np.testing.assert_array_equal(kernel[:3], np.eye(3))
    for channel in (3, 4, 5):
        changed = kernel.copy()
        changed[channel] = -0.5
        guided.set_weights([changed, bias])
        after = model.predict(images, verbose=0)
        assert not np.allclose(
            after["teacher_logits"], before["teacher_logits"]
        )
        np.testing.assert_array_equal(
            after["student_logits"], before["student_logits"]
        )


def test_two_looks_at_an_image_are_equal():
    images, labels = tiny.images_and_labels()
    model = make()
    model.compile("sgd")
    first = model.predict(images, verbose=0)
    losses_of = [model.evaluate(images, labels, verbose=0) for _ in range(2)]
    assert losses_of[0] == losses_of[1]
    again = model.predict(images, verbose=0)
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_a_saved_model_says_the_same(tmp_path):
    images, labels = tiny.images_and_labels()
    model = make(term_weights={"hint": 0.3}, num_parts=4)
    model.compile("sgd")
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "daf.keras")
    loaded = keras.saving.load_model(tmp_path / "daf.keras", safe_mode=True)
    assert loaded.loss_weights == model.loss_weights
    assert loaded.num_parts == 4
    expected = model.predict(images, verbose=0)
    for name, value in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


@NOT_ON_JAX
@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_images_may_come_in_a_dict():
    images, labels = tiny.images_and_labels()
    model = make()
    model.compile("sgd")
    plain = model.evaluate(images, labels, verbose=0)
    named = model.evaluate({"image": images}, labels, verbose=0)
    np.testing.assert_allclose(named, plain, rtol=1e-6)


def test_the_student_alone(tmp_path):
    images, labels = tiny.images_and_labels()
    model = make(fusion="learned")
    model.compile("sgd")
    model.fit(images, labels, verbose=0)
    student = model.student_model()
    whole = model.predict(images, verbose=0)
    outputs = student.predict(images, verbose=0)
    np.testing.assert_allclose(
        outputs["logits"], whole["student_logits"], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        outputs["probabilities"], softmax(outputs["logits"]), rtol=1e-4
    )
    np.testing.assert_array_equal(outputs["part_boxes"], whole["part_boxes"])
    kept = {layer.name for layer in student.layers}
    assert not kept & (TEACHER_LAYERS | {"fusion", "hint"})
    teachers = sum(
        model.get_layer(name).count_params()
        for name in (*TEACHER_LAYERS, "fusion", "hint")
    )
    assert student.count_params() == model.count_params() - teachers
    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["logits"],
        outputs["logits"],
        rtol=1e-5,
        atol=1e-6,
    )


def test_anchors_are_a_share_of_the_image():
    images, _ = tiny.images_and_labels()

    def largest(**options):
        boxes = make(**options).predict(images, verbose=0)["part_boxes"]
        return (boxes[..., 2:] - boxes[..., :2]).max()

    # 0.4 of the side, at most 2^(2/3) sqrt(3/2) times as long; 6 of 8 cells.
    assert largest() <= 3 / 7 * 2 ** (2 / 3) * 1.5**0.5 + 1e-5
    assert largest(anchor_side=None) > 0.85
    layer = make(anchor_side=0.2).get_layer("proposals")
    assert layer.side == 0.2


@pytest.mark.parametrize("moves", ["centers", "corners"])
def test_overlap_moves_centres_or_corners(moves):
    _, labels = tiny.images_and_labels()
    boxes = np.tile([[0.1, 0.1, 0.5, 0.6], [0.3, 0.2, 0.7, 0.8]], (BATCH, 1, 1))
    model = make(overlap_moves=moves)
    (slopes,) = gradient(
        lambda x: ops.sum(TERMS["overlap"](model, labels, {"part_boxes": x})),
        boxes,
    )
    same = np.allclose(slopes[..., :2], slopes[..., 2:], atol=1e-6)
    assert same == (moves == "centers")


@pytest.mark.parametrize("teacher", [True, False])
def test_the_parts_may_speak_for_the_student(teacher, tmp_path):
    images, labels = tiny.images_and_labels()
    model = make(student_parts=True, teacher=teacher)
    plain = make(teacher=teacher)
    for layer in plain.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    found, whole = (m.predict(images, verbose=0) for m in (model, plain))
    parts = to_numpy(plain.part_logits(images, whole["part_boxes"]))
    np.testing.assert_allclose(
        found["part_logits"], parts, rtol=1e-4, atol=1e-5
    )
    student = (whole["student_logits"] + parts.mean(axis=1)) / 2
    np.testing.assert_allclose(
        found["student_logits"], student, rtol=1e-4, atol=1e-5
    )
    path = tmp_path / "student.keras"
    model.student_model().save(path)
    alone = keras.saving.load_model(path, safe_mode=True)
    np.testing.assert_allclose(
        alone.predict(images, verbose=0)["logits"],
        student,
        rtol=1e-4,
        atol=1e-5,
    )
    if teacher:
        mean = (student + whole["teacher_logits"]) / 2
        np.testing.assert_allclose(found["logits"], mean, rtol=1e-4, atol=1e-5)
    model.compile("sgd")
    history = model.fit(images, labels, verbose=0).history
    assert np.all(np.isfinite(list(history.values())))


@pytest.mark.slow
@pytest.mark.compiled  # thirty steps
@NOT_ON_JAX
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_distillation_brings_the_student_to_the_teacher():
    images, labels = tiny.images_and_labels(24)
    model = make(term_weights=only(*DISTILLATION), temperature=2.0)
    rng = np.random.default_rng(0)
    teacher = model.get_layer("teacher")
    teacher.set_weights([5 * rng.normal(size=w.shape) for w in teacher.weights])

    def apart():
        outputs = model.predict(images, verbose=0)
        logits = [outputs[f"{who}_logits"] for who in ("teacher", "student")]
        return to_numpy(losses.soft_target(*logits, temperature=1.0)).mean()

    before = apart()
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(images, labels, batch_size=8, epochs=10, verbose=0)
    assert apart() < 0.3 * before


@NOT_ON_JAX
@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_statistics_of_both_backbones(batch_norm):
    images, labels = tiny.images_and_labels()
    model = make(batch_norm=batch_norm)
    statistics = [
        weight
        for name in ("features", "teacher_features")
        for weight in model.get_layer(name).weights
        if weight.name.startswith("moving")
    ]
    before = [to_numpy(weight) for weight in statistics]
    model.compile("sgd")
    model.fit(images, labels, verbose=0)
    assert len(statistics) == 12
    for old, weight in zip(before, statistics, strict=True):
        same = np.array_equal(old, to_numpy(weight))
        assert same == (batch_norm == "frozen"), weight.path


def test_head_variables_are_all_but_the_backbones():
    """And the guided image's, the first layer of the teacher's backbone."""
    model = make(batch_norm="train", fusion="learned")
    names = {v.path.split("/")[0] for v in model.head_variables()}
    assert not {n for n in names if n.startswith(("conv", "batch_norm"))}
    assert {"student", "teacher", "fusion"} <= names
    assert "guided_image" not in names
    everything = {v.path.split("/")[0] for v in model.trainable_variables}
    assert "guided_image" in everything


@NOT_ON_JAX
def test_sample_weight():
    """An image of weight zero teaches nothing."""
    images, labels = tiny.images_and_labels()
    model = make()
    model.compile("sgd")
    weights = np.zeros(BATCH, "float32")
    weights[0] = BATCH
    weighed = model.evaluate(
        images, labels, sample_weight=weights, verbose=0, return_dict=True
    )
    alone = model.evaluate(images[:1], labels[:1], verbose=0, return_dict=True)
    for name in model.loss_weights:
        if name in ("concentrate", "ranking"):  # noise of the batch's shape
            continue
        np.testing.assert_allclose(weighed[name], alone[name], rtol=1e-3)


def test_half_precision():
    images, labels = tiny.images_and_labels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd")
    history = model.fit(images, labels, epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    outputs = model.predict(images, verbose=0)
    assert outputs["part_boxes"].dtype == "float32"
    assert outputs["probabilities"].dtype == "float32"
