import keras
import numpy as np
import pytest

from keras_fgvc import _checks


def test_good_values_pass():
    _checks.check_positive_int("k", np.int64(3))
    _checks.check_in_range("rate", 1, 0.0, 1.0)
    _checks.check_choice("mask", "softmax", ("softmax", "sigmoid"))
    _checks.check_rank("features", (None, 3, 5, 7), 4, "(b, h, w, c)")
    _checks.check_labels(np.array([0, 2]), 3)
    _checks.check_channels_last()


@pytest.mark.parametrize(
    ("value", "size"),
    [(7, (7, 7)), (np.int64(7), (7, 7)), ([7, 5], (7, 5)), ((7, 5), (7, 5))],
)
def test_a_size_is_a_side_or_a_pair(value, size):
    assert _checks.as_size("size", value) == size
    assert {type(side) for side in _checks.as_size("size", value)} == {int}


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({0: "cat", 1: "dog"}, TypeError, r"a list of texts.*\[names\[i\]"),
        ("cat", TypeError, "a list of texts"),
        ((0, 1), TypeError, "a list of texts"),
        ((b"cat", b"dog"), TypeError, "a list of texts"),
        (("cat", ""), ValueError, "'' for label 1, which is empty"),
        (("  ", "dog"), ValueError, "label 0, which is empty"),
        (("cat", "dog", "cat"), ValueError, "'cat' for label 2.*twice"),
        (("a\nb", "dog"), ValueError, r"'a\\nb' for label 0.*line break"),
        (("\x1b[31m", "dog"), ValueError, "control character"),
        (("\u202egod", "dog"), ValueError, "direction of writing"),
        (("a\u2028b", "dog"), ValueError, "line break"),
        (("a\udce9b", "dog"), ValueError, "label 0, which is not UTF-8 text"),
    ],
)
def test_names_that_are_no_names_of_classes(names, error, message):
    with pytest.raises(error, match=message):
        _checks.check_class_names(names)


def test_names_of_classes_may_be_of_any_language():
    _checks.check_class_names(["Kohlmeise", "大山雀", "great tit", "a/b"])
    _checks.check_class_names(np.array(["cat", "dog"]))


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            TypeError,
            lambda: _checks.check_positive_int("k", True),
            r"`k` must be an integer\. Received: k=True \(of type bool\)",
        ),
        (
            ValueError,
            lambda: _checks.check_positive_int("k", 1, minimum=2),
            r"`k` must be at least 2\. Received: k=1",
        ),
        (
            TypeError,
            lambda: _checks.check_in_range("rate", "0.5", 0, 1),
            r"`rate` must be a number\. Received: rate='0\.5'",
        ),
        (
            ValueError,
            lambda: _checks.check_in_range("rate", float("nan"), 0, 1),
            r"`rate` must be between 0 and 1\. Received: rate=nan",
        ),
        (
            ValueError,
            lambda: _checks.check_choice("mask", "tanh", ("softmax",)),
            r"`mask` must be one of 'softmax'\. Received: mask='tanh'",
        ),
        (
            ValueError,
            lambda: _checks.as_size("size", True),
            r"`size` must be a pair \(height, width\), or an integer",
        ),
        (
            ValueError,
            lambda: _checks.as_size("size", (7, 0)),
            r"`size` must be at least 1",
        ),
        (
            ValueError,
            lambda: _checks.check_rank("x", (2, 3), 3, "(a, b, c)"),
            r"`x` must have 3 axes, \(a, b, c\)\. Received: shape \(2, 3\)",
        ),
        (
            ValueError,
            lambda: _checks.check_labels(np.array([0, 3, -1]), 3),
            r"integers from 0 to 2.*Received: 3 and 1 more such",
        ),
        (
            ValueError,
            lambda: _checks.check_labels(np.array([0.5, 2.0, 1.7]), 3),
            r"must be integers.*Received: 0\.5 and 1 more such",
        ),
        (
            ValueError,
            lambda: _checks.check_labels(np.array([1.0, np.nan]), 3),
            r"must be integers.*Received: nan and 0 more such",
        ),
        (
            ValueError,
            lambda: _checks.check_labels(np.eye(3), 3),
            r"one class number per image.*shape \(3, 3\).*argmax\(-1\)",
        ),
    ],
)
def test_bad_values_are_named(error, call, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "bool"])
def test_labels_of_any_type(dtype):
    _checks.check_labels(np.array([0, 1, 1]).astype(dtype), 2)
    _checks.check_labels(np.array([[0], [1]]).astype(dtype), 2)
    _checks.check_labels(np.array([], dtype), 2)


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="set_image_data_format"):
            _checks.check_channels_last()
    finally:
        keras.config.set_image_data_format("channels_last")
