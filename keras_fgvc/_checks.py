"""Argument checks shared by the whole package.

Each check names the argument, says what was expected and what came. A
`check_` returns nothing: a value that passes is used as the caller gave it. An
`as_` returns the value in the type that Keras and JSON take.
"""

import numbers
import unicodedata

import keras
import numpy as np


def as_plain(value):
    """Returns a value with NumPy's numbers as Python's, in containers too.

    Keras refuses NumPy's integers in places, and JSON everywhere. What has
    none is returned as it is.
    """
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        values = {key: as_plain(each) for key, each in value.items()}
        changed = any(values[key] is not value[key] for key in value)
    elif type(value) in (list, tuple):
        values = type(value)(map(as_plain, value))
        changed = any(a is not b for a, b in zip(values, value, strict=True))
    else:
        return value
    return values if changed else value


def check_positive_int(name: str, value, minimum: int = 1) -> None:
    """Raises unless `value` is an integer of at least `minimum`."""
    is_integer = isinstance(value, numbers.Integral)
    if not is_integer or isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be an integer. "
            f"Received: {name}={value!r} (of type {type(value).__name__})."
        )
    if value < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value}."
        )


def check_in_range(name: str, value, low: float, high: float) -> None:
    """Raises unless `value` is a number with low <= value <= high."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be a number. "
            f"Received: {name}={value!r} (of type {type(value).__name__})."
        )
    if not low <= value <= high:
        raise ValueError(
            f"`{name}` must be between {low} and {high}. "
            f"Received: {name}={value}."
        )


def check_choice(name: str, value, choices) -> None:
    """Raises unless `value` is one of `choices`."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"`{name}` must be one of {listed}. Received: {name}={value!r}."
        )


def as_int(name: str, value, minimum: int = 1) -> int:
    """Returns Python's integer of one that passes `check_positive_int`.

    Keras takes no integer of NumPy as a number of units, nor JSON in a config.
    """
    check_positive_int(name, value, minimum)
    return int(value)


def as_number(name: str, value, low: float, high: float):
    """Returns Python's number of one that passes `check_in_range`."""
    check_in_range(name, value, low, high)
    return as_plain(value)


def as_choice(name: str, value, choices) -> str:
    """Returns a text that passes `check_choice`.

    Keras loads a text in a legacy HDF5 file as a function if one of its own
    has that name, such as "average".
    """
    value = getattr(value, "__name__", value)
    check_choice(name, value, choices)
    return value


def as_size(name: str, value) -> tuple[int, int]:
    """Returns the pair (height, width) of a size, as Keras's layers take it.

    Args:
        name: Name of the argument, for the error.
        value: A positive integer, the side of a square, or a pair of them.

    Raises:
        ValueError: If it is neither, or not positive.
        TypeError: If a pair does not hold integers.
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(
            f"`{name}` must be a pair (height, width), or an integer for a "
            f"square. Received: {name}={value!r}."
        )
    for side in value:
        check_positive_int(name, side)
    return tuple(int(side) for side in value)


def check_rank(name: str, shape, rank: int, layout: str) -> None:
    """Raises unless `shape` has `rank` axes; `layout` names them."""
    if len(shape) != rank:
        raise ValueError(
            f"`{name}` must have {rank} axes, {layout}. "
            f"Received: shape {tuple(shape)}."
        )


def check_shape(name: str, shape, expected, layout: str) -> None:
    """Raises if `shape` differs from `expected` where both are known."""
    shape, expected = tuple(shape), tuple(expected)
    pairs = zip(shape, expected, strict=False)
    agree = all(None in pair or pair[0] == pair[1] for pair in pairs)
    if len(shape) != len(expected) or not agree:
        raise ValueError(
            f"`{name}` must have shape {expected}, {layout}. "
            f"Received: shape {shape}."
        )


def check_channels_last() -> None:
    """Raises when Keras is set to channels first, which nothing here takes."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras_fgvc works on channels-last images only. Received: the "
            'global image data format "channels_first". Call '
            'keras.config.set_image_data_format("channels_last") first.'
        )


