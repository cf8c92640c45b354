"""SavedModels for TF Serving, compared with the model right after writing."""

import functools
import os
import pathlib
import shutil

import keras

from keras_fgvc._checks import check_choice, check_positive_int
from keras_fgvc._files import write_json
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.decoding.resizing import SQUASH, from_frame
from keras_fgvc.export.encoded_images import read_placed
from keras_fgvc.export.parity import (
    check_answers,
    check_parity,
    sample_images,
)
from keras_fgvc.export.targets import (
    check_target,
    describe_input,
    partial_path,
    resize_of,
)
from keras_fgvc.export.warmup import write_warmup
from keras_fgvc.models.declaration import declared, meanings_of, to_config
from keras_fgvc.models.outputs import ObjectBox, PartBoxes

PIXEL_TYPES = ("float32", "uint8")
# Where TF Serving keeps files beside a model, and ours there.
EXTRA = "assets.extra"
CLASS_NAMES = f"{EXTRA}/class_names.txt"
MEANINGS = f"{EXTRA}/outputs.json"
INPUT = f"{EXTRA}/input.json"


@takes_old_names(image_size="load_size")
def export_saved_model(
    model,
    path,
    *,
    class_names,
    load_size: int,
    resize: str | None = None,
    num_top: int = 5,
    pixel_type: str = "float32",
    max_pixels: int = 50_000_000,
) -> pathlib.Path:
    """Writes a model's whole prediction as a TensorFlow SavedModel.

    Two signatures, both with a free batch size:

    - `serving_default`: `image`, `(batch, height, width, 3)`, raw pixels
      0..255;
    - `serving_bytes`: `image_bytes`, `(batch,)` encoded JPEG, PNG, GIF, BMP
      or WebP files of any sizes, decoded and resized as in training.

    Both return the model's outputs by name and `top_classes`,
    `top_probabilities` `(batch, num_top)`. All outputs have the batch first,
    which TF Serving's batching needs, and floats are float32.

    `serving_bytes` also returns `error`, `(batch,)` strings: empty where the
    image was read, else what is wrong with it. Such a row has empty top
    classes, and zeros in all other outputs; the other rows of the batch,
    perhaps of other clients, are as without it. Truncated files, and those
    that declare more than `max_pixels`, are refused so.

    Boxes among the outputs of `serving_bytes` are those of the encoded
    images, however these are resized; boxes of `serving_default` and maps are
    those of the pixels that the model sees.

    Beside the model lie, in `assets.extra`, `class_names.txt`, one a line,
    `outputs.json`, what the model declares about its outputs, which
    `keras-fgvc predict` reads, `input.json`, the `load_size` and `resize` of
    the pixels that `serving_default` expects, and
    `tf_serving_warmup_requests`, one request for each signature that TF
    Serving sends itself before it says that it is ready. What was written is
    loaded again and must give the model's own numbers.

    To serve a part of a method alone, export that part:
    `daf.student_model()`, `coarse2fine.coarse_model()`.

    Args:
        model: A `keras_fgvc.models` model, or any Keras classifier of RGB
            images 0..255 with one output `(batch, classes)`, probabilities or
            logits, or with a dict of outputs that has `"probabilities"` or
            `"logits"`. What is logits gets a softmax.
        path: Folder to write, for TF Serving `<model name>/<version>`; see
            `next_version`. It must not exist yet.
        class_names: Names in the order of the labels.
        load_size: Side in pixels that encoded images are resized to: the
            size images were loaded at in training.
        resize: How encoded images are brought to that size: `"squash"`,
            `"crop"` or `"pad"`. Defaults to `model.resize`, which
            `training.fit` sets, or else `"squash"`.
        num_top: How many of the most probable classes are named. Defaults to
            5, or all if there are fewer.
        pixel_type: Type of the pixels of `serving_default`. `"float32"`
            takes whole numbers too in JSON; `"uint8"` makes gRPC requests
            four times smaller. Defaults to `"float32"`.
        max_pixels: Largest height times width that `serving_bytes` decodes.
            Four images are decoded at a time, and a PNG of 50 million pixels
            takes 1.9 GB for a moment, a JPEG 0.2 GB. Defaults to 50 million.

    Returns:
        The path.

    Raises:
        ValueError: If the backend is not TensorFlow, the path exists,
            `resize` is none of the three, the number of names is not the
            number of classes, a name is empty, repeated or holds control
            characters, the model answers with NaN or infinity, or an output
            does not have the batch as its first axis.
        TypeError: If `class_names` is no list of texts.
        RuntimeError: If the written model gives other numbers.

    Example: `examples/quickstart.py`.
    """
    resize = resize_of(model, resize)
    model, path = check_target(model, path, class_names, load_size)
    check_answers(model, load_size)
    check_positive_int("num_top", num_top)
    check_positive_int("max_pixels", max_pixels)
    check_choice("pixel_type", pixel_type, PIXEL_TYPES)
    partial = partial_path(path)
    shutil.rmtree(partial, ignore_errors=True)
    predict = _predictor(model, class_names, num_top)
    read = functools.partial(
        read_placed,
        load_size=(load_size, load_size),
        max_pixels=max_pixels,
        resize=resize,
    )
    boxes = declared(meanings_of(model), ObjectBox, PartBoxes)
    encoded = _from_bytes(predict, read, () if resize == SQUASH else boxes)
    _write(model, partial, predict, encoded, pixel_type)
    (partial / EXTRA).mkdir()
    names = "".join(f"{name}\n" for name in class_names)
    (partial / CLASS_NAMES).write_text(names, encoding="utf-8")
    write_json(partial / MEANINGS, to_config(meanings_of(model)))
    (partial / INPUT).write_text(describe_input(load_size, resize))
    write_warmup(partial / EXTRA, load_size, pixel_type)
    _check_answers(model, partial, load_size, pixel_type)
    os.replace(partial, path)
    return path


