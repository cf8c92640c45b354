"""`predict`: names what is on images, a line each."""

SUMMARY = "name what is on photographs"
EXAMPLE = """  keras-fgvc predict --workdir runs/birds photographs/ one.jpg
  find . -name '*.jpg' | keras-fgvc predict --workdir runs/birds \\
      --json - > predictions.jsonl

Images come in the order given. A file that cannot be read is named on
standard error, and the exit code is then 1. Boxes are
[y_min, x_min, y_max, x_max] from 0 to 1 of the image. With --json a line
has the keys of examples/serve_client.py: path, top_classes,
top_probabilities, the boxes that the model finds, and error, which is
empty for an image that was read."""


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
    from keras_fgvc.cli.answer_table import AnswerTable
    from keras_fgvc.cli.image_names import read_names
    from keras_fgvc.cli.messages import complain
    from keras_fgvc.cli.predictors import open_predictor
    from keras_fgvc.training.image_files import find_images

    paths = find_images(read_names(options.images))
    predictor = open_predictor(options)
    row = _as_json
    if not options.json:
        names, box = predictor.class_names, predictor.object_box
        row = AnswerTable(paths, names, options.top, box)
    failed = 0
    for answer in predictor.answers(paths, options.top, options.batch_size):
        if answer["error"]:
            failed += 1
            complain(f"{answer['path']} {answer['error']}")
        if options.json or not answer["error"]:
            print(row(answer), flush=True)
    if failed:
        complain(f"{failed} of {len(paths)} images could not be used.")
    return 1 if failed else 0


def _as_json(answer):
    from keras_fgvc._files import to_json
    from keras_fgvc.cli.messages import printable

    return printable(to_json(answer, ensure_ascii=False))
