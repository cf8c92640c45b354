import pytest

from tests.serving.client import serve_client


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Loopback is not for a proxy; a busy server is asked again at once."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(serve_client, "SECONDS_BEFORE_RETRY", 0)
