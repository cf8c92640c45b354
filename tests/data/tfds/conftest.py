"""TFDS without a network, and tiny archives for it."""

import keras
import pytest

from tests.data.tfds import archives


@pytest.fixture(autouse=True)
def tfds(monkeypatch):
    """TFDS as it is, but for check sums and the network."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow Datasets are read on the TensorFlow backend")
    tfds = pytest.importorskip(
        "tensorflow_datasets", reason="needs the extra [data]"
    )

    def no_network(self, resource):
        raise AssertionError(f"a test would download {resource}")

    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "_download", no_network)
    monkeypatch.setattr(
        manager, "_register_or_validate_checksums", lambda self, **facts: None
    )
    return tfds


@pytest.fixture
def manual(tmp_path):
    return tmp_path / "downloads" / "manual"


@pytest.fixture
def birds(tmp_path, manual):
    archives.cub(manual)
    return str(tmp_path)
