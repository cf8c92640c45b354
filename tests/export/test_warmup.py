"""The warm-up file holds what TF Serving reads."""

import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc.export import warmup


def records(path):
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    return [r.numpy() for r in tf.data.TFRecordDataset(str(file))]


def fields(message):
    """(number, content) of a message that only has nested ones."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        assert tag & 7 == 2
        length, at = varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def varint(message, at):
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 128:
            return value, at


def test_each_signature_accepts_its_request(exported):
    _, path = exported
    signatures = tf.saved_model.load(str(path)).signatures
    seen = []
    for record in records(path):
        ((_, predict),) = fields(record)
        ((_, request),) = fields(predict)
        model, inputs = (content for _, content in fields(request))
        _, signature = (content.decode() for _, content in fields(model))
        name, tensor = (content for _, content in fields(inputs))
        tensor = tf.make_ndarray(
            type(tf.make_tensor_proto(0)).FromString(tensor)
        )
        answer = signatures[signature](**{name.decode(): tf.constant(tensor)})
        assert answer["probabilities"].shape == (1, 3)
        seen.append(signature)
    assert seen == ["serving_default", "serving_bytes"]


def test_read_by_tensorflow_servings_own_classes(exported):
    logs = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2",
        reason="needs tensorflow-serving-api: pip install -e '.[serving]'",
    )
    _, path = exported
    found = {}
    for record in records(path):
        log = logs.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        ((name, tensor),) = request.inputs.items()
        found[request.model_spec.signature_name] = name, tf.make_ndarray(tensor)
        assert log.SerializeToString(deterministic=True) == record
    name, pixels = found["serving_default"]
    assert (name, pixels.dtype, pixels.shape) == ("image", "f4", (1, 40, 40, 3))
    assert not pixels.any()
    name, files = found["serving_bytes"]
    assert name == "image_bytes"
    assert not np.any(tf.io.decode_image(files[0]))


def test_large_lengths_take_several_bytes():
    assert warmup._varint(300) == b"\xac\x02"
    assert warmup._varint(127) == b"\x7f"
