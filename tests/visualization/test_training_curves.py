import numpy as np
import pytest

from keras_fgvc.recipes.monitoring import best_epoch
from keras_fgvc.visualization import save_training_curves
from keras_fgvc.visualization.curves import make_panels, stage_spans
from keras_fgvc.visualization.training_curves import (
    TRAINING_COLOUR,
    VALIDATION_COLOUR,
    draw_panel,
)
from tests.visualization import pixels


def row(epoch, **figures):
    return {"epoch": float(epoch), "learning_rate": 0.1, **figures}


LOGS = {
    "1-classifier": [
        row(0, loss=3.0, val_loss=2.0, accuracy=0.1, val_accuracy=0.3, area=7),
        row(1, loss=2.0, val_loss=1.0, accuracy=0.5, val_accuracy=0.6, area=5),
        row(2, loss=1.0, val_loss=1.5, accuracy=0.9, val_accuracy=0.6, area=3),
    ],
    "2-localizer": [
        row(0, loss=0.5, val_loss=0.4, heatmap=0.5, val_heatmap=0.4),
        row(1, loss=0.4, val_loss=0.6, heatmap=0.4, val_heatmap=0.6),
    ],
}


def test_stages_follow_one_another():
    first, second = stage_spans(LOGS)
    assert (first.start, first.stop, first.monitor) == (0, 3, "val_accuracy")
    assert first.best == 2  # the later one of equals
    assert (second.start, second.stop, second.monitor) == (3, 5, "val_loss")
    assert second.best == 3
    (first, _) = stage_spans(LOGS, {"1-classifier": "val_loss"})
    assert (first.best, first.monitor) == (1, "val_loss")


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss", "val_reward"])
def test_the_best_epoch_is_that_of_training(monitor):
    rng = np.random.default_rng(0)
    for values in rng.integers(0, 4, (20, 7)).astype(float):
        rows = [row(e, **{monitor: v}) for e, v in enumerate(values)]
        (span,) = stage_spans({"1-a": rows}, {"1-a": monitor})
        assert span.best == best_epoch(list(values), monitor)


def test_each_figure_has_its_panel():
    panels = make_panels(LOGS)
    titles = [panel.title for panel in panels]
    assert titles == ["accuracy", "loss", "area", "heatmap"]
    nan = np.nan
    accuracy, loss, area, heatmap = panels
    np.testing.assert_array_equal(
        accuracy.validation, [0.3, 0.6, 0.6, nan, nan]
    )
    np.testing.assert_array_equal(loss.training, [3, 2, 1, 0.5, 0.4])
    np.testing.assert_array_equal(area.training, [7, 5, 3, nan, nan])
    np.testing.assert_array_equal(area.validation, np.full(5, nan))
    np.testing.assert_array_equal(heatmap.validation, [nan, nan, nan, 0.4, 0.6])


def test_a_loss_of_one_term_has_one_panel():
    rows = [
        row(0, cross_entropy=2.0, loss=2.0, val_cross_entropy=1.0, val_loss=1.0)
    ]
    (panel,) = make_panels({"1-a": rows})
    assert panel.title == "loss: cross entropy"


def test_lines_bounds_and_rings():
    from matplotlib.figure import Figure

    spans, (accuracy, loss, *_) = stage_spans(LOGS), make_panels(LOGS)
    axes = Figure().add_subplot()
    draw_panel(axes, loss, spans)
    lines = [line.get_xydata().tolist() for line in axes.lines]
    assert [[1, 3.0], [2, 2.0], [3, 1.0]] in lines  # training, stage 1
    assert [[1, 2.0], [2, 1.0], [3, 1.5]] in lines  # validation
    assert [[4, 0.5], [5, 0.4]] in lines  # not joined to stage 1
    assert [[3, 1.5]] in lines  # the ring: best by accuracy
    assert [[4, 0.4]] in lines
    assert [[3.5, 0], [3.5, 1]] in lines  # between the stages
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.4", "1-classifier", "2-localizer"]
    axes = Figure().add_subplot()
    draw_panel(axes, accuracy, spans)
    assert "0.6" in [text.get_text() for text in axes.texts]


def test_the_picture(tmp_path):
    path = tmp_path / "curves.png"
    save_training_curves(path, LOGS)
    picture = pixels.read(path)
    for colour in (TRAINING_COLOUR, VALIDATION_COLOUR):
        assert pixels.count_of(picture, colour) > 300
    assert picture.shape[1] > picture.shape[0]  # 3 columns, 2 rows


def test_figures_that_are_not_numbers(tmp_path):
    """A run that broke off in NaN can still be looked at."""
    rows = [row(0, loss=np.nan, val_loss=np.nan), row(1, loss=1.0, val_loss=2)]
    save_training_curves(tmp_path / "curves.png", {"1-a": rows})


def test_wrong_arguments(tmp_path):
    path = tmp_path / "curves.png"
    with pytest.raises(
        ValueError, match=r"at least one epoch.*no stage.*Train"
    ):
        save_training_curves(path, {})
    with pytest.raises(ValueError, match=r"at least one epoch.*\['1-a'\]"):
        save_training_curves(path, {"1-a": []})
    with pytest.raises(ValueError, match=r"1-classifier must have.*'val_x'"):
        save_training_curves(path, LOGS, monitors={"1-classifier": "val_x"})
