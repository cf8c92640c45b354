"""Rules of plain English that a test can hold; CONTRIBUTING.md has them."""

import ast
import pathlib
import re

import keras
import pytest

ROOT = pathlib.Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="once is enough"
)
# A first line opens with a verb or names the thing. These words open riddles.
RIDDLES = {
    *("All", "As", "At", "By", "For", "From", "How", "If", "In", "Nothing"),
    *("Of", "On", "Past", "So", "Such", "That", "Theirs", "Those", "To"),
    *("What", "Where", "Whether", "Which", "With"),
}
MAX_COLUMNS = 100
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def first_words(path):
    """Pairs of a line and the first word of each docstring of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            words = (ast.get_docstring(node) or "").split()
            if words:
                yield getattr(node, "lineno", 1), words[0].strip("`,.:")


def test_docstrings_open_with_no_riddle():
    found = [
        f"{path.relative_to(ROOT)}:{line} {word}"
        for path in sorted((ROOT / "keras_fgvc").rglob("*.py"))
        for line, word in first_words(path)
        if word in RIDDLES
    ]
    assert not found


def test_the_rule_finds_a_riddle(tmp_path):
    path = tmp_path / "file.py"
    path.write_text('def f():\n    """What is left."""\n')
    assert list(first_words(path)) == [(1, "What")]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_markdown_wraps(path):
    if "api" in path.relative_to(ROOT).parts:
        pytest.skip("made by `make docs`")
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    long = [
        line
        for line in text.splitlines()
        if len(line) > MAX_COLUMNS
        # A table's row and a word that nothing can break.
        and not line.startswith("|")
        and " " in line.strip(" -")
    ]
    assert not long
