"""Reads the settings that a T5X checkpoint was trained with, as far as they are plain values. Runs nothing.

    EMBED_DIM = 768                          a macro
    TASK_FEATURE_LENGTHS = {                 a value may go over several lines
        "inputs": 1006, "targets": 800}
    seqio.PassThroughVocabulary.size = 29698 an argument of something configurable, perhaps in a scope ("train/x.y = 1")
    network.Config.dim = %EMBED_DIM          a macro's value
    MODEL = @model.Model()                   names something to be built: kept as its text

Gin itself imports what its files name and runs it; here a value is a Python literal (`ast.literal_eval`) or it is kept as
text. Imports and includes are passed over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

LARGEST_FILE_CHARACTERS = 1_000_000
"""A settings file is a few thousand characters; more is something else."""

_BINDING = re.compile(r"\s*([A-Za-z_][\w./]*)\s*=\s*(.*)", re.DOTALL)
_BLOCK = re.compile(r"([A-Za-z_][\w./]*)\s*:\s*")
_MACRO = re.compile(r"%([A-Za-z_][\w./]*)")
_PASSED_OVER = re.compile(r"\s*(import|from|include)\b")
_TOKENS = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|#[^\n]*|[\[\]{}()]|\\\n")


class Unread(str):
    """The text of a value that is no literal: a reference, or a macro that is not in the file."""


class Setting(NamedTuple):
    """One line of a settings file.

    Attributes:
      name: as written, scope included.
      text: its value as written.
    """

    name: str
    text: str


def parse(text: str) -> dict[str, object]:
    """Name to value of every setting in a file; a later one wins.

    Args:
      text: the file's content.
    Returns:
      literals as Python values; anything else as `Unread` text.
    Raises:
      ValueError: the text is far too long, or a bracket or a line is left open.
    """
    if len(text) > LARGEST_FILE_CHARACTERS:
        raise ValueError(f"got {len(text)} characters of settings, expected {LARGEST_FILE_CHARACTERS} at most; check it")
    written = {setting.name: setting.text for setting in _settings(text)}
    return {name: _value(name, written) for name in written}


def _settings(text: str) -> Iterator[Setting]:
    """Every binding, also those that are indented below a "name:" line."""
    block = ""
    for number, statement in _statements(text):
        indented = statement[:1].isspace()
        if not indented:
            block = ""
        opened = _BLOCK.fullmatch(statement)
        if opened and not indented:
            block = f"{opened[1]}."
            continue
        if _PASSED_OVER.match(statement):
            continue
        binding = _BINDING.fullmatch(statement)
        if not binding:
            raise ValueError(f"line {number} of the settings is no 'name = value': {statement.strip()[:60]!r}; correct it")
        yield Setting(block + binding[1], binding[2].strip())


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(line number, statement) with comments taken out and open brackets followed over the line ends."""
    kept, depth = [], 0
    start = 1
    for number, line in enumerate(_without_comments(text).split("\n"), 1):
        if not kept:
            start = number
        kept.append(line)
        depth += _opened(line)
        if depth > 0 or not "".join(kept).strip():
            if depth <= 0:
                kept = []
            continue
        value_follows = "".join(kept).rstrip().endswith("=")
        if value_follows:
            continue
        yield start, "\n".join(kept).rstrip()
        kept, depth = [], 0
    if kept and "".join(kept).strip():
        raise ValueError(f"the settings end inside the value that begins in line {start}; get the file again")


def _without_comments(text: str) -> str:
    """The text without comments and with lines joined that end in a backslash."""

    def replace(match: re.Match[str]) -> str:
        found = match[0]
        return "" if found.startswith("#") else " " if found == "\\\n" else found

    return _TOKENS.sub(replace, text.replace("\r\n", "\n"))


def _opened(line: str) -> int:
    """Brackets opened and not closed in a line, those inside strings left out."""
    found = [match[0] for match in _TOKENS.finditer(line)]
    return sum(token in "([{" for token in found if len(token) == 1) - sum(
        token in ")]}" for token in found if len(token) == 1
    )


def _value(name: str, written: dict[str, str]) -> object:
    """The value of a setting: a literal, the value of the macro that it names, or text."""
    text, seen = written[name], {name}
    while macro := _MACRO.fullmatch(text):
        if macro[1] not in written or macro[1] in seen:
            return Unread(text)
        seen.add(macro[1])
        text = written[macro[1]]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return Unread(text)
