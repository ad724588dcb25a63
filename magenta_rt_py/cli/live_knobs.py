"""Knobs of `mrtpy live`: what the command line, the bundle and the last performance say they stand at, and moves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.options import parse_prompt
from magenta_rt_py.generators.styles import as_prompt, is_audio_path
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.knobs import Kind, find
from magenta_rt_py.live.memory import Checkpoint

MOST_PROMPTS = 8


def turn(board: Board, name: str, value: Any) -> None:
    """Turns a knob, or asks for an action."""
    if find(name).kind is Kind.ACTION:
        board.act(name, value, source="moves")
    else:
        board.set(name, value, source="moves")


def check(arguments: argparse.Namespace, resumed: Checkpoint | None) -> None:
    """Refuses, before anything is loaded, knobs that do not exist or cannot stand so, and prompts that cannot be read.

    Raises:
      ValueError: the first knob that is wrong.
      AudioFormatError: a prompt is a file that is no audio.
    """
    Board(initial(arguments, {}, resumed))
    for text in arguments.prompt or ():
        prompt, _ = parse_prompt(text)
        if is_audio_path(prompt):
            as_prompt(prompt)


def initial(arguments: argparse.Namespace, defaults: dict[str, Any], resumed: Checkpoint | None) -> dict[str, Any]:
    """Knobs to begin with: the bundle's, the last performance's, the command line's, in rising order."""
    knobs = {**defaults, **({} if resumed is None else resumed.settings)}
    prompts = [parse_prompt(text) for text in arguments.prompt or ()]
    if len(prompts) > MOST_PROMPTS:
        raise ValueError(f"{len(prompts)} prompts; give at most {MOST_PROMPTS}")
    for slot, (text, weight) in enumerate(prompts, 1):
        knobs.update({f"prompt/{slot}/text": text, f"prompt/{slot}/weight": weight})
    options = ("bpm", "temperature", "top_k", "guidance", "seed")
    given = {name: getattr(arguments, name) for name in options}
    knobs.update({name: value for name, value in given.items() if value is not None})
    for text in arguments.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text!r}; write KNOB=VALUE, such as inject/gain=0.5")
        knobs[name.strip()] = _value(name.strip(), value)
    return knobs


def _value(name: str, text: str) -> Any:
    """What `--set` means."""
    kind = find(name).kind
    if kind is Kind.TEXT:
        return text
    if kind is Kind.SWITCH:
        return text.strip().lower() in ("1", "on", "true", "yes")
    try:
        return int(text) if kind is Kind.WHOLE else float(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}; give a number") from error


def read_moves(path: Path | None) -> list[tuple[float, str, Any]]:
    """A file of [[seconds, knob, value], ...], by time.

    Raises:
      ValueError: it is no such file, or names a knob that does not exist.
    """
    if path is None:
        return []
    try:
        moves = [(float(at), str(name), value) for at, name, value in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: no list of moves ({error}); write [[seconds, knob, value], ...]") from error
    for at_seconds, name, value in moves:
        find(name).check(value)
        if not 0.0 <= at_seconds < float("inf"):
            raise ValueError(f"{path}: {name} is to move at {at_seconds} s; give 0 or more")
    return sorted(moves, key=lambda move: move[0])
