"""Stratified cuts, counted by a plain loop."""

import numpy as np
import pytest

from keras_fgvc.data.pipeline.shares import stratified_cut

SIZES = (1, 2, 3, 10, 26, 40)
LABELS = np.repeat(np.arange(len(SIZES)), SIZES)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5, 0.9])
def test_each_class_gives_its_share(fraction):
    is_cut = stratified_cut(LABELS, fraction, seed=7)
    for label, size in enumerate(SIZES):
        count = 0
        for one_label, one_is_cut in zip(LABELS, is_cut, strict=True):
            count += one_label == label and one_is_cut
        expected = 0 if size == 1 else round(fraction * size)
        if size > 1:
            expected = min(max(expected, 1), size - 1)
        assert count == expected


def test_nothing_is_cut_with_zero():
    assert not stratified_cut(LABELS, 0, seed=7).any()


def test_the_seed_decides():
    cuts = [stratified_cut(LABELS, 0.3, seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(cuts[0], cuts[1])
    assert (cuts[0] != cuts[2]).any()


def test_a_class_does_not_depend_on_the_others():
    alone = stratified_cut(LABELS[LABELS == 5], 0.3, seed=1)
    np.testing.assert_array_equal(
        stratified_cut(LABELS, 0.3, seed=1)[LABELS == 5], alone
    )
