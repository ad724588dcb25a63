"""Knobs: everything a person can set or ask for while it plays, with ranges. Pure: a table, and what it allows.

A knob's name is its OSC address without the leading slash; MIDI, the browser and scores use the same names.
docs/controls.md has this table for musicians.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import numbers
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["HIGHEST_SEED", "KNOBS", "LONGEST_TEXT", "PROMPT_SLOTS", "SNAPSHOT_SLOTS", "Kind", "Knob", "find", "show_limit"]

PROMPT_SLOTS = 8
SNAPSHOT_SLOTS = 8
LONGEST_TEXT = 500
"""Characters of a prompt or a file name."""
HIGHEST_SEED = 2**32 - 1


class Kind(enum.Enum):
    """What a knob takes."""

    NUMBER = "number"
    WHOLE = "whole number"
    SWITCH = "switch"
    TEXT = "text"
    ACTION = "action"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knob:
    """One thing that can be set (or, an action, be asked for)."""

    name: str
    """Words of lower-case letters, digits and _, with slashes between them."""
    kind: Kind
    """What it takes."""
    low: float
    """Least value; of a text, characters. 0 where nothing is taken."""
    high: float
    """Greatest value; of a text, characters. 0 where nothing is taken."""
    default: float | int | bool | str | None
    """Where it stands at first; of an action, what it gets if nothing is given (None: nothing, or it must be given)."""
    unit: str
    """Of the value; empty where it has none."""
    help: str
    """What it does, in a few words."""
    argument: Kind | None = None
    """Of an action: what comes with it; None for nothing."""

    def check(self, value: Any) -> Any:
        """The value as it is stored: a float, int, bool or str.

        Args:
          value: a number for a number or a switch (0 or 1), text for a text; of an action, its argument or None.
        Raises:
          ValueError: it is of another type, not finite, or out of range; says what is allowed.
        """
        kind = self.kind
        if kind is Kind.ACTION:
            if self.argument is None:
                return self._check_nothing(value)
            kind, value = self.argument, self.default if value is None else value
        if kind is Kind.TEXT:
            return self._check_text(value)
        if kind is Kind.SWITCH:
            return self._check_switch(value)
        return self._check_number(value, is_whole=kind is Kind.WHOLE)

    def _check_nothing(self, value: Any) -> None:
        if value is not None:
            raise ValueError(f"{self.name} came with {_show(value)}; it takes no value")

    def _check_text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{self.name} is {_show(value)}; give text of at most {self.high:g} characters")
        if len(value) > self.high:
            raise ValueError(f"{self.name} has {len(value)} characters; give at most {self.high:g}")
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"{self.name} is {_show(value)}; give text that can be written as UTF-8, without zero bytes")
        return value

    def _check_switch(self, value: Any) -> bool:
        if not isinstance(value, bool | numbers.Real) or value not in (0, 1):
            raise ValueError(f"{self.name} is {_show(value)}; give 0 (off) or 1 (on)")
        return bool(value)

    def _check_number(self, value: Any, *, is_whole: bool) -> float | int:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        # Neither NaN nor an infinite number is between low and high.
        if is_number and self.low <= value <= self.high and (not is_whole or value == int(value)):
            return int(value) if is_whole else float(value)
        wanted = "a whole number" if is_whole else "a number"
        limits = f"from {show_limit(self.low)} to {show_limit(self.high)}"
        raise ValueError(f"{self.name} is {_show(value)}; give {wanted} {limits}")


def find(name: str) -> Knob:
    """The knob of a name.

    Raises:
      ValueError: there is none; names the nearest.
    """
    knob = KNOBS.get(name)
    if knob is None:
        near = difflib.get_close_matches(name[:100], KNOBS, n=1)
        advice = f"did you mean {near[0]}?" if near else "see docs/controls.md for all of them"
        raise ValueError(f"there is no knob {_show(name)}; {advice}")
    return knob


def show_limit(limit: float) -> str:
    """A limit for people, no digit of a whole number left out: 0.5, 4, 4294967295."""
    return f"{limit:.0f}" if limit == int(limit) else f"{limit:g}"


def _show(value: Any) -> str:
    """A value in an error: short, in one line, whatever it is."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge number"  # Python refuses to write very long ones
    text = repr(value) if isinstance(value, str | bytes | numbers.Real | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _number(name: str, low: float, high: float, default: float, unit: str, text: str) -> Knob:
    return Knob(name=name, kind=Kind.NUMBER, low=low, high=high, default=default, unit=unit, help=text)


def _whole(name: str, low: float, high: float, default: int, unit: str, text: str) -> Knob:
    return Knob(name=name, kind=Kind.WHOLE, low=low, high=high, default=default, unit=unit, help=text)


def _switch(name: str, text: str, *, default: bool = False) -> Knob:
    return Knob(name=name, kind=Kind.SWITCH, low=0.0, high=1.0, default=default, unit="", help=text)


def _prompt(slot: int) -> tuple[Knob, ...]:
    text = Knob(
        name=f"prompt/{slot}/text",
        kind=Kind.TEXT,
        low=0.0,
        high=float(LONGEST_TEXT),
        default="",
        unit="characters",
        help=f"what prompt {slot} says; empty: unused",
    )
    weight = 1.0 if slot == 1 else 0.0
    return (
        text,
        _number(f"prompt/{slot}/weight", 0.0, 2.0, weight, "", f"share of prompt {slot} in the mix"),
        _switch(f"prompt/{slot}/mute", f"leaves prompt {slot} out of the mix"),
        _switch(f"prompt/{slot}/solo", f"prompt {slot} counts, and of the others only those with solo"),
    )


def _action(
    name: str,
    text: str,
    *,
    argument: Kind | None = None,
    low: float = 0.0,
    high: float = 0.0,
    default: float | int | str | None = None,
    unit: str = "",
) -> Knob:
    kind = Kind.ACTION
    return Knob(name=name, kind=kind, low=low, high=high, default=default, unit=unit, help=text, argument=argument)


def _snapshot(name: str, text: str) -> Knob:
    high = float(SNAPSHOT_SLOTS)
    return _action(name, text, argument=Kind.WHOLE, low=1.0, high=high, default=1)


def _table() -> Mapping[str, Knob]:
    """Ranges are those of the parts that are steered: generators/controls.py, live/injection.py, live/transport.py."""
    rows = [
        *(knob for number in range(1, PROMPT_SLOTS + 1) for knob in _prompt(number)),
        _number("temperature", 0.0, 4.0, 1.1, "", "0 plays the likeliest, above 1 is wilder"),
        _whole("top_k", 0.0, 1024.0, 0, "codes", "codes that may be drawn at each level; 0: all"),
        _number("guidance", 0.0, 20.0, 0.5, "", "how strongly prompts and tempo pull; 0: off"),
        _number("input_guidance", 0.0, 20.0, 0.0, "", "how strongly the performer pulls; 0: off"),
        _number("adapter_strength", 0.0, 2.0, 1.0, "", "strength of a finetune's adapters; 0: its base, 1: as trained"),
        _whole("seed", 0.0, float(HIGHEST_SEED), 0, "", "another seed, other music"),
        _number("bpm", 20.0, 400.0, 125.0, "beats a minute", "tempo"),
        _whole("beats_per_bar", 1.0, 16.0, 4, "beats", "length of a bar"),
        _switch("keep_time", "whether the model is told tempo and beat; off: the music keeps its own", default=True),
        _switch("midi_clock", "follow an incoming MIDI clock"),
        _number("volume", 0.0, 2.0, 1.0, "", "amplitude of what is heard"),
        _number("metronome", 0.0, 1.0, 0.0, "", "amplitude of the click"),
        _switch("inject/on", "whether the model hears the performer", default=True),
        _number("inject/gain", 0.0, 4.0, 1.0, "", "amplitude of the performer in what the model believes it heard"),
        _number("inject/feedback", 0.0, 1.0, 0.95, "", "amplitude of the model's own sound in it"),
        _number("inject/gap", 0.0, 2.0, 0.0, "seconds", "the performer is left out of the last so many seconds"),
        _whole("inject/loop_beats", 0.0, 64.0, 0, "beats", "length of the performer's loop; 0: free"),
        _number("inject/live_prompt", 0.0, 2.0, 0.0, "", "share of the performer's sound in the mix of prompts"),
        _action("tap", "one tap of the tempo"),
        _action("nudge", "moves the beat by so many beats", argument=Kind.NUMBER, low=-4.0, high=4.0, unit="beats"),
        _action("downbeat", "now is the first beat of a bar"),
        _snapshot("snapshot/save", "keeps this moment in a slot"),
        _snapshot("snapshot/recall", "brings the moment of a slot back"),
        _action("rewind", "goes back in the music", argument=Kind.WHOLE, low=1.0, high=64.0, default=1, unit="bars"),
        _action(
            "record",
            "records to a file; empty: a name of its own",
            argument=Kind.TEXT,
            high=float(LONGEST_TEXT),
            default="",
            unit="characters",
        ),
        _action("record/stop", "completes the recording"),
        _action("calibrate", "measures the round trip of the sound card"),
        _action("reset", "forgets the music so far: starts afresh at the next bar"),
        _action("panic", "silence, and start afresh"),
        _action("quit", "ends the program"),
    ]
    return MappingProxyType({knob.name: knob for knob in rows})


KNOBS: Mapping[str, Knob] = _table()
"""All of them by name, in display order."""
