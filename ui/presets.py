"""Presets: what the knobs stand at, with a name, as a JSON file. Pure but for reading the bundled ones.

{"format": "magenta_rt_py preset", "version": 1, "name": "Night drive", "about": "one line",
 "knobs": {"prompt/1/text": "neon synthwave", "prompt/1/weight": 1.0, "bpm": 107.1}}

A preset holds all prompts: a slot that it does not name is emptied. Other knobs that it does not name stay as they are.
What belongs to the room and not to the music (ROOM_KNOBS) is never in one.
"""

from __future__ import annotations

import importlib.resources
import json
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from magenta_rt_py.live.knobs import KNOBS, Kind, find

__all__ = ["FORMAT", "ROOM_KNOBS", "Preset", "bundled", "read", "write"]

FORMAT = "magenta_rt_py preset"
VERSION = 1
MOST_BYTES = 65_536
LONGEST_NAME = 60
LONGEST_ABOUT = 200
ROOM_KNOBS = frozenset({"volume", "metronome", "midi_clock", "keep_time", "inject/on"})
"""Of the loudspeaker, the click, the clock that is followed and the microphone."""
SOUND = re.compile(r"@[0-9a-f]{32}")


class Preset(NamedTuple):
    """Knobs with a name."""

    name: str
    """For people, 1 .. LONGEST_NAME characters."""
    about: str
    """What it is like, in a line; may be empty."""
    knobs: Mapping[str, Any]
    """Checked values by name; every prompt knob is there."""

    def as_json(self) -> dict[str, Any]:
        """As it is written, and as the page takes it."""
        return {"format": FORMAT, "version": VERSION, "name": self.name, "about": self.about, "knobs": dict(self.knobs)}


def read(text: str | bytes) -> Preset:
    """A preset from a file's content.

    Raises:
      ValueError: it is no preset, of another version, or a knob is unknown or out of range; says which, in one line.
    """
    size = len(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise ValueError(f"the preset has {size} bytes; give at most {MOST_BYTES}")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the preset is no JSON ({' '.join(str(error).split())[:80]})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f'this is no preset; one begins with {{"format": "{FORMAT}", ...')
    if content.get("version") != VERSION:
        raise ValueError(f"the preset is of version {str(content.get('version'))[:20]}; this program reads {VERSION}")
    name = _line(content, "name", LONGEST_NAME)
    if not name:
        raise ValueError("the preset has no name; give one")
    knobs = content.get("knobs")
    if not isinstance(knobs, dict):
        raise ValueError('the preset has no "knobs"; give an object of names and values')
    return Preset(name, _line(content, "about", LONGEST_ABOUT), MappingProxyType(_complete(knobs)))


def write(preset: Preset) -> str:
    """The file's content; `read` gives the same preset back."""
    return json.dumps(preset.as_json(), indent=1, ensure_ascii=False) + "\n"


def bundled() -> tuple[Preset, ...]:
    """The presets that are installed, in order of their file names.

    Raises:
      ValueError: one of them is broken; names the file.
    """
    found = []
    folder = importlib.resources.files(__package__) / "presets"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            try:
                found.append(read(file.read_bytes()))
            except ValueError as error:
                raise ValueError(f"{file.name}: {error}") from None
    return tuple(found)


def _line(content: Mapping[str, Any], key: str, longest: int) -> str:
    value = content.get(key, "")
    if not isinstance(value, str) or len(value) > longest or any(ord(letter) < 32 for letter in value):
        raise ValueError(f'"{key}" of the preset is no line of at most {longest} characters')
    return value.strip()


def _complete(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Checked values, with empty prompts where none are named.

    Raises:
      ValueError: the first knob that is not allowed.
    """
    values = {name: _empty(name) for name in KNOBS if name.startswith("prompt/")}
    for name, value in knobs.items():
        knob = find(name)
        if knob.kind is Kind.ACTION or name in ROOM_KNOBS:
            raise ValueError(f"{name} does not belong into a preset; leave it out")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}; give a number")
        values[name] = knob.check(value)
        if knob.kind is Kind.TEXT and SOUND.fullmatch(values[name]):
            raise ValueError(f"{name} is a sound of another session; a preset holds words only")
    return values


def _empty(name: str) -> Any:
    """What a knob of an unused slot stands at."""
    return "" if KNOBS[name].kind is Kind.TEXT else 0.0 if KNOBS[name].kind is Kind.NUMBER else False
