import pytest

from tests.data.cached_images import SHARD


@pytest.fixture
def small_shards(monkeypatch):
    """A few images fill several shards of a cache."""
    monkeypatch.setattr("keras_fgvc.data.sources.shards.SHARD_SIZE", SHARD)
