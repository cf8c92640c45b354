"""The levels of the package, read from its imports.

A module imports from lower levels only, and siblings of one level do not
import each other.
"""

import ast
import pathlib
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).parent.parent / "keras_fgvc"
LEVELS = {
    "_version": -1,
    "_checks": -1,
    "_extras": -1,
    "_files": -1,
    "_quiet": -1,
    "_renamed": -1,
    "_replicas": -1,
    "_spellings": -1,
    "_tables": -1,
    "ops": 0,
    "losses": 1,
    "layers": 2,
    "backbones": 2,
    "metrics": 2,
    "decoding": 1,
    "data": 2,
    "models": 3,
    "recipes": 4,
    "evaluation": 5,
    "visualization": 5,
    "export": 5,
    "training": 6,
    "cli": 7,
    "__main__": 8,
    "__init__": 8,
}
# The storeys of data/; all that comes to a name of a data set is in builders.
DATA_LEVELS = {
    "headers": 1,
    "images": 1,
    "sources": 2,
    "pipeline": 3,
    "examples": 3,
    "dataset": 4,
    "part_images": 5,
    "precomputed": 5,
    "builders": 5,
    "opening": 6,
    "__init__": 7,
}
MAX_DATA_MODULES = 20  # besides builders
PROJECT = ROOT.parent
PYTHON_FILES = sorted(
    path.relative_to(PROJECT)
    for folder in ("keras_fgvc", "examples", "benchmarks", "tests")
    for path in (PROJECT / folder).rglob("*.py")
)
# Pieces of a method, tested through its model, or beside it if they need more;
# recipes are tested in tests/test_recipes.py.
PIECES = ("graph.py", "recipes.py", "recipe.py", "tasks.py", "caches.py")
PIECES += ("phases.py", "terms.py")
# Never imported by `import keras_fgvc` itself.
LAZY = (
    *("tensorflow_datasets", "matplotlib", "sklearn", "tensorboard", "PIL"),
    "jinja2",
)


def part(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_parts(path):
    """First names below keras_fgvc of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "keras_fgvc":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = (node.module or "").split(".")
            if names[0] == "keras_fgvc":
                yield names[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                assert not alias.name.startswith("keras_fgvc"), path


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    here = part(path)
    assert here in LEVELS, f"{here} has no level: give it one"
    for there in imported_parts(path):
        if there == here:
            continue
        assert LEVELS[there] < LEVELS[here], f"{here} imports {there}"


DATA_FILES = sorted((ROOT / "data").rglob("*.py"))


def data_part(name):
    """Names the storey of a module, by its first name below data/."""
    return name.removesuffix(".py")


@pytest.mark.parametrize("path", DATA_FILES, ids=lambda p: p.name)
def test_imports_within_data_go_down_only(path):
    """Opening and builders stand on pipeline, and this on sources."""
    here = data_part(path.relative_to(ROOT / "data").parts[0])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.module == "keras_fgvc.data":
            names = [alias.name for alias in node.names]
        elif node.module.startswith("keras_fgvc.data."):
            names = [node.module.split(".")[2]]
        else:
            continue
        for there in map(data_part, names):
            assert there == here or DATA_LEVELS[there] < DATA_LEVELS[here], (
                f"{path}:{node.lineno}: {here} imports {there}"
            )


def test_data_has_few_modules():
    counted = [
        path
        for path in DATA_FILES
        if data_part(path.relative_to(ROOT / "data").parts[0]) != "builders"
        and path.name != "__init__.py"
    ]
    assert len(counted) <= MAX_DATA_MODULES, counted


@pytest.mark.parametrize("folder", ["ops", "layers", "losses", "models"])
def test_every_file_has_its_tests(folder):
    tests = pathlib.Path(__file__).parent / folder
    for path in (ROOT / folder).rglob("*.py"):
        if not path.name.startswith("_") and path.name not in PIECES:
            place = tests / path.relative_to(ROOT / folder).parent
            assert (place / f"test_{path.name}").exists(), path


def test_no_file_is_over_300_lines():
    for path in FILES:
        count = len(path.read_text(encoding="utf-8").splitlines())
        assert count <= 300, f"{path} has {count} lines"


def test_import_is_light():
    """No heavy or optional module loads before it is used."""
    heavy = LAZY
    if keras.backend.backend() != "tensorflow":
        heavy = (*LAZY, "tensorflow")
    code = (
        "import sys, keras\n"
        "before = set(sys.modules)\n"
        "import keras_fgvc, keras_fgvc.layers\n"
        "print(*(set(sys.modules) - before))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "keras_fgvc.layers" in output
    assert not {name.split(".")[0] for name in output} & set(heavy)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=str)
def test_ops_means_keras_ops(path):
    """Our own operations are imported by name: `ops` is keras.ops."""
    if path.as_posix() == "keras_fgvc/__init__.py":  # it lists the packages
        return
    text = (PROJECT / path).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom):
            continue
        for name in node.names:
            assert (node.module, name.name) != ("keras_fgvc", "ops"), (
                f"{path}:{node.lineno}: write `from keras_fgvc.ops import ...`."
            )
            assert name.name != "ops" or name.asname is None, (
                f"{path}:{node.lineno}: `ops` is keras.ops, under that name."
            )


# Outputs of our methods. Only what makes them may name them; all else reads
# `output_meanings`. tests/models/test_outputs.py sees that none is missing.
OUTPUT_NAMES = {
    *("attention", "boxes", "coarse_logits", "embedding", "fine_logits"),
    *("fusion_logits", "gates", "heatmap", "hypotheses", "mean_activation"),
    *("part_boxes", "part_scores", "score_maps", "student_logits"),
    *("teacher_logits", "view_logits"),
}
OUTPUT_PREFIXES = ("masks_",)
MAY_NAME_OUTPUTS = ("ops", "losses", "layers", "models")
# The same words for other things.
OTHER_THINGS = {
    "data": {"boxes"},  # true boxes, in files and examples
    "metrics": {"boxes", "heatmap"},  # defaults of the argument `output`
    "evaluation/predictions": {"boxes"},  # an attribute
    "visualization/grid": {"boxes"},  # an argument, in its error
}


def texts_in_code(path):
    """Every text of a file but docstrings, with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {  # a text that is a statement is a docstring
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in alone:
            yield node.value, node.lineno


def named_outputs(path):
    """Pairs of an output's name and the line that has it."""
    place = path.relative_to(ROOT).with_suffix("").as_posix()
    meant = OTHER_THINGS.get(place, OTHER_THINGS.get(part(path), set()))
    for text, line in texts_in_code(path):
        is_name = text in OUTPUT_NAMES - meant
        if is_name or text.startswith(OUTPUT_PREFIXES):
            yield text, line


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_output_is_known_by_its_name(path):
    if part(path) in MAY_NAME_OUTPUTS:
        return
    found = list(named_outputs(path))
    assert not found, f"{path} names outputs: read `output_meanings`. {found}"


@pytest.mark.parametrize(
    "name", ["elope", "coarse2fine", "painless_attention", "fcan", "daf"]
)
def test_scripts_of_the_papers_are_short(name):
    lines = (PROJECT / "examples" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 40
