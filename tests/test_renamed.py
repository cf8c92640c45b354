"""Old names of arguments are taken, with a warning that has the new one."""

import numpy as np
import pytest

from keras_fgvc import models
from keras_fgvc._renamed import takes_old_names
from tests import tiny


@takes_old_names(old="new")
def halve(x, *, new=2):
    """Halves."""
    return x / new


def test_an_old_name_is_the_new_one():
    with pytest.warns(FutureWarning, match="`old` of halve is called `new`"):
        assert halve(8, old=4) == 2
    assert (halve(8), halve(8, new=8), halve.__doc__) == (4, 1, "Halves.")
    with pytest.raises(TypeError, match="old"):
        halve(8, old=4, new=4)


def test_the_size_of_loading_by_its_old_name():
    data = tiny.labeled_images()
    with pytest.warns(FutureWarning, match="`image_size`.*`load_size`") as told:
        before = data.batches("test", image_size=8, batch_size=6)
    assert told[0].filename == __file__
    now = data.batches("test", load_size=8, batch_size=6)
    for (old, _), (new, _) in zip(before, now, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("method", "old", "taps"),
    [
        ("PainlessAttention", {"attend_at": (4, 8), "tap": 8}, (4, 8)),
        ("FCAN", {"tap": 4, "classifier_tap": 8}, (4, 8)),
    ],
)
def test_a_models_taps_by_their_old_names(method, old, taps):
    if method == "FCAN":
        old |= {"image_size": 40, "crop_size": 24, "part_sizes": (2,)}
    with pytest.warns(FutureWarning, match="is called `taps` since 0.9"):
        model = getattr(models, method)(tiny.backbone(), 3, **old)
    assert model.taps == taps
    assert model.get_config()["taps"] == taps
