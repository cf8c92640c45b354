"""Every example in a docstring or in the README runs as it stands."""

import ast
import pathlib
import re

import keras
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
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for number, code in enumerate(FENCE.findall(readme)):
        yield pytest.param(code, id=f"README-{number}")


def test_there_are_examples():
    assert len(list(examples())) > 20


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="once is enough"
)
@pytest.mark.parametrize("code", list(examples()))
def test_example(code, tmp_path, monkeypatch):
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
