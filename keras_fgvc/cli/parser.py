"""Parses the command line. Imports nothing but Python's own.

Each command is a file beside this one: `SUMMARY`, `EXAMPLE`, `add_options`
and `run`. The console command runs this file by its path, and this file those
of the commands, so that `--help` does not wait for TensorFlow: importing them
would import the package. A command therefore imports the package inside its
functions. What the library knows better (names of recipes, backbones, stages)
is checked there.
"""

import argparse
import functools
import pathlib
import runpy
import sys

HERE = pathlib.Path(__file__).parent
NAMES = (
    *("train", "evaluate", "predict", "explain", "report", "export"),
    "datasets",
)
EXIT_CODES = """exit codes:
  0    all was done
  1    something could not be done; standard error says what
  2    wrong usage
  130  interrupted from the keyboard
"""


def _read(name):
    """Returns the names of a file of this folder, without the package."""
    return runpy.run_path(str(HERE / f"{name}.py"))


Options = _read("options")["Options"]


@functools.cache
def read_command(name: str) -> dict:
    """Returns the names of a command's file: `SUMMARY`, `EXAMPLE` and so on."""
    return _read(name)


def parse(arguments=None) -> argparse.Namespace:
    """Reads a command line; exits on `--help`, `--version` and mistakes.

    Args:
        arguments: List of texts. Defaults to those of the process.

    Returns:
        Namespace with `command`, the options of that command and `words`, the
        command line itself.
    """
    words = sys.argv[1:] if arguments is None else arguments
    # Of a command that is named, the other commands' files are not read.
    names = words[:1] if words[:1] and words[0] in NAMES else NAMES
    options = make_parser(names).parse_args(arguments)
    options.words = list(words)
    return options


def make_parser(names=NAMES) -> argparse.ArgumentParser:
    """Returns the parser of a command line of these commands."""
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
    for name in names:
        command = read_command(name)
        summary = command["SUMMARY"]
        options = Options(
            commands.add_parser(
                name,
                help=summary,
                description=f"{summary[0].upper()}{summary[1:]}.",
                epilog=f"example:\n{command['EXAMPLE']}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,  # a new option must not break old scripts
            )
        )
        command["add_options"](options)
        options.common()
    return parser


class _Version(argparse.Action):
    """Reads the version from its file: importing it imports the package."""

    def __call__(self, parser, namespace, values, option_string=None):
        path = HERE.parent / "_version.py"
        version = runpy.run_path(str(path))["__version__"]
        print(parser.prog, version)
        parser.exit()