def _predictor(model, class_names, num_top):
    """The function from float32 images to all named outputs."""
    import tensorflow as tf

    names = tf.constant(list(class_names))
    num_top = min(num_top, len(class_names))

    def predict(images):
        outputs = {
            # JSON has no half precision.
            name: tf.cast(value, tf.float32)
            if value.dtype.is_floating
            else value
            for name, value in model(images, training=False).items()
        }
        top = tf.math.top_k(outputs["probabilities"], num_top)
        outputs["top_probabilities"] = top.values
        outputs["top_classes"] = tf.gather(names, top.indices)
        return outputs

    return predict


def _from_bytes(predict, read, moved):
    """The function from encoded images; rows in error are blank.

    `moved` names the boxes to take to the coordinates of the encoded images.
    """
    import tensorflow as tf

    def blank_errors(value, is_fine):
        shape = [-1] + [1] * (value.shape.rank - 1)
        fine = tf.reshape(is_fine, shape)
        return tf.where(fine, value, tf.zeros_like(value))

    def from_bytes(image_bytes):
        images, errors, frames = read(image_bytes)
        outputs = predict(tf.cast(images, tf.float32))
        for name in moved:
            outputs[name] = from_frame(outputs[name], frames)
        is_fine = errors == ""
        return {
            "error": errors,
            **{k: blank_errors(v, is_fine) for k, v in outputs.items()},
        }

    return from_bytes


def _write(model, path, predict, from_bytes, pixel_type):
    import tensorflow as tf

    def from_pixels(image):
        return predict(tf.cast(image, tf.float32))

    size = model.inputs[0].shape[1:]
    image = tf.TensorSpec((None, *size), pixel_type, name="image")
    encoded = tf.TensorSpec((None,), tf.string, name="image_bytes")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", from_pixels, [image])
    archive.add_endpoint("serving_bytes", from_bytes, [encoded])
    archive.write_out(str(path), verbose=False)


def _check_answers(model, path, load_size, pixel_type):
    import tensorflow as tf

    signatures = tf.saved_model.load(str(path)).signatures
    for signature in signatures.values():
        _check_batch_axis(signature.structured_outputs)
    images = sample_images(load_size)
    pixels = tf.constant(images.astype(pixel_type))
    files = tf.stack([tf.io.encode_png(image) for image in images])
    served = signatures["serving_default"](image=pixels)
    check_parity(model, images, served, path)
    served = signatures["serving_bytes"](image_bytes=files)
    check_parity(model, images, served, path)


def _check_batch_axis(outputs):
    for name, spec in outputs.items():
        if not spec.shape.rank or spec.shape[0] is not None:
            raise ValueError(
                "Every output must have the batch as its first axis, or "
                f"TF Serving cannot batch requests. Received: {name!r} of "
                f"shape {spec.shape}."
            )
