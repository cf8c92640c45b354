"""LiteRT (TensorFlow Lite) files of the image signature."""

import os
import pathlib
import zipfile

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

SUFFIX = ".tflite"


@takes_old_names(image_size="load_size")
def export_litert(
    model, path, *, class_names, load_size: int, resize: str | None = None
) -> pathlib.Path:
    """Writes a model's whole prediction as a LiteRT file, for phones.

    One signature, `serving_default`: `image`, float32
    `(batch, load_size, load_size, 3)`, raw pixels 0..255, with a free batch
    size; the model's outputs by name. A zip archive is appended, as LiteRT's
    metadata tools do, with `class_names.txt` and `input.json`, the size and
    the way that images are resized: `unzip` reads the file, and the
    interpreter does not mind. What was written is run with ai-edge-litert and
    must give the model's own numbers. All six models convert, to built-in
    operations alone.

    Args:
        model: A `keras_fgvc.models` model or any Keras classifier, as for
            `export_saved_model`, of float32 precision.
        path: File to write, ending in `.tflite`. It must not exist yet.
        class_names: Names in the order of the labels.
        load_size: Side of the images in pixels: fixed in the file.
        resize: How images were brought to that size in training: `"squash"`,
            `"crop"` or `"pad"`. It is noted in the file, whose input is
            already resized. Defaults to `model.resize`, or else `"squash"`.

    Returns:
        The path.

    Raises:
        ImportError: If ai-edge-litert is missing.
        ValueError: If the backend is not TensorFlow, the path exists or has
            another ending, the number of names is not the number of classes,
            or the model answers with NaN or infinity.
        RuntimeError: If the written model gives other numbers.

    Example:

    ```python
    from keras_fgvc import export, models

    model = models.Baseline("mobilenet_v2", num_classes=2, weights=None)
    try:
        export.export_litert(
            model, "pets.tflite", class_names=("cat", "dog"), load_size=32
        )
    except ImportError as error:
        print(error)
    ```
    """
    resize = resize_of(model, resize)
    model, path = check_target(model, path, class_names, load_size)
    if path.suffix != SUFFIX:
        raise ValueError(f"`path` must end in {SUFFIX}. Received: {path}.")
    (litert,) = import_extra(
        ["ai_edge_litert.interpreter"], "litert", "This export needs"
    )
    check_answers(model, load_size)
    import tensorflow as tf

    partial = partial_path(path)
    shape = (None, load_size, load_size, 3)
    for_inference(model, load_size).export(
        str(partial),
        format="litert",
        input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
        verbose=False,
    )
    names = "".join(f"{name}\n" for name in class_names)
    with zipfile.ZipFile(partial, "a") as archive:
        archive.writestr("class_names.txt", names)
        archive.writestr("input.json", describe_input(load_size, resize))
    images = sample_images(load_size)
    interpreter = litert.Interpreter(str(partial))
    serve = interpreter.get_signature_runner("serving_default")
    answers = serve(image=images.astype("float32"))
    check_parity(model, images, answers, partial)
    os.replace(partial, path)
    return path
