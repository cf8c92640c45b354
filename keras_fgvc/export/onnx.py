"""ONNX files of the image signature."""

import json
import os
import pathlib

from keras_fgvc._extras import import_extra
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.export.parity import check_parity, sample_images
from keras_fgvc.export.targets import (
    check_target,
    for_inference,
    partial_path,
)

OPSET = 18
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


@takes_old_names(image_size="load_size")
def export_onnx(model, path, *, class_names, load_size: int) -> pathlib.Path:
    """Writes a model's whole prediction as an ONNX file.

    One input, `image`, float32 `(batch, load_size, load_size, 3)`, raw
    pixels 0..255, with a free batch size; the model's outputs by name. The
    class names are in the file's metadata, `class_names`, as a JSON list. What
    was written is run with ONNX Runtime and must give the model's own
    numbers. All six models convert.

    Args:
        model: A `keras_fgvc.models` model or any Keras classifier, as for
            `export_saved_model`, of float32 precision.
        path: File to write, `birds.onnx` for one. It must not exist yet.
        class_names: Names in the order of the labels.
        load_size: Side of the images in pixels: ONNX files have it fixed.

    Returns:
        The path.

    Raises:
        ImportError: If tf2onnx, onnx or onnxruntime is missing.
        ValueError: If the backend is not TensorFlow, the path exists, or the
            number of names is not the number of classes.
        RuntimeError: If the written model gives other numbers.

    Example:

    ```python
    from keras_fgvc import export, models

    model = models.Baseline("mobilenet_v2", num_classes=2, weights=None)
    try:
        export.export_onnx(
            model, "pets.onnx", class_names=("cat", "dog"), load_size=32
        )
    except ImportError as error:
        print(error)
    ```
    """
    model, path = check_target(model, path, class_names, load_size)
    _, onnx, onnxruntime = import_extra(PACKAGES, "onnx", "This export needs")
    import tensorflow as tf

    partial = partial_path(path)
    shape = (None, load_size, load_size, 3)
    for_inference(model, load_size).export(
        str(partial),
        format="onnx",
        input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
        opset_version=OPSET,
        verbose=False,
    )
    _describe(onnx, partial, class_names)
    images = sample_images(load_size)
    session = onnxruntime.InferenceSession(
        str(partial), providers=["CPUExecutionProvider"]
    )
    values = session.run(None, {"image": images.astype("float32")})
    names = [output.name for output in session.get_outputs()]
    check_parity(model, images, dict(zip(names, values, strict=True)), partial)
    os.replace(partial, path)
    return path


def _describe(onnx, path, class_names):
    """Adds the class names, and calls the free axis "batch" everywhere."""
    content = onnx.load(str(path))
    for value in (*content.graph.input, *content.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(
        content, {"class_names": json.dumps(list(class_names))}
    )
    onnx.save(content, str(path))
