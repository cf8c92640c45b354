"""One place for what every test shares: seeds and quiet logs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest


@pytest.fixture(autouse=True)
def fixed_seed():
    """Every test starts from the same global random state."""
    keras.utils.set_random_seed(20110)
