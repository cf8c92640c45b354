"""Every public name is documented, and the pages say so."""

import ast
import importlib.util
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

import keras
import pytest

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "extension"))

import api_pages  # noqa: E402
import docstrings  # noqa: E402

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="once is enough"
)
GUIDES = sorted(
    p for f in ("", "decisions", "results") for p in (DOCS / f).glob("*.md")
)
# What the house style asks of each kind of thing, beside its first line.
SECTIONS = {
    "layers": ("Args", "Input shape", "Output shape", "Raises", "Example"),
    "models": ("Args", "Outputs", "Raises", "Example"),
    "losses": ("Args", "Returns", "Raises", "Example"),
    "ops": ("Args", "Returns", "Example"),
    "metrics": ("Args", "Call arguments", "Raises", "Example"),
}
# The base of the models has no outputs of its own and cannot be built alone;
# the last two are no models.
EXCEPTIONS = {
    "models.FineGrainedModel": ("Args",),
    "models.Phase": ("Args", "Raises", "Example"),
    "models.register_method": ("Args", "Returns", "Raises", "Example"),
}
LINK = re.compile(r"\]\(([^)\s]+)\)")


def documented():
    for area in api_pages.AREAS:
        for name, value in api_pages.public_names(area).items():
            if api_pages.has_page(value):
                yield pytest.param(area, name, value, id=f"{area}.{name}")


def parameters(value):
    """Names of what a caller gives, without self."""
    function = value.__init__ if inspect.isclass(value) else value
    names = list(inspect.signature(function).parameters)
    return names[1:] if inspect.isclass(value) else names


def wanted_sections(area, name, value):
    if f"{area}.{name}" in EXCEPTIONS:
        return EXCEPTIONS[f"{area}.{name}"]
    wanted = SECTIONS.get(area, ())
    if area not in SECTIONS and parameters(value):
        wanted = ("Args",)
    if area == "layers" and len(inspect.signature(value.call).parameters) > 2:
        wanted = ("Call arguments", *wanted)
    return wanted


@pytest.mark.parametrize(("area", "name", "value"), list(documented()))
def test_docstring_has_what_the_style_asks_for(area, name, value):
    docstring = inspect.getdoc(value) or ""
    first = docstring.partition("\n\n")[0]
    assert first.endswith((".", "?")), f"{area}.{name} has no first line"
    assert "\n" not in first, f"{area}.{name}: first line of two lines"
    found = docstrings.sections(docstring)
    missing = set(wanted_sections(area, name, value)) - set(found)
    assert not missing, f"{area}.{name} lacks {sorted(missing)}"


@pytest.mark.parametrize(("area", "name", "value"), list(documented()))
def test_every_argument_is_described(area, name, value):
    """Under "Args", alone or in a list of names."""
    text = docstrings.sections(inspect.getdoc(value) or "").get("Args")
    if text is None:
        return
    heads = re.findall(r"^([\w*]+(?:, [\w*]+)*): ", text, re.MULTILINE)
    described = {word.strip("*") for head in heads for word in head.split(", ")}
    missing = set(parameters(value)) - described - {"args", "kwargs"}
    assert not missing, f"{area}.{name} does not describe {sorted(missing)}"


@pytest.fixture(scope="module")
def pages():
    return api_pages.all_pages()


@pytest.mark.parametrize(("area", "name", "value"), list(documented()))
def test_every_name_has_a_page_and_a_row(area, name, value, pages):
    folder = api_pages.folder(area)
    page = pages[f"{folder}/{name}.md"]
    assert f"keras_fgvc.{area}.{name}(" in page
    assert not re.search(r"Ellipsis|object at 0x", page)
    for section in docstrings.sections(inspect.getdoc(value)):
        if section:
            assert f"\n## {docstrings.HEADINGS[section]}\n" in page
    assert f"| [`{name}`]({name}.md) | " in pages[f"{folder}/index.md"]
    assert f"\n{name}\n" in pages[f"{folder}/index.md"]  # in the tree


def test_a_docstring_becomes_a_page():
    docstring = """Adds.

    With `x` and `ops.add`:

        y = `x` + 1

    Args:
        x: A number,
            further.
        y, z: See https://example.org/a, section 1.

    Input shape:
        `(batch,)`.

    Raises:
        ValueError: Never.

    Example:

    ```python
    add(1)  # `x`
    ```

    A trap.
    """
    page = docstrings.markdown(
        docstring, heading="## {}", link=lambda span: f"<{span}>"
    )
    assert page == (
        "Adds.\n\nWith <x> and <ops.add>:\n\n    y = `x` + 1\n\n"
        "## Arguments\n\n`x`\n: A number,\n  further.\n\n"
        "`y`, `z`\n: See <https://example.org/a>, section 1.\n\n"
        "## Input shape\n\n<(batch,)>.\n\n"
        "## Raises\n\n`ValueError`\n: Never.\n\n"
        "## Example\n\n```python\nadd(1)  # `x`\n```\n\n"
        "## Notes\n\nA trap."
    )


