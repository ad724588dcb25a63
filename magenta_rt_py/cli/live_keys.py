"""Live keys: what typed keys and lines mean while `mrtpy live` plays. Pure.

    text of a terminal -> split_keys -> press -> Answer: turns, for the board
                                          |              note, for the person
                                        Typing: the line so far, the selected prompt

A letter always begins a line, so that "quiet piano" neither quits nor loses its q: letters are commands with Enter only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from magenta_rt_py.live.knobs import HIGHEST_SEED, KNOBS, LONGEST_TEXT, PROMPT_SLOTS, Kind, find, show_limit

__all__ = ["HELP", "LONGEST_LINE", "NOTHING_TYPED", "Answer", "Turn", "Typing", "enter", "press", "split_keys"]

CLICK = 0.5
"""Amplitude of the metronome when it is switched on."""
LONGEST_LINE = LONGEST_TEXT + 100
"""Characters; what is typed beyond is left out."""

HELP = (
    "text + Enter   the prompt's text         left right   prompt 1 to prompt 2",
    "1 .. 8, Enter  selects a prompt          up down      temperature",
    "Tab            selects the next          [ ]          guidance",
    "Esc            forgets the line          - =          tempo",
    "space          taps the tempo            , .          volume",
    "m + Enter      metronome on, off         s + Enter    saves the moment",
    "r + Enter      records; stops it         b + Enter    goes back to it",
    "f + Enter      starts afresh             d + Enter    takes the next seed",
    "q + Enter      quits; so does Ctrl-C     w + Enter    rewinds a bar",
    "Any knob or action: :bpm 140   :prompt/2/text techno   :record take.flac",
    ":help NAME explains one; docs/controls.md has them all.",
)
NUDGES = {
    "up": ("temperature", 0.05),
    "down": ("temperature", -0.05),
    "[": ("guidance", -0.1),
    "]": ("guidance", 0.1),
    "-": ("bpm", -1.0),
    "=": ("bpm", 1.0),
    "+": ("bpm", 1.0),
    ",": ("volume", -0.05),
    ".": ("volume", 0.05),
}
_KEY = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO.|.", re.DOTALL)
_HALF_KEY = re.compile(r"\x1b(\[[0-?]*[ -/]*|O)?\Z")
_NAMED = {
    **{f"\x1b{between}{letter}": name for between in "[O" for letter, name in zip("ABCD", ("up", "down", "right", "left"))},
    **dict.fromkeys("\r\n", "enter"),
    **dict.fromkeys("\x7f\b", "backspace"),
    "\t": "tab",
    **dict.fromkeys("\x1b\x15", "escape"),  # Esc (before a letter: Alt), Ctrl-U
}
_COMMAND = re.compile(r":\s*/?([^\s=]*)[\s=]*(.*)", re.DOTALL)


class Turn(NamedTuple):
    """A knob to be turned, or an action to be asked for."""

    name: str
    value: Any = None


class Typing(NamedTuple):
    """What the person at the keys is about to do."""

    line: str = ""
    """Typed and not yet entered."""
    slot: int = 1
    """Prompt that typed text goes to, 1 .. 8."""


NOTHING_TYPED = Typing()


class Answer(NamedTuple):
    """What comes of a key or a line."""

    turns: tuple[Turn, ...] = ()
    """To be done, knobs all at once."""
    note: str = ""
    """One line for the person; an error, or what is set now."""
    lines: tuple[str, ...] = ()
    """More to be read: the help."""


def split_keys(text: str) -> tuple[list[str], str]:
    """Keys in what a terminal sent.

    Args:
      text: what came, after what was left over last time.
    Returns:
      the keys: a character, or a name (up, down, left, right, enter, backspace, tab, escape); and what is left over, the
      beginning of a key. Keys that mean nothing here are left out.
    """
    half = _HALF_KEY.search(text)
    rest = half.group() if half else ""
    keys = []
    for piece in _KEY.findall(text.removesuffix(rest)):
        key: str = _NAMED.get(piece, piece)
        if key in _NAMED.values() or (len(key) == 1 and key.isprintable()):
            keys.append(key)
    return keys, rest


def press(typing: Typing, key: str, values: Mapping[str, Any], *, is_recording: bool = False) -> tuple[Typing, Answer]:
    """Takes one key.

    Args:
      typing: what was typed before.
      key: of `split_keys`.
      values: what the knobs stand at.
      is_recording: whether a recording is going on.
    """
    if key == "tab":
        slot = typing.slot % PROMPT_SLOTS + 1
        return typing._replace(slot=slot), Answer(note=_say_prompt(slot, values))
    if key == "escape":
        return typing._replace(line=""), Answer()
    if key == "backspace":
        return typing._replace(line=typing.line[:-1]), Answer()
    if key == "enter":
        return enter(typing, values, is_recording=is_recording)
    if not typing.line:
        answer = _hit(key, values)
        if answer is not None:
            return typing, answer
    if len(key) == 1 and key.isprintable() and len(typing.line) < LONGEST_LINE:
        typing = typing._replace(line=typing.line + key)
    return typing, Answer()


def enter(typing: Typing, values: Mapping[str, Any], *, is_recording: bool = False) -> tuple[Typing, Answer]:
    """Takes the line: a command after a colon, a letter, the number of a prompt, or else the selected prompt's text.

    Args:
      typing: with the line.
      values: what the knobs stand at.
      is_recording: whether a recording is going on.
    Returns:
      an empty line, and what comes of it; errors are the answer's note.
    """
    line, typing = typing.line.strip(), typing._replace(line="")
    letter = _letter(line, values, is_recording)
    try:
        if not line:
            return typing, Answer()
        if line.isdecimal() and len(line) == 1 and 1 <= int(line) <= PROMPT_SLOTS:
            return typing._replace(slot=int(line)), Answer(note=_say_prompt(int(line), values))
        if letter is not None:
            return typing, letter
        if line == "?":
            return typing, Answer(lines=HELP)
        if line.startswith(":"):
            return typing, _parse_command(line, values)
        return typing, _set_prompt(typing.slot, line, values)
    except ValueError as error:
        return typing, Answer(note=str(error))


def _parse_command(line: str, values: Mapping[str, Any]) -> Answer:
    """Reads `:name value`, with the name of any knob or action; ValueError if that cannot be."""
    match = _COMMAND.fullmatch(line.strip())
    name, text = match.groups() if match else ("", "")
    if name in ("", "help", "?"):
        return Answer(note=_explain(text.removeprefix("/"))) if text else Answer(lines=HELP)
    knob = find(name)
    kind = knob.argument if knob.kind is Kind.ACTION else knob.kind
    if not text and knob.kind is not Kind.ACTION:
        return Answer(note=f"{name} is {_show(values[name])}")
    value = knob.check(_read(kind, text) if text else None)
    return Answer((Turn(name, value),), note=name if value is None else f"{name} {_show(value)}")


def _hit(key: str, values: Mapping[str, Any]) -> Answer | None:
    """What a key does while nothing is typed; None for one that begins a line."""
    if key in ("left", "right"):
        return _cross_fade(0.1 if key == "right" else -0.1, values)
    if key in NUDGES:
        name, change = NUDGES[key]
        knob = KNOBS[name]
        value = round(min(max(values[name] + change, knob.low), knob.high), 3)
        return Answer((Turn(name, value),), note=f"{name} {_show(value)}")
    if key == " ":
        return Answer((Turn("tap"),), note="tap")
    return Answer(lines=HELP) if key == "?" else None


def _letter(line: str, values: Mapping[str, Any], is_recording: bool) -> Answer | None:
    """What a single letter does; None if the line is none."""
    click = 0.0 if values["metronome"] else CLICK
    seed = (values["seed"] + 1) % (HIGHEST_SEED + 1)
    known = {
        "m": Answer((Turn("metronome", click),), note="metronome on" if click else "metronome off"),
        "r": Answer((Turn("record/stop"),), note="recorded")
        if is_recording
        else Answer((Turn("record", ""),), note="recording"),
        "s": Answer((Turn("snapshot/save", 1),)),
        "b": Answer((Turn("snapshot/recall", 1),)),
        "w": Answer((Turn("rewind", 1),)),
        "f": Answer((Turn("reset"),)),
        "d": Answer((Turn("seed", seed),), note=f"seed {seed}"),
        "q": Answer((Turn("quit"),), note="ending"),
    }
    return known.get(line)


def _cross_fade(step: float, values: Mapping[str, Any]) -> Answer:
    first, second = (values[f"prompt/{slot}/weight"] for slot in (1, 2))
    share = second / (first + second) if first + second else 0.0
    share = min(max(round(share, 1) + step, 0.0), 1.0)
    shares = (round(1.0 - share, 1), round(share, 1))
    turns = tuple(Turn(f"prompt/{slot}/weight", weight) for slot, weight in enumerate(shares, 1))
    said = [f"prompt {slot} {weight:g}" for slot, weight in enumerate(shares, 1)]
    empty = [slot for slot, weight in enumerate(shares, 1) if weight and not values[f"prompt/{slot}/text"]]
    return Answer(turns, note="; ".join([", ".join(said), *(f"prompt {slot} is empty" for slot in empty)]))


def _set_prompt(slot: int, text: str, values: Mapping[str, Any]) -> Answer:
    name, weight = f"prompt/{slot}/text", f"prompt/{slot}/weight"
    turns = [Turn(name, find(name).check(text))]
    if not values[weight]:
        turns.append(Turn(weight, 1.0))
    return Answer(tuple(turns), note=f"prompt {slot}: {text}")


def _read(kind: Kind | None, text: str) -> Any:
    """A value as its kind wants it; what cannot be read is left as it is, and the knob says what it takes."""
    if kind is Kind.TEXT:
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if kind is Kind.SWITCH:
        words = {"1": 1, "on": 1, "true": 1, "yes": 1, "0": 0, "off": 0, "false": 0, "no": 0}
        return words.get(text.lower(), text)
    with contextlib.suppress(ValueError):
        return float(text)
    return text


def _explain(name: str) -> str:
    knob = find(name)
    kind = knob.argument if knob.kind is Kind.ACTION else knob.kind
    limits = f"{show_limit(knob.low)} .. {show_limit(knob.high)} {knob.unit}".rstrip()
    takes = "" if kind is None else f" ({kind.value}, {limits})"
    return f"{knob.name}{takes}: {knob.help}"


def _say_prompt(slot: int, values: Mapping[str, Any]) -> str:
    text, weight = values[f"prompt/{slot}/text"], values[f"prompt/{slot}/weight"]
    return f"prompt {slot}: {text or 'empty'} ({weight:g})"


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
