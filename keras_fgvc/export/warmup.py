"""Warm-up requests: TF Serving sends them itself before it says "ready".

Without them the first client waits for all that a graph does once. The file
is a TFRecord of `tensorflow.serving.PredictionLog` messages. TensorFlow does
not contain that type, and the package that does, tensorflow-serving-api, is
not needed for the few nested fields written here: they are put together by
the rules of the protocol buffer format, and a test reads them with that
package's own classes.
"""

FILE_NAME = "tf_serving_warmup_requests"
# Numbers of the fields, from tensorflow_serving/apis/prediction_log.proto,
# predict.proto and model.proto.
LOG_PREDICT = 6
PREDICT_REQUEST = 1
REQUEST_MODEL, REQUEST_INPUTS = 1, 2
MODEL_NAME, MODEL_SIGNATURE = 1, 3
MAP_KEY, MAP_VALUE = 1, 2
LENGTH_DELIMITED = 2  # How strings and messages are stored.


def write_warmup(folder, load_size: int, pixel_type: str) -> None:
    """Writes one request with one black image for each signature.

    Args:
        folder: `assets.extra` of the SavedModel.
        load_size: Side of the images in pixels.
        pixel_type: Type of the pixels of `serving_default`.
    """
    import tensorflow as tf

    black = tf.zeros((load_size, load_size, 3), tf.uint8)
    encoded = tf.io.encode_jpeg(black).numpy()
    requests = {
        "serving_default": ("image", _black_pixels(load_size, pixel_type)),
        "serving_bytes": ("image_bytes", tf.make_tensor_proto([encoded])),
    }
    with tf.io.TFRecordWriter(str(folder / FILE_NAME)) as writer:
        for signature, (name, tensor) in requests.items():
            writer.write(_prediction_log(signature, name, tensor))


def _black_pixels(load_size, pixel_type):
    """A tensor of zeros, stored as one zero: it stands for all."""
    import tensorflow as tf

    tensor = tf.make_tensor_proto(0, pixel_type)
    for side in (1, load_size, load_size, 3):
        tensor.tensor_shape.dim.add(size=side)
    return tensor


def _prediction_log(signature, input_name, tensor) -> bytes:
    # The name is not looked at: the request goes to the model it lies in.
    model = _field(MODEL_NAME, b"default")
    model += _field(MODEL_SIGNATURE, signature.encode())
    inputs = _field(MAP_KEY, input_name.encode())
    inputs += _field(MAP_VALUE, tensor.SerializeToString())
    request = _field(REQUEST_MODEL, model) + _field(REQUEST_INPUTS, inputs)
    return _field(LOG_PREDICT, _field(PREDICT_REQUEST, request))


def _field(number: int, content: bytes) -> bytes:
    tag = number << 3 | LENGTH_DELIMITED
    return _varint(tag) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says "go on"."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
