"""Runs a command line: parses it, calls the command, reports errors."""

import importlib
import logging
import os
import runpy
import sys
import traceback

from keras_fgvc._quiet import less_noise
from keras_fgvc.cli import (
    datasets,
    evaluate,
    explain,
    export,
    predict,
    report,
    train,
)
from keras_fgvc.cli.messages import UsageError, complain, in_flags
from keras_fgvc.cli.parser import parse

COMMANDS = {
    "datasets": datasets.run,
    "evaluate": evaluate.run,
    "explain": explain.run,
    "export": export.run,
    "predict": predict.run,
    "report": report.run,
    "train": train.run,
}
DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
# What the library and the system say in words. Anything else is a bug.
EXPECTED = (ImportError, MemoryError, OSError, RuntimeError, ValueError)


def main(arguments=None) -> int:
    """Reads a command line and runs it.

    Args:
        arguments: List of texts. Defaults to those of the process.

    Returns:
        The exit code; 0, 1, 2 or 130, see `keras_fgvc.cli`.
    """
    try:
        options = parse(arguments)
    except SystemExit as stop:  # argparse has said why
        return stop.code or DONE
    return run(options)


def run(options) -> int:
    """Runs a command that was read; returns the exit code."""
    if not options.debug:
        logging.getLogger("tensorflow").addFilter(_is_useful)
    with less_noise():  # other backends do not load it by themselves
        importlib.import_module("tensorflow")
    try:
        if options.register:
            run_file(options.register)
        code = COMMANDS[options.command](options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as stop:
        complain(f"interrupted. {stop}".rstrip())
        return INTERRUPTED
    except BrokenPipeError:  # as with `| head`
        _let_go_of_stdout()
        return FAILED
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        complain(f"error: {in_flags(_sentence(error), options)}")
        return WRONG_USAGE if isinstance(error, UsageError) else FAILED


def run_file(path):
    """Runs a user's Python file, whose decorators register its methods."""
    runpy.run_path(path, run_name="registered")


def _is_useful(record):
    """Drops warnings about retracing, which a user cannot do anything about."""
    return "triggered tf.function retracing" not in record.getMessage()


def _sentence(error):
    if isinstance(error, EXPECTED) and str(error):
        return str(error)
    name = type(error).__name__
    return f"{name}: {error} (--debug shows the traceback)"


def _let_go_of_stdout():
    """Python flushes it once more at its end, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
