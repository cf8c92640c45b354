"""A short run of `fuzz`, two mutations of each kind of file."""

import keras
import pytest

from tests.decoding import fuzz

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="decoded by TensorFlow"
    ),
]


def test_all_readers_agree():
    counts, problems = fuzz.run(2 * len(fuzz.seeds()), seed=1, limit=30.0)
    assert not problems
    assert counts["read"] > 5
    assert counts["refused"] > 5


def test_a_disagreement_is_found(monkeypatch):
    def half_as_bright(readers, paths):
        return [
            (None if pixels is None else pixels // 2, reason)
            for pixels, reason in predict(readers, paths)
        ]

    predict = fuzz.Readers.predict
    monkeypatch.setattr(fuzz.Readers, "predict", half_as_bright)
    monkeypatch.setattr(fuzz, "mutate", lambda content, rng: content)
    _, problems = fuzz.run(2, seed=0, limit=30.0)
    assert len(problems) == 2
    assert problems[0].endswith("pixels of data and predict differ")
