"""Downloads that cannot happen fail early, with a remedy."""

import dataclasses
import http.server
import os
import socket
import threading
import time

import pytest

from keras_fgvc.data import (
    open_dataset,
)
from keras_fgvc.data.builders import catalogue, downloads
from tests.data.image_files import write


def test_what_has_to_be_downloaded_by_hand_is_said(tmp_path):
    message = r'(?s)"nabirds" cannot be prepared.*Accept the terms.*manual_dir'
    with pytest.raises(ValueError, match=message):
        open_dataset("nabirds", data_dir=str(tmp_path))


class _Missing(http.server.BaseHTTPRequestHandler):
    """Answers "not found", or a redirection, or an error."""

    def do_HEAD(self):
        self.send_response(int(self.path.split("/")[1]))
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), _Missing) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def addresses(monkeypatch, tfds):
    """Sets where a builder downloads from, and forbids that it does."""

    def set_addresses(name, *urls):
        builder = tfds.builder_cls(name)
        facts = {
            url: tfds.core.download.checksums.UrlInfo(
                size=7, checksum="ab" * 32, filename=os.path.basename(url)
            )
            for url in urls
        }
        monkeypatch.setattr(builder, "url_infos", facts)

        def prepare(*arguments, **options):
            raise AssertionError("it would download")

        monkeypatch.setattr(builder, "download_and_prepare", prepare)

    return set_addresses


def assert_fails_fast(name, tmp_path, message):
    started = time.monotonic()
    with pytest.raises(ConnectionError, match=f"(?s){message}"):
        open_dataset(name, data_dir=str(tmp_path))
    assert time.monotonic() - started < 60  # On a machine that is busy.


def test_a_host_that_is_not_there(tmp_path, manual, addresses):
    addresses(
        "caltech_birds2011",
        "http://127.0.0.1:9/CUB_200_2011.tgz",
        "http://127.0.0.1:9/segmentations.tgz",
    )
    write(manual / "segmentations.tgz", b"here already")
    message = (
        r'"cub200" is not prepared yet and cannot be downloaded: '
        r"127\.0\.0\.1:9 cannot be reached \(.*refused.*"
        rf"put it into {manual} .*CUB_200_2011\.tgz from http"
    )
    assert_fails_fast("cub200", tmp_path, message)
    with pytest.raises(ConnectionError) as caught:
        open_dataset("cub200", data_dir=str(tmp_path))
    assert "segmentations" not in str(caught.value)
    # Nothing to download: TFDS goes on.
    write(manual / "CUB_200_2011.tgz", b"here, too")
    with pytest.raises(RuntimeError, match="it would download"):
        open_dataset("cub200", data_dir=str(tmp_path))


def test_a_name_that_is_not_known(tmp_path, addresses, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    addresses("stanford_dogs", "http://nowhere.invalid/images.tar")
    message = r"nowhere\.invalid (cannot be reached|does not answer)"
    assert_fails_fast("stanford_dogs", tmp_path, message)


def test_a_host_that_keeps_silent(tmp_path, addresses, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/images.tar"
        addresses("stanford_dogs", url)
        assert_fails_fast("stanford_dogs", tmp_path, "(timed out|not answer)")
        started = time.monotonic()
        assert "timed out" in downloads._ask(url)
        assert time.monotonic() - started < 30


def test_a_look_up_of_names_that_takes_long(tmp_path, addresses, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    monkeypatch.setattr(downloads, "_ask", lambda url: time.sleep(90))
    addresses("stanford_dogs", "http://slow.invalid/images.tar")
    assert_fails_fast("stanford_dogs", tmp_path, r"slow\.invalid does not ans")


def test_dead_links_of_cars196_lead_to_a_copy(tmp_path, addresses, server):
    addresses("cars196", f"{server}/404/cars_train.tgz")
    message = (
        rf'"cars196" .*says 404 to {server}/404/cars_train\.tgz.*'
        r"links are dead; with your own copy: stanford_cars"
    )
    assert_fails_fast("cars196", tmp_path, message)


@pytest.mark.parametrize("status", [200, 403, 405, 500])
def test_an_answer_is_enough(tmp_path, addresses, server, status):
    addresses("stanford_dogs", f"{server}/{status}/images.tar")
    with pytest.raises(RuntimeError, match="it would download") as caught:
        open_dataset("stanford_dogs", data_dir=str(tmp_path))
    assert "Download by hand" in str(caught.value)


def test_our_builder_that_downloads(tmp_path, manual, monkeypatch):
    name = "fgvc_aircraft"
    url = "http://127.0.0.1:9/fgvc-aircraft-2013b.tar.gz"
    entry = dataclasses.replace(
        catalogue.CATALOGUE[name], urls={url.rpartition("/")[2]: url}
    )
    monkeypatch.setitem(catalogue.CATALOGUE, name, entry)
    message = r'"fgvc_aircraft/family" is not.*2013b\.tar\.gz from http'
    assert_fails_fast("fgvc_aircraft/family", tmp_path, message)
    # Unpacked by hand, but empty.
    (manual / "fgvc-aircraft-2013b" / "data").mkdir(parents=True)
    with pytest.raises((ValueError, RuntimeError, AssertionError)) as caught:
        open_dataset("fgvc_aircraft", data_dir=str(tmp_path))
    assert "cannot be reached" not in str(caught.value)


def test_without_tfds_the_message_has_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_datasets", None)
    message = r'"cub200".*not installed.*pip install "keras-fgvc\[data\]"'
    with pytest.raises(ImportError, match=message):
        open_dataset("cub200", data_dir=str(tmp_path))
