"""The client against a server that answers well, badly and not at all."""

import json
import socket
import subprocess
import sys

import pytest

from tests.serving.client import ROOT, serve_client
from tests.serving.fake_server import serving


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def photos(tmp_path):
    """Two images in folders, one of them no image, and a file of text."""
    folder = tmp_path / "photos"
    for name, content in {
        "a/finch.jpg": b"finch",
        "b/wren.PNG": b"wren",
        "b/broken.png": b"bad bytes",
        "notes.txt": b"not sent",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def ask(server, *arguments):
    url = server if isinstance(server, str) else server.url
    return serve_client.main(
        ["--model=birds", f"--url={url}", *map(str, arguments)]
    )


def test_table(server, photos, capsys):
    code = ask(server, photos)
    out, err = capsys.readouterr()
    lines = [line.split(maxsplit=2)[1:] for line in out.splitlines()]
    assert lines == [
        ["0.750", "finch"],
        ["error", "is not an image"],
        ["0.750", "wren"],
    ]
    assert err == "3 images, 1 with an error\n"
    assert code == 1


def test_json_lines(server, photos, capsys):
    assert ask(server, photos / "a", photos / "b/wren.PNG", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == {
        "path": str(photos / "a/finch.jpg"),
        "top_classes": ["finch", "other"],
        "top_probabilities": [0.75, 0.25],
        "boxes": [[0.0, 0.0, 1.0, 0.5]],
        "error": "",
    }
    assert rows[1]["top_classes"][0] == "wren"


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("all", {"boxes", "logits", "top_classes", "top_probabilities"}),
        ("logits,nothing", {"logits"}),
    ],
)
def test_chosen_outputs(server, photos, capsys, chosen, names):
    ask(server, photos / "a", "--json", f"--outputs={chosen}")
    row = json.loads(capsys.readouterr().out)
    assert set(row) == names | {"path", "error"}


def test_what_is_asked(server, photos):
    ask(
        server,
        photos,
        "--version=3",
        "--signature_name=mine",
        "--batch_size=2",
    )
    paths, requests = zip(*server.seen, strict=True)
    assert set(paths) == {"/v1/models/birds/versions/3:predict"}
    assert [len(request["instances"]) for request in requests] == [2, 1]
    assert requests[0]["signature_name"] == "mine"
    assert requests[0]["instances"][0] == {"b64": "ZmluY2g="}


def test_file_that_cannot_be_read_costs_no_other(server, photos, capsys):
    code = ask(server, photos / "none.jpg", photos / "a")
    lines = capsys.readouterr().out.splitlines()
    assert "cannot be read: No such file" in lines[0]
    assert lines[1].endswith("0.750  finch")
    assert code == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((400, b'{"error": "no such signature"}'), "HTTP 400: no such signat"),
        ((404, b'{"error": "no birds"}'), "HTTP 404: no birds"),
        ((500, b"<html>oh no</html>"), "HTTP 500: <html>oh no</html>"),
        ((500, b""), "HTTP 500: Internal Server Error"),
        ((400, b"[1]"), "HTTP 400: [1]"),
        ((200, b"nothing"), "malformed answer: b'nothing'"),
        ((200, b"[]"), "malformed answer: b'[]'"),
        ((200, b'{"outputs": []}'), "malformed answer: b'{\"outputs\": []}'"),
        ((200, b'{"predictions": []}'), "malformed answer: not 1 predictions"),
        ((200, b'{"predictions": [1]}'), "no top_classes and top_prob"),
        ((200, b'{"predictions": [{"a": 1}]}'), "is the signature serving_b"),
        ("hang up", "the connection broke"),
        ("half", "the connection broke"),
    ],
)
def test_failed_request_is_its_images_error(
    server, photos, capsys, reply, message
):
    server.replies.append(reply)
    code = ask(server, photos / "a", photos / "b/wren.PNG", "--batch_size=1")
    first, second = capsys.readouterr().out.splitlines()
    assert message in first
    assert second.endswith("0.750  wren")
    assert code == 1


def test_server_that_does_not_answer(server, photos, capsys):
    server.replies.append("hang")
    code = ask(server, photos / "a", "--timeout=0.3")
    assert "no answer in 0.3 s" in capsys.readouterr().out
    assert code == 1


def test_busy_server_is_asked_again(server, photos, capsys):
    server.replies += [(503, b'{"error": "queue is full"}'), (429, b"")]
    assert ask(server, photos / "a") == 0
    assert len(server.seen) == 3
    server.replies += [(503, b'{"error": "queue is full"}')] * 2
    assert ask(server, photos / "a", "--retries=1") == 1
    assert "HTTP 503: queue is full" in capsys.readouterr().out
    assert len(server.seen) == 5


def test_other_errors_are_not_asked_again(server, photos):
    server.replies.append((500, b""))
    ask(server, photos / "a")
    assert len(server.seen) == 1


def test_no_server(photos, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}", photos) == 3
    out, err = capsys.readouterr()
    assert not out
    assert f"no server: http://127.0.0.1:{port}/v1/models/birds" in err


def test_no_images(server, tmp_path, capsys):
    assert ask(server, tmp_path) == 2
    assert "no images found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--batch_size=0", "must be positive"),
        ("--timeout=0", "must be positive"),
        ("--retries=-1", "not negative"),
        ("--url=localhost:8501", "must start with http"),
    ],
)
def test_wrong_arguments(photos, capsys, argument, message):
    with pytest.raises(SystemExit) as stopped:
        ask("http://127.0.0.1:1", photos, argument)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_grpc_without_its_packages(photos, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert ask("http://127.0.0.1:1", photos, "--grpc=127.0.0.1:1") == 2
    assert "pip install grpcio tensorflow" in capsys.readouterr().err


def test_needs_the_standard_library_alone(server, photos):
    """`-I -S`: no site-packages, nothing of ours, as a client's machine."""
    script = ROOT / "examples" / "serve_client.py"
    command = [sys.executable, "-I", "-S", str(script), str(photos / "a")]
    options = ["--model=birds", f"--url={server.url}"]
    process = subprocess.run(
        command + options, capture_output=True, text=True, check=True
    )
    assert process.stdout.endswith("0.750  finch\n")