def test_papers_has_every_name_of_the_methods():
    """Models, layers, losses and operations, each with its file."""
    rows = api_pages.papers()
    text = (DOCS / "papers.md").read_text(encoding="utf-8")
    for area in ("models", "layers", "losses", "ops"):
        for name, value in api_pages.public_names(area).items():
            assert f"{area}.{name}" in rows, f"papers.md lacks {area}.{name}"
            path = pathlib.Path(inspect.getfile(value)).relative_to(ROOT)
            row = next(r for r in text.split("\n") if f"`{area}.{name}`" in r)
            assert f"(../{path})" in row
    known = {
        f"{area}.{name}"
        for area in api_pages.AREAS
        for name in api_pages.public_names(area)
    }
    assert set(rows) <= known, set(rows) - known


def test_papers_has_every_recipe():
    from keras_fgvc import recipes

    text = (DOCS / "papers.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `([\w-]+-(?:paper|official|short|digits))` \|", text, re.MULTILINE
    )
    assert sorted(rows) == sorted(recipes.available())


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("*.md")), *GUIDES],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_local_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        target = urllib.parse.urlsplit(link)
        if target.scheme or not target.path:
            continue
        if target.path.startswith("api/"):  # made by `make docs`
            continue
        assert (path.parent / target.path).exists(), f"{path.name}: {link}"


def texts_of_the_package():
    """Every text in the code, f-strings without what is put in."""
    for path in sorted((ROOT / "keras_fgvc").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_in_troubleshooting_are_those_of_the_code():
    """A heading in a code span is a message; dots are what differs."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^### `(.+)`$", text, re.MULTILINE)
    assert len(messages) > 10
    everything = "\0".join(texts_of_the_package())
    for message in messages:
        for piece in filter(None, re.split(r"\s*\.\.\.\s*", message)):
            assert piece in everything, f"no message has {piece!r}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages, built as `make docs` does, but for the notebooks' outputs."""
    for module in ("sphinx", "myst_nb", "furo"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}, from the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    finished = subprocess.run(
        [*command, "-b", "html", str(DOCS), str(folder)],
        capture_output=True,
        env={**os.environ, "KERAS_FGVC_NOTEBOOKS": "off"},
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    yield folder
    shutil.rmtree(folder)


ATTRIBUTE = re.compile(r'<(\w+)[^>]*?\s(?:src|href)="([^"]+)"')


@pytest.mark.slow
def test_pages_need_no_network(site):
    """Nothing but a link that a reader follows leads outside."""
    for path in site.rglob("*.html"):
        for tag, target in ATTRIBUTE.findall(path.read_text(encoding="utf-8")):
            outside = target.startswith(("http:", "https:", "//"))
            assert tag == "a" or not outside, f"{path.name}: <{tag}> {target}"


@pytest.mark.slow
def test_links_between_pages_work_from_disk(site):
    ids = {}
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        ids[path] = set(re.findall(r'\sid="([^"]+)"', text))
    for path in ids:
        text = path.read_text(encoding="utf-8")
        for link in {link for _, link in ATTRIBUTE.findall(text)}:
            check_link(path, link, ids)


def check_link(path, link, ids):
    target = urllib.parse.urlsplit(link)
    if target.scheme or target.netloc:
        return
    there = (path.parent / urllib.parse.unquote(target.path)).resolve()
    there = there if target.path else path
    assert there.is_file(), f"{path}: {link} leads nowhere"
    if target.fragment and there in ids:
        assert target.fragment in ids[there], f"{path}: no place {link}"


@pytest.mark.slow
def test_each_name_has_an_anchor(site):
    for parameter in documented():
        area, name, _ = parameter.values
        page = site / "api" / api_pages.folder(area) / f"{name}.html"
        text = page.read_text(encoding="utf-8")
        assert f'id="keras_fgvc.{area}.{name}"' in text


def test_the_readme_counts_right():
    import keras_fgvc
    from keras_fgvc import layers, losses

    row = (
        f"| {len(layers.__all__)} layers, {len(losses.__all__)} losses, "
        f"{len(keras_fgvc.ops.__all__)} operations |"
    )
    assert row in (ROOT / "README.md").read_text(encoding="utf-8")
