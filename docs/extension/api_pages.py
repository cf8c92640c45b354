"""A page for each public name of the package, for Sphinx to render.

Before a build, `docs/api/` is filled with Markdown:

```
api/index.md                       the areas, and who wrote what
api/layers/index.md                the names of an area: what, whose, where
api/layers/GlobalKMaxPooling.md    signature, docstring, methods
```
"""

import importlib
import inspect
import pathlib
import re
import sys
import textwrap

import docstrings

ROOT = pathlib.Path(__file__).parent.parent.parent
AREAS = (
    "layers",
    "models",
    "losses",
    "ops",
    "metrics",
    "backbones",
    "data",
    "data.builders",
    "recipes",
    "training",
    "evaluation",
    "visualization",
    "export",
)
# A row of docs/papers.md: | `layers.X` | paper, where | [file](link) |
PAPER_ROW = re.compile(r"^\| `([\w.]+)` \| (.+?) \| \[", re.MULTILINE)


def public_names(area: str) -> dict[str, object]:
    """Everything a user may import from `keras_fgvc.<area>`, by name."""
    module = importlib.import_module(f"keras_fgvc.{area}")
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name in vars(module) if is_own(module, name)]
    found = {name: getattr(module, name) for name in sorted(names)}
    return {n: v for n, v in found.items() if not inspect.ismodule(v)}


def is_own(module, name: str) -> bool:
    """Whether a module without `__all__` defines a name for its users."""
    value = getattr(module, name)
    if name.startswith("_") or not callable(value):
        return False
    return getattr(value, "__module__", "").startswith(module.__name__)


def has_page(value) -> bool:
    """Classes and functions have; a constant is in its area's table only."""
    return inspect.isclass(value) or inspect.isroutine(value)


def papers() -> dict[str, str]:
    """From a name as `layers.X` to its paper, as docs/papers.md has it."""
    text = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    return dict(PAPER_ROW.findall(text))


def all_pages() -> dict[str, str]:
    """Markdown by path below `docs/api/`."""
    areas = {area: public_names(area) for area in AREAS}
    by_name = papers()
    pages = {"index.md": front_page(areas)}
    for area, names in areas.items():
        pages[f"{folder(area)}/index.md"] = area_page(area, names, by_name)
        for name, value in names.items():
            if has_page(value):
                path = f"{folder(area)}/{name}.md"
                link = linker(areas, area, name)
                pages[path] = page(area, name, value, by_name, link)
    return pages


def folder(area: str) -> str:
    return area.replace(".", "_")


def front_page(areas) -> str:
    lines = ["# Reference", "", "| part | what it has | names |"]
    lines.append("|---|---|---|")
    for area, names in areas.items():
        about = summary(importlib.import_module(f"keras_fgvc.{area}"))
        lines.append(
            f"| [`keras_fgvc.{area}`]({folder(area)}/index.md) "
            f"| {about} | {len(names)} |"
        )
    entries = [f"{area} <{folder(area)}/index>" for area in areas]
    return "\n".join([*lines, "", toctree(entries, depth=1)])


def area_page(area: str, names, by_name) -> str:
    """The module's docstring and a table of its names."""
    module = importlib.import_module(f"keras_fgvc.{area}")
    lines = [f"# {area}", "", inspect.getdoc(module), ""]
    lines += ["| name | what it does | paper |", "|---|---|---|"]
    for name, value in names.items():
        if has_page(value):
            what, shown = summary(value), f"[`{name}`]({name}.md)"
        else:
            what, shown = f"`{value!r}`", f"`{name}`"
        paper = by_name.get(f"{area}.{name}", "")
        lines.append(f"| {shown} | {what} | {paper} |")
    entries = [name for name, value in names.items() if has_page(value)]
    return "\n".join([*lines, "", toctree(entries, depth=1)])


def toctree(entries, *, depth: int) -> str:
    # Titles alone: the sections of all pages in each page take half the time.
    options = [":hidden:", ":titlesonly:", f":maxdepth: {depth}", ""]
    return "\n".join(["```{toctree}", *options, *entries, "```", ""])


def summary(value) -> str:
    """First line of the docstring."""
    first, _, _ = (inspect.getdoc(value) or "").partition("\n\n")
    return first.replace("\n", " ").replace("|", "\\|")


