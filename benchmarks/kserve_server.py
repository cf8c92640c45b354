"""Serves one SavedModel by KServe, whose REST V1 is TF Serving's protocol.

    PYTHON benchmarks/kserve_server.py --model=runs/birds/served/1 --name=birds

PYTHON has kserve and tensorflow-cpu (`make test-serving` makes such a virtual
environment in .venv/kserve) and needs nothing else: not this package. Listens
on a loopback address only and prints `ready http://127.0.0.1:PORT`. For tests
and measurements; in production serve the same folder by TF Serving.
"""

import argparse
import asyncio
import base64
import binascii
import socket

import kserve
import numpy as np
import tensorflow as tf
from kserve.errors import InvalidInput
from kserve.protocol.rest.server import RESTServer


def decoded(value):
    """JSON's {"b64": ...} as bytes, at any depth of a list."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"b64"}:
        raise InvalidInput(f'expected {{"b64": ...}}, got keys {list(value)}')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise InvalidInput(f"Unable to base64 decode: {error}") from error


def encoded(array):
    if array.dtype == object:  # TensorFlow's strings
        return (
            [value.decode() for value in array.ravel()]
            if (array.ndim == 1)
            else [encoded(row) for row in array]
        )
    return array.tolist()


class SavedModel(kserve.Model):
    """The signatures of a SavedModel, by TF Serving's row format."""

    def load(self, path):
        self.signatures = tf.saved_model.load(path).signatures
        self.ready = True

    async def predict(self, payload, headers=None):
        return await asyncio.to_thread(self._predict, payload)

    def _predict(self, payload):
        name = payload.get("signature_name", "serving_default")
        if name not in self.signatures:
            raise InvalidInput(
                f'Serving signature name: "{name}" not found in signature def'
            )
        signature = self.signatures[name]
        (spec,) = signature.structured_input_signature[1].values()
        rows = [
            row[spec.name]
            if isinstance(row, dict) and spec.name in row
            else row
            for row in payload["instances"]
        ]
        outputs = signature(**{spec.name: self._tensor(decoded(rows), spec)})
        return {"predictions": _rows(outputs)}

    def _tensor(self, rows, spec):
        try:
            tensor = tf.constant(rows, spec.dtype)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"JSON does not fit {spec}: {error}") from error
        if not spec.shape.is_compatible_with(tensor.shape):
            raise InvalidInput(
                f"{spec.name} has shape {spec.shape}; got {tensor.shape}"
            )
        return tensor


def _rows(outputs):
    columns = {name: encoded(np.asarray(v)) for name, v in outputs.items()}
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="SavedModel's folder.")
    parser.add_argument("--name", default="model", help="Name in the URL.")
    parser.add_argument("--port", type=int, default=0, help="0: any free.")
    flags = parser.parse_args()
    model = SavedModel(flags.name)
    model.load(flags.model)
    server = kserve.ModelServer(
        registered_models=kserve.ModelRepository(),
        enable_latency_logging=False,
    )
    server.register_model(model)
    # ModelServer.start would listen on all addresses.
    with socket.create_server(("127.0.0.1", flags.port), backlog=256) as here:
        rest = RESTServer(
            "kserve.model_server:app",
            server.dataplane,
            server.model_repository_extension,
            flags.port,
        )
        print(f"ready http://127.0.0.1:{here.getsockname()[1]}", flush=True)
        rest.run(sockets=[here])


if __name__ == "__main__":
    main()
