import pytest

from tests.data.cached_images import NOTED


@pytest.fixture
def noted_often(monkeypatch):
    """After every few images it is noted how many are done."""
    monkeypatch.setattr("keras_fgvc.data.sources.stored_rows.NOTED_ROWS", NOTED)
