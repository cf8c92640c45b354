"""`predict`: names what is on images, a line each."""

import json

import numpy as np

from keras_fgvc.cli.images import find_images, read_batches
from keras_fgvc.cli.messages import complain
from keras_fgvc.cli.predictors import open_predictor

BOXES = ("boxes", "part_boxes")  # outputs shown where a model has them
DIGITS = 6  # of a number in JSON; float32 has about 7


def run(options) -> int:
    """Prints a table or JSON lines; 1 if an image could not be read."""
    paths = find_images(options.images)
    predictor = open_predictor(options)
    row = _as_json if options.json else _Table(paths, predictor)
    failed = 0
    for images in read_batches(paths, predictor.read, options.batch_size):
        for answer in _answers(images, predictor, options.top):
            if "error" in answer:
                failed += 1
                complain(f"{answer['path']} {answer['error']}")
            line = row(answer)
            if line:
                print(line, flush=True)
    if failed:
        complain(f"{failed} of {len(paths)} images could not be used.")
    return 1 if failed else 0


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
            "top": _top(own["probabilities"], predictor.class_names, num_top),
            **{n: _rounded(own[n]) for n in BOXES if n in own},
        }


def _top(probabilities, class_names, count):
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [
        {
            "class": class_names[label],
            "probability": _rounded(probabilities[label]),
        }
        for label in order
    ]


def _rounded(values):
    return np.round(np.asarray(values, "float64"), DIGITS).tolist()


def _as_json(answer):
    return json.dumps(answer, ensure_ascii=False)


class _Table:
    """Rows of path, classes and the object's box, under one another."""

    def __init__(self, paths, predictor):
        self.path_width = max((len(path) for path in paths), default=0)
        self.name_width = max(len(name) for name in predictor.class_names)

    def __call__(self, answer):
        """None for an image without an answer: the error was told."""
        if "error" in answer:
            return None
        cells = [f"{answer['path']:<{self.path_width}}"]
        for each in answer["top"]:
            share = f"{100 * each['probability']:5.1f} %"
            cells.append(f"{each['class']:<{self.name_width}} {share}")
        if "boxes" in answer:
            box = " ".join(f"{side:.2f}" for side in answer["boxes"][0])
            cells.append(f"box {box}")
        return "  ".join(cells)
