import keras
import pytest

from tests.data.builders.archives import Downloads


@pytest.fixture(autouse=True)
def _needs_tfds():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow Datasets are read on the TensorFlow backend")
    pytest.importorskip("tensorflow_datasets", reason="needs the extra [data]")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, _needs_tfds):
    """A download would hang for minutes before it fails."""
    import tensorflow_datasets as tfds

    def download(self, *arguments):
        raise AssertionError(f"a test would download {arguments}")

    for name in ("download", "download_and_extract"):
        monkeypatch.setattr(tfds.download.DownloadManager, name, download)


@pytest.fixture
def downloads(tmp_path):
    return Downloads(tmp_path)
