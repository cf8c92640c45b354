"""The client's gRPC against TF Serving's own service definition."""

import concurrent.futures
import json
import socket

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.client import serve_client

grpc = pytest.importorskip("grpc", reason="needs grpcio: see setup.py")
service = pytest.importorskip(
    "tensorflow_serving.apis.prediction_service_pb2_grpc",
    reason="needs tensorflow-serving-api: see setup.py",
)
predict = pytest.importorskip("tensorflow_serving.apis.predict_pb2")


class Service(service.PredictionServiceServicer):
    """Names each file after its bytes, or fails as it was told to."""

    failures = ()

    def Predict(self, request, context):  # noqa: N802 (the protocol's name)
        self.request = request
        if self.failures:
            context.abort(*self.failures.pop(0))
        files = tf.make_ndarray(request.inputs["image_bytes"])
        outputs = {
            "top_classes": np.stack([files, files], axis=1),
            "top_probabilities": np.float32([[0.75, 0.25]] * len(files)),
            "error": np.array([b"no" if f == b"bad" else b"" for f in files]),
        }
        response = predict.PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


@pytest.fixture
def served():
    """The service on a free loopback port, and the port."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    servicer = Service()
    service.add_PredictionServiceServicer_to_server(servicer, server)
    servicer.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer
    server.stop(None).wait()


@pytest.fixture
def images(tmp_path):
    for name in ("finch", "wren", "bad"):
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    return tmp_path


def ask(port, images, *arguments):
    return serve_client.main(
        ["--model=birds", f"--grpc=127.0.0.1:{port}", str(images), *arguments]
    )


def test_answers(served, images, capsys):
    assert ask(served.port, images, "--json", "--version=2") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["top_classes"][0] for row in rows] == ["bad", "finch", "wren"]
    assert [row["error"] for row in rows] == ["no", "", ""]
    assert rows[1]["top_probabilities"] == [0.75, 0.25]
    spec = served.request.model_spec
    assert (spec.name, spec.version.value) == ("birds", 2)
    assert spec.signature_name == "serving_bytes"


def test_refusal_is_the_images_error(served, images, capsys):
    code = grpc.StatusCode.FAILED_PRECONDITION
    served.failures = [(code, "no such signature")]
    assert ask(served.port, images) == 1
    out = capsys.readouterr().out
    assert out.count("FAILED_PRECONDITION: no such signature") == 3


def test_busy_server_is_asked_again(served, images):
    served.failures = [(grpc.StatusCode.UNAVAILABLE, "queue is full")] * 2
    (images / "bad.jpg").unlink()
    assert ask(served.port, images) == 0


def test_no_server(images, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ask(port, images, "--timeout=5") == 3
    assert "no server" in capsys.readouterr().err
