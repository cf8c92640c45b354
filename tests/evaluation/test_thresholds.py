import numpy as np
import pytest

from keras_fgvc import evaluation
from keras_fgvc.models.outputs import MapOf, ObjectBox
from tests.evaluation.fixed import fixed, labeled


def test_best_threshold_is_the_heat_maps_own():
    # At .5 the box is the true one; lower takes in all, higher half of it.
    heatmap = np.full((3, 4, 4), 0.3, "float32")
    heatmap[:, :2, :2] = 0.6
    heatmap[:, 0, 0] = 1.0
    heatmap[:, 3, 3] = 0.0
    truth = np.tile(np.float32([0, 0, 0.5, 0.5]), (3, 1))
    meanings = {
        "where": ObjectBox(cropped=True),
        "what": MapOf("boxes", "activation"),
        "spots": MapOf("image"),
        "late": MapOf("image", "another"),
    }
    model, images = fixed(
        meanings, spots=heatmap, what=1 - heatmap, late=1 - heatmap
    )
    examples = labeled(images, [0, 0, 1], truth, 2)
    options = {"load_size": 8, "batch_size": 2}
    found = evaluation.best_threshold(model, examples, "test", **options)
    assert 0.3 < found <= 0.35
    options["heatmap"] = "late"
    other = evaluation.best_threshold(model, examples, "test", **options)
    assert other != found


def test_best_threshold_needs_a_map():
    model, images = fixed(heatmap=np.zeros((2, 4, 4), "float32"))
    whole = np.tile(np.float32([0, 0, 1, 1]), (2, 1))
    with pytest.raises(ValueError, match="declares no map of the image"):
        evaluation.best_threshold(
            model, labeled(images, [0, 1], whole, 2), "test", load_size=8
        )


def test_best_threshold_needs_boxes():
    model, images = fixed(heatmap=np.zeros((2, 4, 4), "float32"))
    with pytest.raises(ValueError, match="fixed has no boxes to choose"):
        evaluation.best_threshold(
            model, labeled(images, [0, 1], None, 2), "test", load_size=8
        )
