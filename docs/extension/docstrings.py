"""Docstrings of this package as Markdown pages.

They are Markdown already; what is left are the sections ("Args:", "Input
shape:"), which become headings, their lists, which become definitions, and
the names of other things, which become links.
"""

import inspect
import re

# Sections as the house style names them, and as a reader shall see them.
HEADINGS = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Call arguments": "Call arguments",
    "Input shape": "Input shape",
    "Output shape": "Output shape",
    "Outputs": "Outputs",
    "Returns": "Returns",
    "Raises": "Raises",
    "Example": "Example",
    "Notes": "Notes",
}
LISTS = ("Args", "Attributes", "Call arguments", "Raises")

HEADER = re.compile(rf"^({'|'.join(HEADINGS)}):(?: (`.*))?$")
ENTRY = re.compile(r"^([\w*]+(?:, [\w*]+)*): (.*)$", re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
ADDRESS = re.compile(r"(?<![<(])https?://[^\s,;)>]*[^\s,;.)>]")


def sections(docstring: str) -> dict[str, str]:
    """Splits a docstring: "" is what comes before the first section.

    A section other than the example ends where its indentation does. What
    comes after it, or after the example's last line of code, is under
    "Notes".
    """
    found, name, fenced = {"": []}, "", False
    for line in inspect.cleandoc(docstring).splitlines():
        header = None if fenced else HEADER.match(line)
        if header:
            name = header[1]
            found[name] = [f"See {header[2]}"] if header[2] else []
            continue
        if line.startswith("```"):
            fenced = not fenced
        if name and name != "Example" and line and not line[0].isspace():
            name = "Notes"
        found.setdefault(name, []).append(line)
    found = {key: _dedented(lines) for key, lines in found.items()}
    return _with_notes(found)


def _dedented(lines):
    return inspect.cleandoc("\n" + "\n".join(lines))


def _with_notes(found):
    """Moves what follows the code of the example to the notes."""
    code, fence, rest = found.get("Example", "").rpartition("\n```")
    if fence and rest.strip():
        found["Example"] = code + fence
        notes = [found.get("Notes", ""), rest.strip()]
        found["Notes"] = "\n\n".join(filter(None, notes))
    return found


def markdown(docstring: str, *, heading: str, link) -> str:
    """A whole docstring as Markdown.

    Args:
        docstring: As it stands in the code.
        heading: What a section's heading is put into, `"## {}"` for one.
        link: Function from the text of a code span to Markdown; the span
            itself for what has no page.
    """
    parts = []
    for name, text in sections(docstring).items():
        if name:
            parts.append(heading.format(HEADINGS[name]))
        parts.append((definitions if name in LISTS else linked)(text, link))
    return "\n\n".join(part for part in parts if part)


def definitions(text: str, link) -> str:
    """`name: what it is` with indented further lines, as definitions."""
    parts = []
    for entry in _entries(text):
        match = ENTRY.match(entry)
        if match is None:
            parts.append(linked(entry, link))
            continue
        first, _, further = match[2].partition("\n")
        body = f"{first}\n{inspect.cleandoc(further)}" if further else first
        body = linked(body, link).replace("\n", "\n  ")
        names = ", ".join(f"`{name}`" for name in match[1].split(", "))
        parts.append(f"{names}\n: {body}")
    return "\n\n".join(parts)


def _entries(text):
    """Lines that begin without indentation, each with what belongs to it."""
    entries = []
    for line in text.splitlines():
        new = line and not line[0].isspace()
        if new and (not entries or ENTRY.match(line)):
            entries.append(line)
        elif entries:
            entries[-1] += f"\n{line}"
    return [entry.rstrip() for entry in entries]


def linked(text: str, link) -> str:
    """Links code spans and addresses; code blocks stay as they are."""
    lines, fenced = [], False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        if not (fence or fenced or line.startswith("    ")):
            line = SPAN.sub(lambda match: link(match[1]), line)
            line = ADDRESS.sub(lambda match: f"<{match[0]}>", line)
        lines.append(line)
    return "\n".join(lines)
