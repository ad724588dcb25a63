"""MIDI map: which control of a MIDI device turns which knob, and which note asks for which action. Pure but for its file.

{"format": "magenta_rt_py MIDI map", "version": 1,
 "controls": [{"knob": "temperature", "channel": 1, "control": 21, "low": 0.5, "high": 2.0, "curve": "linear"}],
 "notes": [{"action": "tap", "channel": 10, "note": 36, "value": null}]}
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

from magenta_rt_py.live.board import Kind, Knob
from magenta_rt_py.live.knobs import find

__all__ = ["ControlBinding", "MidiMap", "NoteBinding"]

FORMAT = "magenta_rt_py MIDI map"
VERSION = 1
HIGHEST = 127
"""Of controls, their values and notes. Source: MIDI 1.0."""
CURVES = ("linear", "log")
LOWEST_OF_LOG = 1e-6
"""Least end of a log curve: below it every step of a dial would be a jump, and near 0 the ratio of the ends overflows."""
ALL_CHANNELS = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlBinding:
    """A control (a slider, a dial) and the knob that it turns."""

    knob: str
    """Name of a knob that is a number, a whole number or a switch."""
    control: int
    """Number of the control change, 0 .. 127."""
    channel: int = ALL_CHANNELS
    """1 .. 16, as on the device; 0 listens to all."""
    low: float
    """The knob's value at the control's 0; may be above `high`, which turns the control around."""
    high: float
    """The knob's value at the control's 127."""
    curve: str = "linear"
    """"linear", or "log": equal ways are equal factors, for tempi; needs low and high of at least LOWEST_OF_LOG."""

    def __post_init__(self) -> None:
        knob = find(self.knob)
        if knob.kind in (Kind.TEXT, Kind.ACTION):
            raise ValueError(f"{self.knob} is {'an action; bind a note' if knob.kind is Kind.ACTION else 'a text'}")
        _check_whole("control", self.control, 0, HIGHEST)
        _check_whole("channel", self.channel, ALL_CHANNELS, 16)
        knob.check(self.low)
        knob.check(self.high)
        if self.curve not in CURVES:
            raise ValueError(f"curve is {self.curve!r}; give one of {', '.join(CURVES)}")
        if self.curve == "log" and min(self.low, self.high) < LOWEST_OF_LOG:
            said = f"a log curve for {self.knob} from {self.low:g} to {self.high:g}"
            raise ValueError(f"{said}; give two numbers of at least {LOWEST_OF_LOG:g}")

    def hears(self, channel: int, control: int) -> bool:
        """Whether it is about this control; channel 1 .. 16."""
        return control == self.control and self.channel in (ALL_CHANNELS, channel)

    def value_at(self, position: int) -> float | int | bool:
        """The knob's value where the control is at `position`, 0 .. 127."""
        share = position / HIGHEST
        if self.curve == "log":
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        value = min(max(value, min(self.low, self.high)), max(self.low, self.high))  # rounding must not leave the range
        kind = find(self.knob).kind
        return value >= 0.5 if kind is Kind.SWITCH else round(value) if kind is Kind.WHOLE else float(value)

    def position_of(self, value: float | int | bool) -> float:
        """Where the control would be, 0 .. 127, at a value of the knob; at its end if it cannot get there."""
        if self.low == self.high:
            return 0.0
        inside = min(max(float(value), min(self.low, self.high)), max(self.low, self.high))
        if self.curve == "log":
            return HIGHEST * math.log(inside / self.low) / math.log(self.high / self.low)
        return HIGHEST * (inside - self.low) / (self.high - self.low)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoteBinding:
    """A key or pad and the action that it asks for."""

    action: str
    """Name of an action."""
    note: int
    """0 .. 127."""
    channel: int = ALL_CHANNELS
    """1 .. 16, as on the device; 0 listens to all."""
    value: float | int | str | None = None
    """What goes with the action; None for its default."""

    def __post_init__(self) -> None:
        knob = find(self.action)
        if knob.kind is not Kind.ACTION:
            raise ValueError(f"{self.action} is no action; bind a control")
        _check_whole("note", self.note, 0, HIGHEST)
        _check_whole("channel", self.channel, ALL_CHANNELS, 16)
        knob.check(self.value)

    def hears(self, channel: int, note: int) -> bool:
        """Whether it is about this note; channel 1 .. 16."""
        return note == self.note and self.channel in (ALL_CHANNELS, channel)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MidiMap:
    """All bindings of a player's devices. A control may turn several knobs."""

    controls: tuple[ControlBinding, ...] = ()
    """In no order."""
    notes: tuple[NoteBinding, ...] = ()
    """In no order."""

    def with_control(self, knob: Knob, channel: int, control: int) -> MidiMap:
        """A copy in which the control turns this knob over its whole range, and nothing else; nor does another turn it.

        The tempo gets a log curve.
        """
        kept = tuple(each for each in self.controls if each.knob != knob.name and not each.hears(channel, control))
        curve = "log" if knob.name == "bpm" else "linear"
        added = ControlBinding(knob=knob.name, control=control, channel=channel, low=knob.low, high=knob.high, curve=curve)
        return dataclasses.replace(self, controls=(*kept, added))

    def with_note(self, action: Knob, channel: int, note: int, value: float | int | str | None) -> MidiMap:
        """A copy in which the note asks for this action, and nothing else; nor does another, with the same value."""
        kept = tuple(
            each
            for each in self.notes
            if (each.action, each.value) != (action.name, value) and not each.hears(channel, note)
        )
        added = NoteBinding(action=action.name, note=note, channel=channel, value=value)
        return dataclasses.replace(self, notes=(*kept, added))

    def save(self, path: str | os.PathLike) -> None:
        """Writes a JSON file; one that was there is replaced whole or not at all.

        Raises:
          OSError: it cannot be written.
        """
        entry = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}
        beside = Path(f"{os.fspath(path)}.part")
        beside.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> MidiMap:
        """Reads what `save` or a person wrote.

        Raises:
          ValueError: it is no MIDI map; says which entry is wrong.
          OSError: it cannot be read.
        """
        try:
            entry = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error}); give a file that MIDI learn has saved") from error
        if not isinstance(entry, dict) or (entry.get("format"), entry.get("version")) != (FORMAT, VERSION):
            raise ValueError(f"{path}: not a MIDI map of version {VERSION}; give a file that MIDI learn has saved")
        controls = _bindings(path, entry, "controls", ControlBinding)
        return cls(controls=controls, notes=_bindings(path, entry, "notes", NoteBinding))


def _bindings(path: str | os.PathLike, entry: dict[str, Any], key: str, kind: type[Any]) -> tuple[Any, ...]:
    """The entries of a file as bindings."""
    rows = entry.get(key, [])
    fields = {field.name for field in dataclasses.fields(kind)}
    needed = {field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING}
    found = []
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        if not isinstance(row, dict) or not needed <= set(row) <= fields:
            raise ValueError(f"{path}: {key}, entry {number}: give {', '.join(sorted(fields))}, and nothing else")
        try:
            found.append(kind(**_with_floats(row)))
        except ValueError as error:
            raise ValueError(f"{path}: {key}, entry {number}: {error}") from error
        except Exception as error:  # a text where a number belongs
            raise ValueError(f"{path}: {key}, entry {number} has a value of a wrong type; see docs/controls.md") from error
    return tuple(found)


def _with_floats(row: dict[str, Any]) -> dict[str, Any]:
    """People write 0 where 0.0 is meant."""
    ends = {key: float(row[key]) for key in ("low", "high") if type(row.get(key)) is int}
    return {**row, **ends}


def _check_whole(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; give a whole number from {low} to {high}")
