"""What a server answers to a list of bad inputs, as a table.

    python -m tests.serving.bad_inputs http://localhost:8501 birds
    KERAS_FGVC_KSERVE=PYTHON python -m tests.serving.bad_inputs

With an address it asks that server; without, it exports a tiny model and
starts KServe. Run it from the root of the repository.
"""

import base64
import json
import pathlib
import sys
import tempfile
import urllib.error
import urllib.request

from keras_fgvc import export
from tests import tiny
from tests.export.bad_files import CASES
from tests.export.conftest import NAMES
from tests.serving.client import load

B64 = {"b64": base64.b64encode(CASES["JPEG"][0]).decode()}
SERVING_BYTES = {"signature_name": "serving_bytes"}
# Bad requests, not bad images: name -> body.
REQUESTS = {
    "b64 that is none": SERVING_BYTES | {"instances": [{"b64": "?!"}]},
    "no such signature": {"signature_name": "mine", "instances": [B64]},
    "pixels, wrong shape": {"instances": [[[1.0, 2.0]]]},
    "pixels, two sizes": {
        "instances": [[[[1, 2, 3]]], [[[1, 2, 3], [4, 5, 6]]]]
    },
    "bytes as pixels": {"instances": [B64]},
    "no JSON": b"instances",
}


def post(url, model, body):
    """(HTTP status, content) of a request, JSON or not."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{url}/v1/models/{model}:predict",
        content,
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def ask_all(url, model):
    """Name -> (HTTP status, what came). All files go in one request."""
    instances = [
        {"b64": base64.b64encode(content).decode()}
        for content, _ in CASES.values()
    ]
    status, answer = post(url, model, SERVING_BYTES | {"instances": instances})
    found = {
        name: (status, row)
        for name, row in zip(CASES, answer["predictions"], strict=True)
    }
    found.update((n, post(url, model, body)) for n, body in REQUESTS.items())
    return found


def print_table(found):
    print("| input | HTTP | answer |")
    print("|---|---|---|")
    for name, (status, answer) in found.items():
        error = str(answer["error"])
        if "top_classes" in answer and not error:
            error = f"(read) {answer['top_classes'][0]}"
        error = " ".join(error.split()).replace("|", "/")
        print(f"| {name} | {status} | {error[:110]} |")


def main(arguments):
    if arguments:
        print_table(ask_all(*arguments))
        return
    from keras_fgvc.models import Baseline

    model = Baseline(tiny.backbone(), 3, tap=8)
    with tempfile.TemporaryDirectory() as folder:
        path = export.export_saved_model(
            model, pathlib.Path(folder) / "1", class_names=NAMES, load_size=40
        )
        process = load("benchmarks/kserve_process.py")
        with process.serving(path, "birds") as url:
            print_table(ask_all(url, "birds"))


if __name__ == "__main__":
    main(sys.argv[1:])
