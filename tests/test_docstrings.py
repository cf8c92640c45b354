"""Every example in a docstring, the README or docs/ runs as it stands."""

import ast
import pathlib
import re

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def examples():
    for path in sorted((ROOT / "keras_fgvc").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                continue
            for code in FENCE.findall(ast.get_docstring(node) or ""):
                yield pytest.param(code, id=node.name)
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for number, code in enumerate(FENCE.findall(text)):
            yield pytest.param(code, id=f"{path.stem}-{number}")


def test_there_are_examples():
    assert len(list(examples())) > 20


@pytest.fixture
def photographs(tmp_path):
    """The folder that examples read: two classes of noise."""
    rng = np.random.default_rng(0)
    for name in ("finch", "sparrow"):
        folder = tmp_path / "photographs" / name
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (24, 32, 3))
            keras.utils.save_img(folder / f"{number}.png", pixels)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="once is enough"
)
@pytest.mark.parametrize("code", list(examples()))
def test_example(code, tmp_path, monkeypatch, request):
    if '"photographs"' in code:
        request.getfixturevalue("photographs")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {})


def public_classes():
    from keras_fgvc import layers, models

    for module in (layers, models):
        for name in module.__all__:
            yield getattr(module, name)


@pytest.mark.parametrize(
    "cls", list(public_classes()), ids=lambda c: c.__name__
)
def test_docstring_has_its_sections(cls):
    assert cls.__doc__.splitlines()[0].endswith(".")
    assert "Args:" in cls.__doc__
    if cls.__name__ != "FineGrainedModel":
        assert "Example:" in cls.__doc__
        assert "Raises:" in cls.__doc__
