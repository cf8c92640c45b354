"""SavedModels for TF Serving, compared with the model right after writing."""

import os
import pathlib

import keras
import numpy as np

from keras_fgvc._checks import check_positive_int
from keras_fgvc.data import decode_and_resize

# Largest difference between a model and its reloaded export, both float32.
PARITY_TOLERANCE = 1e-4


def export_saved_model(
    model, path, *, class_names, image_size: int, num_top: int = 5
) -> pathlib.Path:
    """Writes a model's whole prediction as a TensorFlow SavedModel.

    Two signatures, both with a free batch size:

    - `serving_default`: `image`, float32 `(batch, height, width, 3)`, raw
      pixels 0..255;
    - `serving_bytes`: `image_bytes`, `(batch,)` encoded JPEG, PNG, GIF, BMP
      or WebP files of any sizes, decoded and resized as in training.

    Both return the model's outputs by name and `top_classes`,
    `top_probabilities` `(batch, num_top)`. The class names also lie in
    `assets.extra/class_names.txt`, one a line. What was written is loaded
    again and must give the model's own numbers.

    Args:
        model: A `keras_fgvc.models` model.
        path: Folder to write, for TF Serving `<model name>/<version>`. It
            must not exist yet.
        class_names: Names in the order of the labels.
        image_size: Side in pixels that encoded images are resized to: the
            size images were loaded at in training.
        num_top: How many of the most probable classes are named. Defaults to
            5, or all if there are fewer.

    Returns:
        The path.

    Raises:
        ValueError: If the backend is not TensorFlow, the path exists, or the
            number of names is not the number of classes.
        RuntimeError: If the written model gives other numbers.

    Example: `examples/quickstart.py`.
    """
    path = pathlib.Path(path)
    _check(model, path, class_names)
    check_positive_int("image_size", image_size)
    check_positive_int("num_top", num_top)
    # Written beside its place first: a server must never see half a model.
    partial = path.with_name(f"partial-{path.name}")
    _write(model, partial, class_names, image_size, num_top)
    extra = partial / "assets.extra"
    extra.mkdir()
    names = "".join(f"{name}\n" for name in class_names)
    (extra / "class_names.txt").write_text(names, encoding="utf-8")
    _check_parity(model, partial, image_size)
    os.replace(partial, path)
    return path


def _check(model, path, class_names):
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel can be written from the TensorFlow backend only. "
            f"Received: {keras.backend.backend()}. Save the model as .keras, "
            "and load and export it with KERAS_BACKEND=tensorflow."
        )
    if path.exists():
        raise ValueError(
            f"{path} exists already. Give the next version's number, as "
            "TF Serving expects, or remove it."
        )
    if len(class_names) != model.num_classes:
        raise ValueError(
            f"`class_names` must name the model's {model.num_classes} "
            f"classes. Received: {len(class_names)} names."
        )


def _write(model, path, class_names, image_size, num_top):
    import tensorflow as tf

    names = tf.constant(list(class_names))
    num_top = min(num_top, len(class_names))
    size = (image_size, image_size)

    def predict(images):
        outputs = dict(model(images, training=False))
        top = tf.math.top_k(outputs["probabilities"], num_top)
        outputs["top_probabilities"] = top.values
        outputs["top_classes"] = tf.gather(names, top.indices)
        return outputs

    def from_bytes(image_bytes):
        images = tf.map_fn(
            lambda encoded: decode_and_resize(encoded, size),
            image_bytes,
            fn_output_signature=tf.TensorSpec((*size, 3), tf.uint8),
        )
        return predict(tf.cast(images, tf.float32))

    image = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    encoded = tf.TensorSpec((None,), tf.string, name="image_bytes")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default", lambda image: predict(image), [image]
    )
    archive.add_endpoint("serving_bytes", from_bytes, [encoded])
    archive.write_out(str(path), verbose=False)


def _check_parity(model, path, image_size):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = (2, image_size, image_size, 3)
    images = rng.integers(0, 256, shape).astype("float32")
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    answers = served(image=tf.constant(images))
    for name, expected in model(images, training=False).items():
        expected = keras.ops.convert_to_numpy(expected).astype("float32")
        found = answers[name].numpy().astype("float32")
        difference = float(np.max(np.abs(found - expected)))
        if not difference <= PARITY_TOLERANCE * max(1, np.abs(expected).max()):
            raise RuntimeError(
                f"The model written to {path} differs from the model: "
                f"{name!r} by {difference:.2g}. It was left there for a look."
            )