def linker(areas, area: str, name: str):
    """What turns a code span on a name's page into a link, or leaves it.

    Classes are known by their bare names, everything by `area.name`.
    """
    targets = {}
    for other, names in areas.items():
        for key, value in names.items():
            if not has_page(value) or (other, key) == (area, name):
                continue
            path = f"../{folder(other)}/{key}.md"
            targets[f"{other}.{key}"] = path
            if inspect.isclass(value) or other == area:
                targets.setdefault(key, path)

    def link(span):
        called = span.partition("(")[0].removeprefix("keras_fgvc.")
        owner, _, _ = called.rpartition(".")  # of a method
        path = targets.get(called) or targets.get(owner)
        return f"[`{span}`]({path})" if path else f"`{span}`"

    return link


def page(area: str, name: str, value, by_name, link) -> str:
    parts = [f"# {name}", signature(area, name, value)]
    parts.append(origin(area, name, value, by_name))
    docstring = inspect.getdoc(value) or ""
    parts.append(docstrings.markdown(docstring, heading="## {}", link=link))
    if area == "models":
        parts.append(symbols(value, link))
    if inspect.isclass(value):
        parts.append(methods(value, link))
    return "\n\n".join(part for part in parts if part) + "\n"


def signature(area: str, name: str, value) -> str:
    """The directive that shows how it is called and makes it known."""
    kind = "class" if inspect.isclass(value) else "function"
    call = f"keras_fgvc.{area}.{name}{arguments(value)}"
    return f"```{{py:{kind}}} {call}\n```"


def arguments(value) -> str:
    """`(k: int = 4, **kwargs)`, without self and with short defaults."""
    function = value.__init__ if inspect.isclass(value) else value
    parameters = list(inspect.signature(function).parameters.values())
    if inspect.isclass(value):
        parameters = parameters[1:]
    return str(inspect.Signature([_short(p) for p in parameters]))


def _short(parameter):
    """A default that is an object of ours is shown as `...`."""
    plain = (str, int, float, bool, tuple, type(None), type(parameter.empty))
    if not isinstance(parameter.default, plain):
        parameter = parameter.replace(default=_Dots())
    return parameter


class _Dots:
    def __repr__(self):
        return "..."


def origin(area: str, name: str, value, by_name) -> str:
    """Whose idea it is, and the file that has it."""
    path = pathlib.Path(inspect.getfile(value)).relative_to(ROOT)
    parts = [f"File: [{path}](../../../{path})"]
    if f"{area}.{name}" in by_name:
        parts.insert(0, f"Paper: {by_name[f'{area}.{name}']}")
    return ". ".join(parts) + "."


def symbols(cls, link) -> str:
    """What the file of a model says at its top: symbols and data flow."""
    docstring = inspect.getdoc(sys.modules[cls.__module__]) or ""
    _, _, rest = docstring.partition("\n\n")
    if not rest:
        return ""
    return f"## The paper's names, and ours\n\n{docstrings.linked(rest, link)}"


def methods(cls, link) -> str:
    """Public methods and properties that the package documents."""
    parts = []
    for name, value in inspect.getmembers(cls):
        function = value.fget if isinstance(value, property) else value
        if name.startswith("_") or not _is_documented(cls, name, function):
            continue
        call = "" if isinstance(value, property) else arguments_of(function)
        text = docstrings.markdown(
            inspect.getdoc(function), heading="**{}**", link=link
        )
        parts.append(f"### `{name}{call}`\n\n{text}")
    return "\n\n".join(["## Methods", *parts]) if parts else ""


def _is_documented(cls, name, function):
    """Whether a member is written, with a docstring, in this package."""
    if not inspect.isroutine(function) or not function.__doc__:
        return False
    return getattr(function, "__module__", "").startswith("keras_fgvc")


def arguments_of(method) -> str:
    """The call of a method: names and defaults, without annotations."""
    parameters = list(inspect.signature(method).parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    bare = [_short(p).replace(annotation=p.empty) for p in parameters]
    return textwrap.shorten(str(inspect.Signature(bare)), 200)


def write(target: pathlib.Path) -> None:
    """Writes what changed and removes pages of names that are gone."""
    pages = all_pages()
    for path in target.rglob("*.md"):
        if str(path.relative_to(target)) not in pages:
            path.unlink()
    for name, text in pages.items():
        path = target / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def setup(app):
    """What Sphinx calls."""
    app.connect(
        "builder-inited", lambda app: write(pathlib.Path(app.srcdir, "api"))
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
