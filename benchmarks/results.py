"""Writes a benchmark's output into the pages, with what it was measured by.

    python benchmarks/pooling.py --write=pooling

A page of docs/results has one pair of comments for each table that a program
writes, `<!-- NAME -->` and `<!-- end of NAME -->`. What stands between them is
replaced; what people wrote around them stays.
"""

import contextlib
import datetime
import io
import os
import pathlib
import platform
import shlex
import subprocess
import sys

from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_string("write", None, "Place in docs/results to write into.")
ROOT = pathlib.Path(__file__).parents[1]
PAGES = ROOT / "docs" / "results"


def kept(main):
    """Returns a `main` that also writes what it prints, by `--write`."""

    def run(arguments):
        if not FLAGS.write:
            main(arguments)
            return
        printed = _Twice()
        with contextlib.redirect_stdout(printed):
            main(arguments)
        write(FLAGS.write, printed.getvalue())

    return run


class _Twice(io.StringIO):
    """Shows what is printed, and keeps it."""

    def write(self, text):
        sys.__stdout__.write(text)
        return super().write(text)


def write(name, text):
    """Replaces the table of a name in the page that has its comments.

    Args:
        name: Of the table, as in the comments.
        text: Markdown.

    Raises:
        SystemExit: No page has the two comments.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    for page in sorted(PAGES.glob("*.md")):
        before, found, rest = page.read_text().partition(begin)
        if not found or end not in rest:
            continue
        after = rest.partition(end)[2]
        body = f"{begin}\n{measured_by()}\n\n{text.strip()}\n{end}"
        page.write_text(before + body + after)
        print(f"written: {page.relative_to(ROOT)}")
        return
    sys.exit(f"No page of {PAGES} has the comments {begin} and {end}.")


def measured_by():
    """The command, commit, machine and date, as one line of Markdown."""
    script = pathlib.Path(sys.argv[0]).resolve().relative_to(ROOT)
    command = shlex.join(["python", str(script), *map(_hidden, sys.argv[1:])])
    return (
        f"`{command}`, commit {_commit()}, {os.cpu_count()} cores "
        f"({platform.machine()}), {datetime.date.today():%Y-%m-%d}:"
    )


def _hidden(argument):
    """A path of this machine tells others nothing but its last part."""
    name, equals, value = argument.partition("=")
    if equals and os.path.isabs(value):
        return f"{name}={os.path.basename(value)}"
    return argument


def _commit():
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
