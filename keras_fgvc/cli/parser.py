"""Parses the command line. Imports nothing but Python's own.

The console command runs this file by its path, so that `--help` does not wait
for TensorFlow. What the library knows better (names of recipes, backbones,
stages) is checked later. An option is a function that adds it to a parser.
"""

import argparse
import pathlib
import runpy

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
STRATEGIES = ("none", "mirrored", "multiworker", "tpu")
METHODS = ("baseline", "elope", "painless", "coarse2fine", "fcan", "daf")
EXIT_CODES = """exit codes:
  0    all was done
  1    something could not be done; standard error says what
  2    wrong usage
  130  interrupted from the keyboard
"""


def parse(arguments=None) -> argparse.Namespace:
    """Reads a command line; exits on `--help`, `--version` and mistakes.

    Args:
        arguments: List of texts. Defaults to those of the process.

    Returns:
        Namespace with `command` and the options of that command.
    """
    return make_parser().parse_args(arguments)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="keras-fgvc",
        description="Fine-grained image recognition: from a folder of "
        "photographs to a served model.",
        epilog=f"{EXIT_CODES}\nkeras-fgvc COMMAND --help tells more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "show the version and exit"
    parser.add_argument("--version", action=_Version, nargs=0, help=text)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True
    )
    for name, (summary, example, *options) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # a new option must not break old scripts
        )
        for add_option in (*options, REGISTER, DEBUG):
            add_option(command)
    return parser


class _Version(argparse.Action):
    """Reads the version from its file: importing it imports the package."""

    def __call__(self, parser, namespace, values, option_string=None):
        path = pathlib.Path(__file__).parent.parent / "_version.py"
        version = runpy.run_path(str(path))["__version__"]
        print(parser.prog, version)
        parser.exit()


# ---- kinds of options ----


def _option(name, text, **settings):
    def add(parser):
        default = settings.get("default")
        shown = (
            " (default: %(default)s)" if default not in (None, [], "") else ""
        )
        parser.add_argument(name, help=text + shown, **settings)

    return add


def _number(name, text, default=None, *, minimum=1):
    def whole_number(given):
        if not given.isdecimal() or int(given) < minimum:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {minimum}. Received: {given!r}"
            )
        return int(given)

    return _option(name, text, default=default, metavar="N", type=whole_number)


def _list(name, text, **settings):
    def texts(given):
        return [part.strip() for part in given.split(",") if part.strip()]

    return _option(name, text, type=texts, **settings)


def _choice(name, text, *choices):
    """The first one is the default."""
    return _option(name, text, choices=choices, default=choices[0])


def _flag(name, text):
    return _option(name, text, action="store_true")


def _one_of(*options):
    def add(parser):
        group = parser.add_mutually_exclusive_group(required=True)
        for add_option in options:
            add_option(group)

    return add


def _group(title, *options):
    def add(parser):
        group = parser.add_argument_group(title)
        for add_option in options:
            add_option(group)

    return add


# ---- what several commands have ----

DEBUG = _flag("--debug", "show the whole traceback of an error")
WORKDIR = _option("--workdir", "folder of a training", required=True)
DATA = _option("--data", "where the data lie now (default: as in training)")
DATA_DIR = _option(
    "--data-dir", "where data sets with a name are, or the images of a .csv"
)
IMAGES = _option(
    "images",
    'files; folders, searched to the bottom; "-" for a list of paths on '
    "standard input, one a line",
    nargs="+",
    metavar="IMAGE",
)
VERIFY = _choice("--verify", "check of new images", "full", "headers", "never")
OPENING = (DATA, DATA_DIR, VERIFY)
SPLIT = _choice("--split", "which images", "test", "validation", "train")
BATCH_SIZE = _number("--batch-size", "images a step", 32)
UNFINISHED = _flag("--unfinished", "use a model with stages untrained")
JSON = _flag("--json", "print JSON: one object, or one a line for images")

REGISTER = _option("--register", "Python file with a method of your own")

# ---- the commands: what they do, an example, options ----

