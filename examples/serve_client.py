"""Asks a model server about images, with Python's standard library alone.

    python examples/serve_client.py photos/ bird.jpg --model=birds
    python examples/serve_client.py photos/ --model=birds --json > answers.jsonl
    python examples/serve_client.py photos/ --model=birds --grpc=localhost:8500

Speaks TF Serving's REST protocol (KServe's V1 is the same) to a SavedModel of
`keras_fgvc.export`. Sends the files as they are: the server decodes them. One
line for each image, with --json the keys of `keras-fgvc predict --json`; what
is wrong with an image, or with the request it went in, stands in its line.
Exit code: 0, every image has its answer; 1, some have an error instead; 2,
wrong arguments or no images; 3, there is no such server.

gRPC needs grpcio, tensorflow, and tensorflow-serving-api (installed with
`pip install --no-deps`, or it brings a TensorFlow of its own).
"""

import argparse
import base64
import http.client
import json
import pathlib
import sys
import time
import urllib.error
import urllib.request

SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp"}
NEEDED = ("top_classes", "top_probabilities")
OK, SOME_ERRORS, USAGE, NO_SERVER = range(4)
BUSY = (429, 503)  # A full queue, or a model that is still loading.
SECONDS_BEFORE_RETRY = 0.5  # Doubled each time.


class ServingError(Exception):
    """A request that got no predictions."""


class NoServerError(ServingError):
    """Nothing answers at that address."""


class BusyError(ServingError):
    """The server asks to come back later."""


