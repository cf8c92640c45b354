"""ONNX files of the image signature."""

import json
import os
import pathlib

from keras_fgvc._extras import import_extra
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.export.parity import (
    check_answers,
    check_parity,
    sample_images,
)
from keras_fgvc.export.targets import (
    check_target,
    describe_input,
    for_inference,
    partial_path,
    resize_of,
)

OPSET = 18
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


@takes_old_names(image_size="load_size")
def export_onnx(
    model, path, *, class_names, load_size: int, resize: str | None = None
) -> pathlib.Path:
    """Writes a model's whole prediction as an ONNX file.

    One input, `image`, float32 `(batch, load_size, load_size, 3)`, raw
    pixels 0..255, with a free batch size; the model's outputs by name. The
    file's metadata has `class_names`, a JSON list, and `input`, the size and
    the way that images are resized. What was written is run with ONNX Runtime
    and must give the model's own numbers. All six models convert.

    Args:
        model: A `keras_fgvc.models` model or any Keras classifier, as for
            `export_saved_model`, of float32 precision.
        path: File to write, `birds.onnx` for one. It must not exist yet.
        class_names: Names in the order of the labels.
        load_size: Side of the images in pixels: ONNX files have it fixed.
        resize: How images were brought to that size in training: `"squash"`,
            `"crop"` or `"pad"`. It is noted in the file, whose input is
            already resized. Defaults to `model.resize`, or else `"squash"`.

    Returns:
        The path.

    Raises:
        ImportError: If tf2onnx, onnx or onnxruntime is missing.
        ValueError: If the backend is not TensorFlow, the path exists, or the
            number of names is not the number of classes, or the model answers
            with NaN or infinity.
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
    resize = resize_of(model, resize)
    model, path = check_target(model, path, class_names, load_size)
    _, onnx, onnxruntime = import_extra(PACKAGES, "onnx", "This export needs")
    check_answers(model, load_size)
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
    props = {
        "class_names": json.dumps(list(class_names)),
        "input": describe_input(load_size, resize),
    }
    _describe(onnx, partial, props)
    images = sample_images(load_size)
    session = onnxruntime.InferenceSession(
        str(partial), providers=["CPUExecutionProvider"]
    )
    values = session.run(None, {"image": images.astype("float32")})
    names = [output.name for output in session.get_outputs()]
    check_parity(model, images, dict(zip(names, values, strict=True)), partial)
    os.replace(partial, path)
    return path


def _describe(onnx, path, props):
    """Adds the metadata, and calls the free axis "batch" everywhere."""
    content = onnx.load(str(path))
    for value in (*content.graph.input, *content.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(content, props)
    onnx.save(content, str(path))