def check_class_names(class_names) -> None:
    """Raises unless names of classes can stand in a file of one per line."""
    is_list = isinstance(class_names, (list, tuple, np.ndarray))
    if not is_list or not all(isinstance(name, str) for name in class_names):
        raise TypeError(
            "`class_names` must be a list of texts in the order of the "
            f"labels. Received: class_names={class_names!r}. Of a dict from "
            "label to name take [names[i] for i in range(len(names))]."
        )
    seen = set()
    for label, name in enumerate(class_names):
        problem = "occurs twice" if name in seen else name_problem(name)
        if problem:
            raise ValueError(
                "`class_names` must be names that tell classes apart, one per "
                f"line. Received: {name!r} for label {label}, which {problem}."
            )
        seen.add(name)


# They would show the text behind them backwards.
TURNS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def name_problem(name: str) -> str | None:
    """Returns why a text cannot be the name of a class, or None."""
    kinds = {unicodedata.category(character) for character in name}
    if not name.strip():
        return "is empty"
    if kinds & {"Cc", "Zl", "Zp"}:
        return "holds a line break or another control character"
    if TURNS & set(name):
        return "holds a character that turns the direction of writing"
    if "Cs" in kinds:
        return "is not UTF-8 text"
    return None


def check_labels(labels, num_classes: int) -> None:
    """Raises if a concrete label is no integer of 0..num_classes-1.

    Only NumPy arrays (and what converts to one for free) are read: inside a
    compiled graph the values are not known yet.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biuf":
        raise ValueError(
            f"Labels must be integers from 0 to {num_classes - 1} "
            f"(num_classes={num_classes}). Received: {_no_number(labels)}"
        )
    check_label_shape(labels.shape)
    inside = (labels >= 0) & (labels < num_classes)  # NaN is not
    wrong = labels[~inside | (labels != np.trunc(labels))]
    if wrong.size:
        raise ValueError(
            f"Labels must be integers from 0 to {num_classes - 1} "
            f"(num_classes={num_classes}). Received: {wrong.flat[0]} and "
            f"{wrong.size - 1} more such. Count the classes again, or "
            "number the labels from 0."
        )


def check_label_shape(shape) -> None:
    """Raises unless a shape is that of one label per image."""
    shape = tuple(shape)
    if len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, None)):
        return
    raise ValueError(
        "Labels must be one class number per image, of shape (batch,) or "
        f"(batch, 1). Received: shape {shape}. Of one-hot labels take "
        '`labels.argmax(-1)`, or give `label_mode="int"` to '
        "`image_dataset_from_directory`."
    )


def _no_number(labels):
    """Describes labels that are text or objects, and how to number them."""
    texts = (each for each in labels.flat if isinstance(each, (str, bytes)))
    text = next(texts, None)
    if text is None:
        return f"dtype {labels.dtype}. Convert them: `labels.astype('int32')`."
    return (
        f"the text {text[:40]!r}. Number the class names: "
        "`names, labels = np.unique(labels, return_inverse=True)`."
    )


def check_finite_answers(name: str, values) -> None:
    """Raises if an output of a model holds NaN or infinity.

    Args:
        name: Name of the output, for the error.
        values: NumPy array with one row per image.
    """
    values = np.asarray(values, "float32")
    axes = tuple(range(1, values.ndim))
    wrong = ~np.isfinite(values).all(axis=axes)
    if wrong.any():
        raise ValueError(
            f"The model must answer with finite numbers. Received: {name!r} "
            f"with NaN or infinity for {int(wrong.sum())} of {len(wrong)} "
            "images. Its training diverged, or its precision is too small: "
            "train again with a smaller learning rate (--learning-rate) or in "
            "float32 (--precision float32)."
        )