class RestClient:
    """Predictions of one model and signature, by TF Serving's REST API."""

    def __init__(self, flags):
        version = f"/versions/{flags.version}" if flags.version else ""
        base = f"{flags.url.rstrip('/')}/v1/models/{flags.model}{version}"
        self.url = f"{base}:predict"
        self.signature = flags.signature_name
        self.timeout = flags.timeout

    def predict(self, files):
        """List of bytes -> one dict of outputs for each."""
        instances = [{"b64": base64.b64encode(file).decode()} for file in files]
        body = {"signature_name": self.signature, "instances": instances}
        request = urllib.request.Request(
            self.url,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        return _checked(self._send(request), len(files))

    def _send(self, request):
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            kind = BusyError if error.code in BUSY else ServingError
            raise kind(f"HTTP {error.code}: {_reason(error)}") from error
        except TimeoutError as error:
            raise ServingError(f"no answer in {self.timeout:g} s") from error
        except urllib.error.URLError as error:
            raise NoServerError(f"{self.url}: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise ServingError(f"the connection broke: {error!r}") from error


class UsageError(Exception):
    """What was asked for cannot be done here."""


class GrpcClient:
    """The same by TF Serving's gRPC API: no base64, no JSON."""

    def __init__(self, flags):
        try:
            import grpc
            import tensorflow
            from tensorflow_serving.apis import (
                predict_pb2,
                prediction_service_pb2_grpc,
            )
        except ImportError as error:
            raise UsageError(
                f"--grpc needs {error.name}: pip install grpcio tensorflow && "
                "pip install --no-deps tensorflow-serving-api"
            ) from error
        self.grpc, self.tensorflow, self.flags = grpc, tensorflow, flags
        self.new_request = predict_pb2.PredictRequest
        any_size = [("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(flags.grpc, any_size)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(self, files):
        request = self.new_request()
        request.model_spec.name = self.flags.model
        request.model_spec.signature_name = self.flags.signature_name
        if self.flags.version:
            request.model_spec.version.value = self.flags.version
        tensor = self.tensorflow.make_tensor_proto(files, shape=[len(files)])
        request.inputs[self.flags.input_name].CopyFrom(tensor)
        codes = self.grpc.StatusCode
        try:
            reply = self.stub.Predict(request, timeout=self.flags.timeout)
        except self.grpc.RpcError as error:
            busy = error.code() in (codes.UNAVAILABLE, codes.RESOURCE_EXHAUSTED)
            refused = busy and "onnect" in (error.details() or "")
            kind = BusyError if busy else ServingError
            kind = NoServerError if refused else kind
            raise kind(f"{error.code().name}: {error.details()}") from error
        return self._rows(reply.outputs, len(files))

    def _rows(self, outputs, count):
        arrays = {
            name: self.tensorflow.make_ndarray(tensor)
            for name, tensor in outputs.items()
        }
        rows = [
            {name: _plain(array[row]) for name, array in arrays.items()}
            for row in range(count)
        ]
        return _checked(json.dumps({"predictions": rows}), count)


def _plain(value):
    """NumPy's numbers and TensorFlow's strings, as JSON has them."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _reason(error):
    """The server's own words, where it says any."""
    try:
        text = error.read().decode(errors="replace")
    except OSError:
        return error.reason
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:200] or error.reason


def _checked(answer, count):
    """The predictions of an answer, if it holds what it should."""
    try:
        rows = json.loads(answer)["predictions"]
    except (ValueError, KeyError, TypeError) as error:
        start = answer[:80]
        raise ServingError(f"malformed answer: {start!r}") from error
    if not isinstance(rows, list) or len(rows) != count:
        raise ServingError(f"malformed answer: not {count} predictions")
    for row in rows:
        if not isinstance(row, dict) or not all(row.get(n) for n in NEEDED):
            raise ServingError(
                "malformed answer: no top_classes and top_probabilities. Was "
                "the model written by keras_fgvc.export, and is the signature "
                "serving_bytes?"
            )
    return rows


def find_images(names):
    """Files as they are; of folders, all images below them."""
    for name in map(pathlib.Path, names):
        if name.is_dir():
            inside = (p for p in name.rglob("*") if p.is_file())
            yield from sorted(p for p in inside if p.suffix.lower() in SUFFIXES)
        else:
            yield name


def ask(client, paths, retries):
    """One dict for each path: the server's outputs, or only an `error`."""
    rows, files = {}, {}
    for path in paths:
        try:
            files[path] = path.read_bytes()
        except OSError as error:
            rows[path] = {"error": f"cannot be read: {error.strerror}"}
    if files:
        answers = _ask_patiently(client, list(files.values()), retries)
        rows.update(zip(files, answers, strict=True))
    return [rows[path] for path in paths]


def _ask_patiently(client, files, retries):
    for attempt in range(retries + 1):
        try:
            return client.predict(files)
        except NoServerError:
            raise
        except BusyError as error:
            failure = error
            if attempt < retries:
                time.sleep(SECONDS_BEFORE_RETRY * 2**attempt)
        except ServingError as error:
            failure = error
            break
    return [{"error": str(failure)} for _ in files]


def as_line(path, row, flags, width):
    error = row.get("error", "")
    if flags.json:
        chosen = (
            row
            if flags.outputs == ["all"]
            else {name: row[name] for name in flags.outputs if name in row}
        )
        return json.dumps({"path": str(path), **chosen, "error": error})
    if error:
        return f"{path!s:<{width}}  error  {error}"
    first = row["top_classes"][0], row["top_probabilities"][0]
    return f"{path!s:<{width}}  {first[1]:.3f}  {first[0]}"


def parse_flags(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("images", nargs="+", help="Image files, or folders of them.")
    add("--url", default="http://localhost:8501", help="Of the REST server.")
    add("--grpc", help="HOST:PORT; asks by gRPC instead.")
    add("--model", required=True, help="Name of the served model.")
    add("--version", type=int, help="Of the model; the newest by default.")
    add("--signature_name", default="serving_bytes")
    add("--input_name", default="image_bytes", help="For gRPC.")
    add("--batch_size", type=int, default=16, help="Images a request.")
    add("--timeout", type=float, default=30.0, help="Seconds a request.")
    add("--retries", type=int, default=3, help="Where the server is busy.")
    add("--json", action="store_true", help="A JSON object for each image.")
    add(
        "--outputs",
        type=lambda text: text.split(","),
        default="top_classes,top_probabilities,boxes,part_boxes",
        help="Outputs in the JSON, by name, or all.",
    )
    flags = parser.parse_args(arguments)
    if flags.batch_size < 1 or flags.timeout <= 0 or flags.retries < 0:
        parser.error(
            "--batch_size and --timeout must be positive, --retries not "
            "negative"
        )
    if not flags.url.startswith(("http://", "https://")):
        parser.error("--url must start with http:// or https://")
    return flags


def main(arguments=None) -> int:
    flags = parse_flags(arguments)
    paths = list(dict.fromkeys(find_images(flags.images)))
    if not paths:
        print("no images found", file=sys.stderr)
        return USAGE
    try:
        client = GrpcClient(flags) if flags.grpc else RestClient(flags)
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    width = max(len(str(path)) for path in paths)
    errors = 0
    for start in range(0, len(paths), flags.batch_size):
        batch = paths[start : start + flags.batch_size]
        try:
            rows = ask(client, batch, flags.retries)
        except NoServerError as error:
            print(f"no server: {error}", file=sys.stderr)
            return NO_SERVER
        for path, row in zip(batch, rows, strict=True):
            print(as_line(path, row, flags, width), flush=True)
            errors += bool(row.get("error"))
    print(f"{len(paths)} images, {errors} with an error", file=sys.stderr)
    return SOME_ERRORS if errors else OK


if __name__ == "__main__":
    sys.exit(main())
