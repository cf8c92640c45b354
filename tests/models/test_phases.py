import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.models import FCAN, ELoPE, FineGrainedModel, Phase
from keras_fgvc.models._classification import cross_entropy
from keras_fgvc.models.fcan import tasks
from tests import tiny

CALLS = []


class TwoHeads(FineGrainedModel):
    """Two linear heads with a normalisation each, trained one by one."""

    def __init__(self, num_classes=tiny.NUM_CLASSES, **kwargs):
        image = keras.Input((4, 4, 3), name="image")
        pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(image)
        frozen = keras.layers.BatchNormalization(name="norm", trainable=False)
        pooled = frozen(pooled)
        first, second = (
            keras.layers.Dense(num_classes, name=name)(pooled)
            for name in ("first", "second")
        )
        outputs = {
            "probabilities": keras.ops.softmax(first + second),
            "first_logits": first,
            "second_logits": second,
        }
        super().__init__(image, outputs, num_classes=num_classes, **kwargs)

    def phases(self):
        return (
            Phase("one", trains=self._of("first"), minimises={"a": 1.0}),
            Phase(
                "two",
                trains=self._of("norm", "second"),
                minimises={"b": 0.5},
                begin=lambda: CALLS.append("two"),
            ),
            Phase("again", trains=self._of("first"), minimises={"b": 0.5}),
        )

    def _of(self, *names):
        return tuple(self.get_layer(name) for name in names)

    def loss_terms(self, labels, outputs, training):
        return {
            "a": cross_entropy(labels, outputs["first_logits"]),
            "b": cross_entropy(labels, outputs["second_logits"]),
        }


def with_phases(phases):
    return type("Own", (TwoHeads,), {"phases": phases})


def moved(model):
    images = np.random.default_rng(0).uniform(0, 255, size=(6, 4, 4, 3))
    labels = np.arange(6, dtype="int32") % 3
    before = [to_numpy(w.value) for w in model.weights]
    model.compile(keras.optimizers.SGD(1.0))
    history = model.fit(images.astype("float32"), labels, verbose=0).history
    return history, {
        weight.path.split("/")[0]
        for weight, old in zip(model.weights, before, strict=True)
        if not np.array_equal(old, to_numpy(weight.value))
    }


def test_a_new_model_is_ready_for_its_first_phase():
    model = TwoHeads()
    assert model.stages == ("one", "two", "again")
    assert model.stage == "one"
    history, found = moved(model)
    assert found == {"first"}
    assert set(history) == {"loss", "a"}


@pytest.mark.compiled
def test_a_stage_freezes_and_weighs_as_its_phase_says():
    model = TwoHeads()
    CALLS.clear()
    assert model.begin_stage("two").name == "two"
    assert CALLS == ["two"]
    history, found = moved(model)
    # Not the normalisation: it was frozen when the model was built.
    assert found == {"second"}
    np.testing.assert_allclose(history["loss"], np.multiply(0.5, history["b"]))


def test_changed_weights_hold_until_something_else_is_minimised():
    model = TwoHeads()
    model.begin_stage("two")
    model.loss_weights["b"] = 2.0
    model.begin_stage("again")
    assert model.loss_weights == {"b": 2.0}
    model.begin_stage("one")
    assert model.loss_weights == {"a": 1.0}
    model.begin_stage("two")
    assert model.loss_weights == {"b": 0.5}


def test_a_loaded_model_is_in_its_stage_but_does_not_begin_it():
    model = TwoHeads()
    model.begin_stage("two")
    model.loss_weights["b"] = 2.0
    CALLS.clear()
    again = TwoHeads.from_config(model.get_config())
    assert (again.stage, again.loss_weights, CALLS) == ("two", {"b": 2.0}, [])
    paths = [v.path for v in again.trainable_variables]
    assert paths == ["second/kernel", "second/bias"]


def test_one_phase_trains_all_and_keeps_what_is_frozen():
    model = with_phases(FineGrainedModel.phases)()
    model.loss_weights = {"a": 1.0, "b": 1.0}
    model.get_layer("first").trainable = False
    model.begin_stage("classifier")
    assert model.stages == ("classifier",)
    assert model.loss_weights == {"a": 1.0, "b": 1.0}
    assert moved(model)[1] == {"second"}


def test_a_phase_with_a_model_of_its_own_leaves_the_weights_alone():
    def data(model, stage, images, *, folder, load_size):
        return "task", (stage, images, folder, load_size)

    own = with_phases(
        lambda self: (
            Phase(
                "early",
                trains=self._of("first"),
                minimises={"of_the_task": 1.0},
                data=data,
            ),
            Phase("late", trains=self._of("second"), minimises={"c": 1.0}),
        )
    )
    model = own()
    assert model.stage == "late"  # the first on its images
    phase = model.begin_stage("early")
    assert model.loss_weights == {"c": 1.0}
    assert phase.data(model, 1, 2, folder=3, load_size=4) == (
        "task",
        (1, 2, 3, 4),
    )
    only_tasks = with_phases(lambda self: own.phases(self)[:1])
    assert only_tasks().stage == "early"


def test_the_tasks_minimise_what_their_phases_say():
    model = FCAN(
        tiny.backbone(),
        3,
        image_size=40,
        crop_size=24,
        part_sizes=(1,),
        entropy_weight=0.3,
        taps=(8, 8),
    )
    made = (tasks.WholeTask, tasks.GlimpseTask, tasks.PartsTask)
    for phase, task in zip(model.phases(), made, strict=True):
        assert task(model).loss_weights == phase.minimises


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        (lambda self: (), r"Own\.phases\(\) must return at least one"),
        (
            lambda self: (Phase("a"), Phase("b"), Phase("a")),
            "each phase once. Received: 2 phases named 'a'",
        ),
        (
            lambda self: (Phase("a", trains=()),),
            r"'a' trains nothing.*Received: trains=\(\)",
        ),
        (
            lambda self: (Phase("a", trains=self._of("pooling")),),
            r"'a' of Own trains nothing.*\(pooling\) has weights",
        ),
        (lambda self: (Phase(""),), "must be the name of a stage.*name=''"),
    ],
)
def test_phases_that_cannot_be(phases, message):
    with pytest.raises(ValueError, match=message):
        with_phases(phases)()


def test_a_term_that_the_model_does_not_return():
    model = with_phases(lambda self: (Phase("x", minimises={"typo": 1.0}),))()
    with pytest.raises(
        ValueError, match=r"minimises 'typo' in stage 'x'.* returned a, b"
    ):
        moved(model)


def test_an_unknown_stage():
    with pytest.raises(ValueError, match=r"stages one, two, again.*'three'"):
        TwoHeads().begin_stage("three")


def test_each_method_describes_its_phases_without_a_change():
    model = ELoPE(tiny.backbone(), 3, image_size=tiny.SIZE, tap=8)
    before = [to_numpy(w.value) for w in model.weights]
    trainable = [v.path for v in model.trainable_variables]
    assert len(model.phases()) == 4
    assert trainable == [v.path for v in model.trainable_variables]
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight.value), old)
