import numpy as np
import pytest

from keras_fgvc.backbones import registry

# Two stages with one and two blocks, the widths primes apart.
SMALL = {"blocks": (1, 2), "base_width": 3}


@pytest.fixture
def small_entry(monkeypatch):
    """Makes the name wide_resnet50_2 stand for a small network."""
    entry = registry.find("wide_resnet50_2")._replace(options=SMALL)
    monkeypatch.setitem(registry._ENTRIES, "wide_resnet50_2", entry)


@pytest.fixture
def images():
    # Odd and even sides: padding on one side only would show.
    generator = np.random.default_rng(19)
    return generator.integers(0, 256, (2, 46, 61, 3), "uint8")
