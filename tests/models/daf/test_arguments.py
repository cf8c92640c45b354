import keras
import numpy as np
import pytest

from keras_fgvc.models import DAF
from keras_fgvc.models.daf.arguments import BEFORE_0_9, MARK
from tests import tiny
from tests.models.daf.test_model import CLASSES, SETTINGS, make


def test_a_file_without_the_newer_arguments_keeps_what_it_was():
    model = make(
        anchor_side=None,
        overlap_moves="corners",
        fusion="learned",
    )
    config = model.get_config()
    new = DAF.from_config(make().get_config())
    assert (new.fusion, new.overlap_moves) == ("mean", "centers")
    assert new.anchor_side == 3 / 7
    for name in (*BEFORE_0_9, *MARK):
        del config[name]
    old = DAF.from_config(config)
    assert {name: getattr(old, name) for name in BEFORE_0_9} == BEFORE_0_9
    old.set_weights(model.get_weights())
    images, _ = tiny.images_and_labels()
    expected = model.predict(images, verbose=0)
    for name, value in old.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class Fewer(DAF):
    """A subclass that leaves its callers no choice of the fusion."""

    def __init__(self, backbone, num_classes, *, sharp=1.0, **kwargs):
        super().__init__(backbone, num_classes, fusion="mean", **kwargs)


def test_a_subclass_with_other_arguments_is_loaded_as_it_was(tmp_path):
    model = Fewer(tiny.backbone(), CLASSES, sharp=2.0, **SETTINGS)
    model.save(tmp_path / "fewer.keras")
    loaded = keras.saving.load_model(tmp_path / "fewer.keras")
    assert (loaded.fusion, loaded.sharp) == ("mean", 2.0)
    assert loaded.anchor_side == 3 / 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_parts": 0}, "`num_parts` must be at least 1"),
        ({"taps": 8}, "`taps` must be a tuple of at least two"),
        ({"taps": (8,)}, r"Received: \(8,\)"),
        ({"predict_with": "both"}, "must be one of 'fusion', 'teacher', 'me"),
        ({"fusion": "max"}, "`fusion` must be one of 'mean', 'learned'"),
        ({"anchor_side": 0}, "`anchor_side` must be between 0.001 and 1"),
        ({"overlap_moves": "all"}, "must be one of 'centers', 'corners'"),
        (
            {"teacher": False, "predict_with": "teacher"},
            "`predict_with` must be one of 'student'",
        ),
        ({"term_weights": {"rank": 1}}, "`term_weights` must be one of 'stud"),
        ({"term_weights": {"hint": -1}}, "must be between 0.0 and inf"),
        (
            {"teacher": False, "term_weights": {"hint": 1}},
            "Received: term_weights='hint'",
        ),
        ({"parts_per_object": 0.5}, "`parts_per_object` must be between 1.0"),
        ({"groups": 4}, "4"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
