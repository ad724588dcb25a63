"""A section of a report: tables, figures beside what is wanted, pictures; as text, JSON and Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

Draw = Callable[[pathlib.Path], None]
"""Draws a picture into a file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """How to read it; one sentence or two."""

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.header)]
        if wrong:
            raise ValueError(f"got a row of {len(wrong[0])} cells, expected {len(self.header)}, as the header has")

    def to_text(self) -> str:
        """Columns padded to equal width, for a terminal."""
        rows = (self.header, *self.rows)
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.header))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self.title, *([self.note] if self.note else []), *lines])

    def to_markdown(self) -> str:
        """A Markdown table under its title."""
        rows = [self.header, ("---",) * len(self.header), *self.rows]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([f"**{self.title}**", "", *([self.note, ""] if self.note else []), *lines])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """A figure beside the value that is wanted."""

    name: str
    measured: str
    """With unit and interval, if it has them."""
    wanted: str
    """Such as "<= 2.5 dB"."""
    is_met: bool

    def to_json(self) -> dict[str, object]:
        """For a report."""
        return {"name": self.name, "measured": self.measured, "wanted": self.wanted, "met": self.is_met}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """What one part of the evaluation found."""

    name: str
    """Of the command, such as "steering"."""
    title: str
    report: dict[str, Any]
    """All numbers, as JSON holds them."""
    tables: tuple[Table, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    pictures: tuple[tuple[str, Draw], ...] = ()
    """(name of the file without its ending, what draws it)."""

    def to_json(self) -> dict[str, Any]:
        """The numbers with the verdicts."""
        return {**self.report, "verdicts": [verdict.to_json() for verdict in self.verdicts]}

    def to_text(self) -> str:
        """For a terminal."""
        tables = [*self.tables, *([verdict_table(self.verdicts)] if self.verdicts else [])]
        return "\n\n".join([self.title, *(table.to_text() for table in tables)])


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """All verdicts in one table."""
    return Table(
        title="Wanted and measured",
        header=("figure", "measured", "wanted", "met"),
        rows=tuple((one.name, one.measured, one.wanted, "yes" if one.is_met else "NO") for one in verdicts),
    )


def write_report(folder: pathlib.Path, sections: Sequence[Section], *, head: dict[str, Any]) -> None:
    """Writes report.json, report.md and the pictures; each file appears whole.

    Args:
      folder: made if need be.
      sections: in the order of the report.
      head: what all of it was measured on: bundle, seconds, machine.
    Raises:
      OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, list[str]] = {}
    for section in sections:
        for name, draw in section.pictures:
            draw(folder / f"{name}.png")
            names.setdefault(section.name, []).append(f"{name}.png")
    content = {**head, **{section.name: section.to_json() for section in sections}}
    _replace(folder / "report.json", json.dumps(plain(content), indent=2, allow_nan=False) + "\n")
    _replace(folder / "report.md", _markdown(sections, head, names))


def _markdown(sections: Sequence[Section], head: dict[str, Any], pictures: dict[str, list[str]]) -> str:
    parts = ["# Evaluation", "\n".join(f"- {name}: {value}" for name, value in head.items())]
    everything = [verdict for section in sections for verdict in section.verdicts]
    if everything:
        parts.append(verdict_table(everything).to_markdown())
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [table.to_markdown() for table in section.tables]
        parts += [f"![{name}]({name})" for name in pictures.get(section.name, [])]
    return "\n\n".join(parts) + "\n"


def _replace(file: pathlib.Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)


def plain(value: Any) -> Any:
    """Values as JSON holds them: arrays become lists, NaN and infinity null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
