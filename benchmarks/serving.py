"""Requests a second and latency of a served model; every answer is checked.

    KERAS_FGVC_KSERVE=PYTHON python benchmarks/serving.py --saved_model=FOLDER
    python benchmarks/serving.py --url=http://localhost:8501 --model=birds

With --saved_model it starts KServe on it (benchmarks/kserve_server.py), else
it asks the server at --url, on this machine only. Each of 1, 8 and 32 clients
sends one image a request over a connection that it keeps, the next request
when the last is answered. Good images come in turn and each must get the
numbers that it got alone, before; every tenth request is a bad one, in turn a
truncated image, an empty one and base64 that is none, and must get its error.
Exit code 1 if any answer is wrong or missing. --images measures your own files.
"""

import base64
import contextlib
import dataclasses
import http.client
import itertools
import json
import os
import pathlib
import threading
import time
import urllib.parse

import numpy as np
import results
from absl import app, flags
from kserve_process import VARIABLE, serving

FLAGS = flags.FLAGS
flags.DEFINE_string("saved_model", None, "Folder to start KServe on.")
flags.DEFINE_string("url", None, "Of a server that runs already.")
flags.DEFINE_string("model", "birds", "Its name there.")
flags.DEFINE_string("images", None, "Folder of JPEGs; made up by default.")
flags.DEFINE_list("clients", ["1", "8", "32"], "At the same time.")
flags.DEFINE_integer("requests", 300, "For each number of clients.")
flags.DEFINE_float("seconds", 60, "No request starts later than this.")
flags.DEFINE_float("timeout", 60, "Seconds to wait for one answer.")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NUM_IMAGES = 8
BAD_EVERY = 10
TOLERANCE = 1e-5
HEADERS = {"Content-Type": "application/json"}


@dataclasses.dataclass
class Request:
    """A body, and what must come back: numbers, or an error."""

    body: bytes
    probabilities: np.ndarray | None = None

    def is_answered_by(self, status, answer):
        row = next(iter(answer.get("predictions", ())), {})
        if self.probabilities is None:
            return bool(answer.get("error") or row.get("error"))
        found = np.array(row.get("probabilities", ()))
        if status != 200 or found.shape != self.probabilities.shape:
            return False
        return np.allclose(found, self.probabilities, rtol=0, atol=TOLERANCE)


def body(b64):
    instances = [{"b64": b64}]
    content = {"signature_name": "serving_bytes", "instances": instances}
    return json.dumps(content).encode()


def made_up_images():
    """JPEGs of 500 x 375, as large as photographs of that size."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    for _ in range(NUM_IMAGES):
        coarse = rng.integers(0, 256, (24, 32, 3)).astype("float32")
        pixels = tf.image.resize(coarse, (375, 500), "bicubic")
        pixels = pixels + rng.normal(0, 8, (375, 500, 3))
        pixels = tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8)
        yield tf.io.encode_jpeg(pixels).numpy()


def read_images():
    if not FLAGS.images:
        return list(made_up_images())
    paths = sorted(pathlib.Path(FLAGS.images).rglob("*.jpg"))[:NUM_IMAGES]
    if not paths:
        raise app.UsageError(f"No .jpg files below {FLAGS.images}.")
    return [path.read_bytes() for path in paths]


class Connection:
    """One client's connection, opened again after it broke."""

    def __init__(self, url):
        place = urllib.parse.urlsplit(url)
        if place.hostname not in LOOPBACK:
            raise app.UsageError(f"Only this machine is measured, not {url}.")
        self._open = lambda: http.client.HTTPConnection(
            place.hostname, place.port, timeout=FLAGS.timeout
        )
        self._path = f"/v1/models/{FLAGS.model}:predict"
        self._connection = self._open()

    def send(self, content):
        """(HTTP status, answer); raises OSError where none came."""
        try:
            self._connection.request("POST", self._path, content, HEADERS)
            reply = self._connection.getresponse()
            return reply.status, json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            self._connection = self._open()
            raise OSError(f"no answer: {error!r}") from error


def prepare(url):
    """Good requests with what each gets alone, and bad ones."""
    files = read_images()
    connection = Connection(url)
    good = []
    for file in files:
        content = body(base64.b64encode(file).decode())
        status, answer = connection.send(content)
        row = answer["predictions"][0] if status == 200 else answer
        if row.get("error"):
            raise app.UsageError(f"An image is not answered: {row['error']}")
        good.append(Request(content, np.array(row["probabilities"])))
    for one, other in itertools.combinations(good, 2):
        if np.abs(one.probabilities - other.probabilities).max() < (
            10 * TOLERANCE
        ):
            raise app.UsageError(
                "Two images have the same probabilities: a mix-up would not "
                "be seen. Serve a trained model."
            )
    cut = base64.b64encode(files[0][: len(files[0]) // 2]).decode()
    return good, [Request(body(text)) for text in (cut, "", "?!")]


def request_number(number, good, bad):
    if number % BAD_EVERY == BAD_EVERY - 1:
        return bad[number // BAD_EVERY % len(bad)]
    return good[number % len(good)]


def measure(url, good, bad, clients):
    """One (request, seconds, "right" | "wrong" | "lost") for each sent."""
    numbers = iter(range(FLAGS.requests))
    # By number: a request without an entry would be one that was lost.
    lock, results = threading.Lock(), {}
    deadline = time.monotonic() + FLAGS.seconds

    def work():
        connection = Connection(url)
        while time.monotonic() < deadline:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            request = request_number(number, good, bad)
            results[number] = request, 0.0, "lost"
            start = time.perf_counter()
            with contextlib.suppress(OSError):
                answer = connection.send(request.body)
                seconds = time.perf_counter() - start
                is_right = request.is_answered_by(*answer)
                outcome = "right" if is_right else "wrong"
                results[number] = request, seconds, outcome

    threads = [threading.Thread(target=work) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(results.values()), time.perf_counter() - start


def print_row(clients, results, seconds):
    outcomes = [outcome for _, _, outcome in results]
    bad = sum(request.probabilities is None for request, _, _ in results)
    times = [
        1000 * taken
        for request, taken, outcome in results
        if request.probabilities is not None and outcome != "lost"
    ]
    p50, p95, p99 = np.percentile(times or [np.nan], (50, 95, 99))
    print(
        f"| {clients} | {len(results)} | {bad} | {outcomes.count('right')} | "
        f"{outcomes.count('wrong')} | {outcomes.count('lost')} | "
        f"{len(results) / seconds:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f} |",
        flush=True,
    )
    return outcomes.count("right") == len(outcomes)


@contextlib.contextmanager
def server():
    if FLAGS.url:
        yield FLAGS.url
        return
    if not FLAGS.saved_model or VARIABLE not in os.environ:
        raise app.UsageError(
            f"Give --url, or --saved_model and the variable {VARIABLE} (a "
            "Python with kserve and tensorflow-cpu; see make test-serving)."
        )
    with serving(FLAGS.saved_model, FLAGS.model) as url:
        yield url


def main(_):
    with server() as url:
        good, bad = prepare(url)
        print(
            "| clients | sent | of them bad | right | wrong | lost | "
            "requests/s | p50 ms | p95 ms | p99 ms |"
        )
        print("|---" * 10 + "|")
        fine = [
            print_row(count, *measure(url, good, bad, count))
            for count in map(int, FLAGS.clients)
        ]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    app.run(results.kept(main))
