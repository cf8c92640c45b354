"""Reads image files and runs a model on them: a run's, or an exported one."""

import functools
import pathlib

import numpy as np

from keras_fgvc._checks import check_finite_answers
from keras_fgvc._files import damaged, read_json, reading
from keras_fgvc.decoding.resizing import SQUASH, from_frame
from keras_fgvc.export.saved_model import CLASS_NAMES, MEANINGS
from keras_fgvc.models.declaration import (
    OLDER_EXPORTS,
    check_meanings,
    declared,
    from_config,
    meanings_of,
    object_box,
)
from keras_fgvc.models.outputs import ObjectBox, PartBoxes
from keras_fgvc.training.image_files import (
    read_batches,
    read_bytes,
    read_placed,
)

EXPORT_REMEDY = "Export the model again, into a new folder."
NAMES_REMEDY = "Give a text file in UTF-8 with one name of a class per line."
DIGITS = 6  # of a number in an answer; float32 has about 7


class Predictor:
    """Reads an image in the way a model wants it, and runs the model.

    Args:
        class_names: Names of the classes in the order of the labels.
        read: Function from a path to the content of one image.
        run: Function from a list of contents to the outputs by name.
        meanings: What the model declares, see `keras_fgvc.models.outputs`.
            Answers have the boxes among its outputs. Defaults to none.

    Attributes:
        object_box: Name of the output that is the object's box, or None.

    Raises:
        ValueError: From the call, if the outputs lack `"probabilities"`, have
            another number of classes, do not fit `meanings` or are not
            finite.
    """

    def __init__(self, class_names, read, run, meanings=None):
        self.class_names = tuple(class_names)
        self.read = read
        self._run = run
        self._meanings = meanings or {}
        self.object_box = object_box(self._meanings)

    def __call__(self, contents) -> dict:
        outputs = self._run(contents)
        if not isinstance(outputs, dict) or "probabilities" not in outputs:
            raise ValueError(
                'The model must return a dict with "probabilities", as those '
                "of keras_fgvc.models do."
            )
        count = outputs["probabilities"].shape[1]
        if count != len(self.class_names):
            raise ValueError(
                f"The model has {count} classes. Received: "
                f"{len(self.class_names)} names of classes."
            )
        check_meanings(self._meanings, outputs)
        for name in ("probabilities", *self.boxes()):
            check_finite_answers(name, outputs[name])
        return outputs

    def boxes(self) -> tuple[str, ...]:
        """Returns the names of the outputs that are boxes."""
        return tuple(declared(self._meanings, ObjectBox, PartBoxes))

    def answers(self, paths, num_top: int, batch_size: int):
        """Yields one dict per image file, in the order of `paths`.

        Args:
            paths: Paths of image files.
            num_top: Number of classes to name.
            batch_size: Images per step.
        """
        for images in read_batches(paths, self.read, batch_size):
            yield from _answers(images, self, num_top)


def of_pixels(model, class_names, size, resize: str = SQUASH) -> Predictor:
    """Returns the predictor of a model that takes pixels of one size.

    Its boxes are those of the photographs, however these are resized.
    """
    boxes = tuple(declared(meanings_of(model), ObjectBox, PartBoxes))

    def run(contents):
        pixels, frames = map(np.stack, zip(*contents, strict=True))
        outputs = model.predict_on_batch(pixels)
        if resize == SQUASH or not boxes:
            return outputs
        moved = {n: from_frame(outputs[n], frames).numpy() for n in boxes}
        return {**outputs, **moved}

    read = functools.partial(read_placed, size=size, resize=resize)
    return Predictor(class_names, read, run, meanings_of(model))


def of_bytes(path, names_path) -> Predictor:
    """Returns the predictor of a SavedModel, which decodes files itself."""
    import tensorflow as tf

    with reading(path, EXPORT_REMEDY):
        saved = tf.saved_model.load(str(path))
    if "serving_bytes" not in saved.signatures:
        raise ValueError(
            f"{path} has no signature serving_bytes. Write it by "
            "`keras-fgvc export`."
        )

    def run(contents):  # holds `saved`, and so its variables
        serve = saved.signatures["serving_bytes"]
        found = serve(image_bytes=tf.constant(contents))
        return {name: value.numpy() for name, value in found.items()}

    names = read_names(names_path or path / CLASS_NAMES)
    outputs = saved.signatures["serving_bytes"].structured_outputs
    return Predictor(names, read_bytes, run, _saved_meanings(path, outputs))


def read_names(path):
    """Reads one name per line; editors may put a mark in front of the first.

    Raises:
        DamagedFileError: If these are no names of classes.
    """
    path = pathlib.Path(path)
    with reading(path, NAMES_REMEDY):
        text = path.read_text(encoding="utf-8-sig")
        # Not splitlines: a name may hold a character that it takes for an end.
        names = text.removesuffix("\n").split("\n")
    if not text.strip():
        raise damaged(path, "it is empty", NAMES_REMEDY)
    return names


def _saved_meanings(path, outputs):
    """Returns the declaration of a SavedModel with outputs of these names."""
    file = path / MEANINGS
    if not file.exists():
        return {n: m for n, m in OLDER_EXPORTS.items() if n in outputs}
    with reading(file, EXPORT_REMEDY):
        return from_config(read_json(file, dict, EXPORT_REMEDY))


def _answers(images, predictor, num_top):
    """A dict an image, in their order."""
    contents = [i.content for i in images if i.error is None]
    outputs = predictor(contents) if contents else {}
    place = 0
    for image in images:
        if image.error is not None:
            yield {"path": image.path, "error": image.error}
            continue
        own = {name: values[place] for name, values in outputs.items()}
        place += 1
        refusal = own.get("error")  # of a SavedModel, for this image alone
        if refusal:
            yield {"path": image.path, "error": refusal.decode()}
            continue
        yield {
            "path": image.path,
            **_top(own["probabilities"], predictor.class_names, num_top),
            **{name: _rounded(own[name]) for name in predictor.boxes()},
            "error": "",
        }


def _top(probabilities, class_names, count):
    """The keys of an export's answers, and `"top"`, the key of 0.8."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    classes = [class_names[label] for label in order]
    shares = _rounded(probabilities[order])
    pairs = zip(classes, shares, strict=True)
    return {
        "top_classes": classes,
        "top_probabilities": shares,
        "top": [{"class": name, "probability": p} for name, p in pairs],
    }


def _rounded(values):
    return np.round(np.asarray(values, "float64"), DIGITS).tolist()
