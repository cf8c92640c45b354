"""Checks the arguments of DAF, and knows those that older files lack."""

from keras_fgvc._checks import (
    as_number,
    check_choice,
    check_in_range,
    check_positive_int,
)

# In each file since 0.9. A file without it was written before the arguments
# of `BEFORE_0_9`; a subclass may lack them in any file.
MARK = {"arguments_since": "0.9"}
BEFORE_0_9 = {
    "anchor_side": None,
    "overlap_moves": "corners",
    "fusion": "learned",
    "student_parts": False,
}


def filled(config: dict) -> dict:
    """Returns a file's arguments as those of this version."""
    config = dict(config)
    for key in MARK:
        if config.pop(key, None) is None:
            config = BEFORE_0_9 | config
    return config


def checked(model) -> tuple:
    """Returns whose logits are predicted, and the taps.

    Raises:
        ValueError: If an argument of the model is not as described.
    """
    check_positive_int("image_size", model.image_size)
    check_positive_int("num_parts", model.num_parts)
    endless = float("inf")
    check_in_range("parts_per_object", model.parts_per_object, 1.0, endless)
    check_in_range("temperature", model.temperature, 1e-3, endless)
    if model.anchor_side is not None:
        as_number("anchor_side", model.anchor_side, 1e-3, 1.0)
    moved = model.overlap_moves
    check_choice("overlap_moves", moved, ("centers", "corners"))
    check_choice("fusion", model.fusion, ("mean", "learned"))
    predictors = ("fusion", "teacher", "mean", "student")
    predictors = predictors if model.teacher else predictors[-1:]
    whose = model.predict_with or predictors[0]
    check_choice("predict_with", whose, predictors)
    if (model.fusion, whose) == ("mean", "mean"):
        whose = "fusion"  # they are the same
    return whose, _checked_taps(model.taps)


def _checked_taps(taps):
    if not isinstance(taps, (tuple, list)) or len(taps) < 2:
        raise ValueError(
            "`taps` must be a tuple of at least two strides or layer names, "
            f"from fine to coarse, such as (8, 16, 32). Received: {taps!r}."
        )
    return tuple(taps)
