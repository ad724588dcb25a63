"""Helps the parser of the reference with what is usual in this project's sources.

Sections of a docstring stand without an empty line between them; what a function returns is described in words alone,
because the type stands in the signature; a config's fields have comments instead of docstrings.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Source):$")


class HouseStyle(griffe.Extension):
    """What the documentation tool calls for every object it has read."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Rewrites an object's docstring, or makes one of the comments beside a field."""
        del loader, kwargs
        if obj.docstring:
            obj.docstring.value = parted(obj.docstring.value)
        elif obj.is_attribute and obj.parent and obj.parent.is_class and obj.lineno:
            text = comment_at(obj.lines_collection[obj.filepath], obj.lineno, obj.endlineno or obj.lineno)
            if text:
                obj.docstring = griffe.Docstring(text, lineno=obj.lineno, parent=obj)


def parted(text: str) -> str:
    """A docstring with an empty line before every section, and a colon before what is returned.

    The colon tells the parser that no type comes first: `Returns: the state: x` would have "the state" for one.
    """
    lines: list[str] = []
    for line in text.splitlines():
        if SECTION.match(line) and lines and lines[-1].strip():
            lines.append("")
        if lines and lines[-1] in ("Returns:", "Yields:"):
            indent = line[: len(line) - len(line.lstrip())]
            line = f"{indent}: {line.lstrip()}"
        lines.append(line)
    return "\n".join(lines)


def comment_at(lines: list[str], first: int, last: int) -> str:
    """The comment on the lines of a field (counted from 1), or the block of comments right above it; "" if none."""
    beside = re.search(r"(?<=  )# ?(.*)$", lines[last - 1])
    if beside:
        return beside.group(1)
    place, block = first - 2, []
    while place >= 0 and lines[place].lstrip().startswith("#"):
        block.insert(0, lines[place].lstrip().lstrip("#").strip())
        place -= 1
    return "\n".join(block)