TRAIN = (
    "train a method by its recipe, or go on with it",
    "  keras-fgvc train --method elope --data photographs \\\n"
    "      --backbone resnet50 --weights imagenet --workdir runs/birds\n\n"
    "After an interruption the same command goes on after the last\n"
    "finished epoch. The test split is looked at once, at the end.",
    _option("--data", "folder, .csv file or name of a data set", required=True),
    DATA_DIR,
    _option("--workdir", "folder for all that is written", required=True),
    _one_of(
        _option("--method", f"by METHOD-short: {', '.join(METHODS)}, yours"),
        _option("--recipe", "another recipe, as elope-paper"),
    ),
    _group(
        "network",
        _option(
            "--backbone",
            "such as mobilenet_v2 or inception_v3",
            default="resnet50",
        ),
        _option("--weights", '"imagenet" or a file (default: random ones)'),
        _flag("--baseline", "the plain network by the same recipe"),
        _option(
            "--arguments",
            "more for the method, as k=1,localize=false",
            default="",
        ),
        _number("--image-size", "side that the backbone sees, in pixels"),
        _number("--load-size", "side of loading; else in proportion"),
    ),
    _group(
        "budget (default: that of the recipe)",
        _list(
            "--epochs",
            "of all stages, as 5, or of some, as classifier=8,crops=4",
            default=[],
        ),
        _number("--batch-size", "images a step"),
        _list("--batch-sizes", "of stages, as localizer=64", default=[]),
        _list("--learning-rate", "of all, or as crops=1e-5", default=[]),
        _list("--set", "more of stages, as crops.momentum=0.8", default=[]),
        _number("--rounds", "how often to go through the stages", 1),
        _list("--stages", "names of those to run (default: all)"),
    ),
    _group(
        "run",
        _number("--seed", "of weights, order, augmentation", 0, minimum=0),
        _number("--data-seed", "of splits (default: --seed)", minimum=0),
        _option("--precision", "of the computation", choices=PRECISIONS),
        _choice("--strategy", "devices to train on", *STRATEGIES),
        _option("--tpu", "its name", default="local"),
        _choice("--on-error", "what broken images do", "raise", "skip"),
        VERIFY,
        _flag("--no-test", "do not look at the test split at the end"),
        _flag("--quiet", "show no progress, results only"),
    ),
)
EVALUATE = (
    "tell what a trained model is worth on a split",
    "  keras-fgvc evaluate --workdir runs/birds --split validation",
    WORKDIR,
    *OPENING,
    SPLIT,
    BATCH_SIZE,
    JSON,
    UNFINISHED,
)
PREDICT = (
    "name what is on photographs",
    "  keras-fgvc predict --workdir runs/birds photographs/ one.jpg\n"
    "  find . -name '*.jpg' | keras-fgvc predict --workdir runs/birds \\\n"
    "      --json - > predictions.jsonl\n\n"
    "A line an image, in the order given. One that cannot be read is\n"
    "named on standard error, and the exit code is then 1. Boxes are\n"
    "[y_min, x_min, y_max, x_max] from 0 to 1 of the image.",
    _one_of(
        _option("--workdir", "folder of a training"),
        _option(
            "--model",
            "a .keras file, with --classes and --image-size, or the folder of "
            "a SavedModel",
        ),
    ),
    _option(
        "--classes",
        "names of the classes, one a line, in the order of the labels",
    ),
    _number("--image-size", "side images were loaded at in training"),
    IMAGES,
    _number("--top", "how many classes to name", 3),
    BATCH_SIZE,
    JSON,
    UNFINISHED,
)
EXPLAIN = (
    "draw what a trained model saw on photographs",
    "  keras-fgvc explain --workdir runs/birds --out seen.png photographs/",
    WORKDIR,
    _option("--out", "picture to write", required=True),
    IMAGES,
    _number("--top", "how many classes to name", 3),
    UNFINISHED,
)
REPORT = (
    "write a page about a training: curves, figures, mistakes",
    "  keras-fgvc report --workdir runs/birds\n\n"
    "The page is WORKDIR/report.html, its pictures are in WORKDIR/report.",
    WORKDIR,
    *OPENING,
    SPLIT,
    BATCH_SIZE,
    _number("--num-images", "images to explain", 8),
    _number("--num-mistakes", "mistakes to explain", 4, minimum=0),
    _number("--num-pairs", "confused pairs to show", 8),
    UNFINISHED,
)
EXPORT = (
    "write a trained model for serving",
    "  keras-fgvc export --workdir runs/birds --out served/birds/1\n"
    "  keras-fgvc export --workdir runs/birds --out birds.onnx --format onnx",
    WORKDIR,
    _option(
        "--out", "folder or file to write; it must not exist", required=True
    ),
    _choice("--format", "what to write", "savedmodel", "onnx", "litert"),
    _number("--top", "how many classes a SavedModel names (default: 5)"),
    UNFINISHED,
)
DATASETS = (
    "list the data sets that have a name, or tell of one",
    "  keras-fgvc datasets --name cub200\n\nNothing is downloaded.",
    _option("--name", "tell about this data set only"),
    _option("--data-dir", "where data sets are looked for"),
)
COMMANDS = {
    "train": TRAIN,
    "evaluate": EVALUATE,
    "predict": PREDICT,
    "explain": EXPLAIN,
    "report": REPORT,
    "export": EXPORT,
    "datasets": DATASETS,
}
