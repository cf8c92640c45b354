"""`predict`: names what is on images, a line each."""

from keras_fgvc._files import to_json

SUMMARY = "name what is on photographs"
EXAMPLE = """  keras-fgvc predict --workdir runs/birds photographs/ one.jpg
  find . -name '*.jpg' | keras-fgvc predict --workdir runs/birds \\
      --json - > predictions.jsonl

One line per image, in the order given. A file that cannot be read is
named on standard error, and the exit code is then 1. Boxes are
[y_min, x_min, y_max, x_max] from 0 to 1 of the image."""


def add_options(add):
    """Adds the options of this command."""
    model = add.one_of()
    model.option("--workdir", "folder of a training")
    model.option(
        "--model",
        "a .keras file, with --classes and --load-size, or the folder of a "
        "SavedModel",
    )
    add.option(
        "--classes",
        "names of the classes, one per line, in the order of the labels",
    )
    add.number("--load-size", "side at which images are loaded, in pixels")
    add.resize()
    add.images()
    add.number("--top", "how many classes to name", 3)
    add.batch_size()
    add.json()
    add.unfinished()


def run(options) -> int:
    """Prints a table or JSON lines; 1 if an image could not be read."""
    from keras_fgvc.cli.image_names import read_names
    from keras_fgvc.cli.messages import complain
    from keras_fgvc.cli.predictors import open_predictor
    from keras_fgvc.training.image_files import find_images

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
    from keras_fgvc.cli.messages import printable

    return printable(to_json(answer, ensure_ascii=False))


class _Table:
    """Rows of path, classes and the object's box, under one another."""

    def __init__(self, paths, predictor):
        from keras_fgvc.cli.messages import printable

        self.printable = printable
        self.path_width = max(map(self._width, paths), default=0)
        self.name_width = max(map(self._width, predictor.class_names))
        self.object_box = predictor.object_box

    def __call__(self, answer):
        """Returns a row; None for an image whose error was already printed."""
        if "error" in answer:
            return None
        cells = [f"{self.printable(answer['path']):<{self.path_width}}"]
        for each in answer["top"]:
            share = f"{100 * each['probability']:5.1f} %"
            name = self.printable(each["class"])
            cells.append(f"{name:<{self.name_width}} {share}")
        if self.object_box is not None:
            (sides,) = answer[self.object_box]
            box = " ".join(f"{side:.2f}" for side in sides)
            cells.append(f"box {box}")
        return "  ".join(cells)

    def _width(self, text):
        return len(self.printable(text))
