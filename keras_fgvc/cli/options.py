"""Kinds of options, and the options that several commands have.

Imports nothing but Python's own; see `parser.py`.
"""

import argparse
import re


class Options:
    """Adds options to a parser.

    Args:
        parser: `argparse.ArgumentParser`, or a group of one.
    """

    def __init__(self, parser):
        self.parser = parser

    # ---- kinds ----

    def option(self, name, text, **settings):
        """An option with one value, a text unless `type` says otherwise."""
        default = settings.get("default")
        shown = (
            " (default: %(default)s)" if default not in (None, [], "") else ""
        )
        self.parser.add_argument(name, help=text + shown, **settings)

    def number(self, name, text, default=None, *, minimum=1):
        """A whole number."""

        def whole_number(given):
            if not given.isdecimal() or int(given) < minimum:
                raise argparse.ArgumentTypeError(
                    f"must be a whole number from {minimum}. "
                    f"Received: {given!r}"
                )
            return int(given)

        settings = {"metavar": "N", "type": whole_number}
        self.option(name, text, default=default, **settings)

    def list(self, name, text, *, between=",", default=None):
        """Texts with commas between; given twice, the option has them all."""

        def texts(given):
            parts = re.split(between, given)
            return [part.strip() for part in parts if part.strip()]

        settings = {"type": texts, "action": "extend"}
        self.option(name, text, default=default, **settings)

    def choice(self, name, text, *choices):
        """One of some words, of which the first is the default."""
        self.option(name, text, choices=choices, default=choices[0])

    def flag(self, name, text):
        """An option without a value."""
        self.option(name, text, action="store_true")

    def one_of(self):
        """Returns `Options` of which exactly one must be given."""
        return Options(self.parser.add_mutually_exclusive_group(required=True))

    def group(self, title):
        """Returns `Options` that `--help` shows below a title."""
        return Options(self.parser.add_argument_group(title))

    # ---- what several commands have ----

    def workdir(self):
        self.option("--workdir", "folder of a training", required=True)

    def data(self):
        text = "where the data lie now (default: as in training)"
        self.option("--data", text)
        self.data_dir()
        self.verify()

    def data_dir(self):
        text = "where data sets with a name are, or the images of a .csv"
        self.option("--data-dir", text)

    def verify(self):
        text = "check of images that were not checked before"
        self.choice("--verify", text, "full", "headers", "never")

    def split(self):
        names = ("test", "validation", "train")
        self.choice("--split", "which images", *names)

    def images(self):
        self.option(
            "images",
            'files; folders, searched to the bottom; "-" for a list of paths '
            "on standard input, one per line",
            nargs="+",
            metavar="IMAGE",
        )

    def resize(self):
        text = "how images are brought to that size (default: squash)"
        choices = ("squash", "crop", "pad")
        self.option("--resize", text, choices=choices)

    def batch_size(self):
        self.number("--batch-size", "images per step", 32)

    def json(self):
        text = "print JSON: one object, or one per line for images"
        self.flag("--json", text)

    def unfinished(self):
        self.flag("--unfinished", "use a model with stages untrained")

    def common(self):
        """Adds the options that every command has."""
        text = "Python file with a method of your own"
        self.option("--register", text)
        self.flag("--debug", "show the whole traceback of an error")
