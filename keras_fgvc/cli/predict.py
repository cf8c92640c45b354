"""`predict`: names what is on images, a line each."""

import json

from keras_fgvc.cli.image_names import read_names
from keras_fgvc.cli.messages import complain
from keras_fgvc.cli.predictors import open_predictor
from keras_fgvc.training.image_files import find_images


def run(options) -> int:
    """Prints a table or JSON lines; 1 if an image could not be read."""
    paths = find_images(read_names(options.images))
    predictor = open_predictor(options)
    row = _as_json if options.json else _Table(paths, predictor)
    failed = 0
    for answer in predictor.answers(paths, options.top, options.batch_size):
        if "error" in answer:
            failed += 1
            complain(f"{answer['path']} {answer['error']}")
        line = row(answer)
        if line:
            print(line, flush=True)
    if failed:
        complain(f"{failed} of {len(paths)} images could not be used.")
    return 1 if failed else 0


def _as_json(answer):
    return json.dumps(answer, ensure_ascii=False)


class _Table:
    """Rows of path, classes and the object's box, under one another."""

    def __init__(self, paths, predictor):
        self.path_width = max((len(path) for path in paths), default=0)
        self.name_width = max(len(name) for name in predictor.class_names)
        self.object_box = predictor.object_box

    def __call__(self, answer):
        """Returns a row; None for an image whose error was already printed."""
        if "error" in answer:
            return None
        cells = [f"{answer['path']:<{self.path_width}}"]
        for each in answer["top"]:
            share = f"{100 * each['probability']:5.1f} %"
            cells.append(f"{each['class']:<{self.name_width}} {share}")
        if self.object_box is not None:
            (sides,) = answer[self.object_box]
            box = " ".join(f"{side:.2f}" for side in sides)
            cells.append(f"box {box}")
        return "  ".join(cells)
