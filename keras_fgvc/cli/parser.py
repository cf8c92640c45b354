"""Parses the command line. Imports nothing but Python's own.

Each command is a file beside this one: `SUMMARY`, `EXAMPLE`, `add_options`
and `run`. The console command runs this file by its path, and this file those
of the commands, so that `--help` does not wait for TensorFlow: importing them
would import the package. A command therefore imports the package inside its
functions. What the library knows better (names of recipes, backbones, stages)
is checked there.
"""

import argparse
import pathlib
import runpy

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


COMMANDS = {name: _read(name) for name in NAMES}
Options = _read("options")["Options"]


def parse(arguments=None) -> argparse.Namespace:
    """Reads a command line; exits on `--help`, `--version` and mistakes.

    Args:
        arguments: List of texts. Defaults to those of the process.

    Returns:
        Namespace with `command` and the options of that command.
    """
    return make_parser().parse_args(arguments)


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the whole command line."""
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
    for name, command in COMMANDS.items():
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
