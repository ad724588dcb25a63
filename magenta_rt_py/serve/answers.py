"""Answers: the text messages that the server sends, as JSON. docs/live-protocol.md tells what each means.

Nobody else writes such JSON: so every message has all of its fields, and what is no number (a delay that is not known yet)
is null. Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from magenta_rt_py.live.knobs import KNOBS, Knob
from magenta_rt_py.live.session_parts import SessionStatus

__all__ = [
    "calibrated",
    "changed",
    "ended",
    "pong",
    "recording",
    "refused",
    "reopened",
    "resumed",
    "said",
    "status",
    "waiting",
    "welcome",
]

SAMPLES_A_SECOND = 48_000
FRAME_SAMPLES = 1920


def welcome(
    *,
    session: str,
    opening: int,
    position: int,
    values: Mapping[str, Any],
    sequence: int,
    capabilities: Mapping[str, Any],
    limits: Mapping[str, Any],
    suggestions: Sequence[str],
    bundle: str,
    knobs: Mapping[str, Knob] = KNOBS,
) -> str:
    """A seat was taken.

    Args:
      session: the seat's name.
      opening: of the page card.
      position: device sample that the sound begins with.
      values: what all knobs stand at.
      sequence: of these settings.
      capabilities: what the model can do.
      limits: what the server allows.
      suggestions: prompts that the bundle knows.
      bundle: its name.
      knobs: all of them.
    """
    table = [
        {
            "name": knob.name,
            "kind": knob.kind.value,
            "low": knob.low,
            "high": knob.high,
            "default": knob.default,
            "unit": knob.unit,
            "help": knob.help,
            "argument": None if knob.argument is None else knob.argument.value,
        }
        for knob in knobs.values()
    ]
    fields = {
        "session": session,
        "sample_rate": SAMPLES_A_SECOND,
        "frame_samples": FRAME_SAMPLES,
        "opening": opening,
        "position": position,
        "knobs": table,
        "values": values,
        "sequence": sequence,
        "capabilities": capabilities,
        "limits": limits,
        "suggestions": suggestions,
        "bundle": bundle,
    }
    return _write("welcome", fields)


def waiting(place: int, waiting: int) -> str:
    """All seats are taken; `place` in a line of `waiting`, 1 is the next."""
    return _write("waiting", {"place": place, "waiting": waiting})


def resumed(opening: int, position: int) -> str:
    """The sound goes on where the page asked for."""
    return _write("resumed", {"opening": opening, "position": position})


def reopened(opening: int) -> str:
    """The page lost its place: the sound goes on in another opening, from position 0."""
    return _write("reopened", {"opening": opening})


def changed(sequence: int, source: str, values: Mapping[str, Any], *, id: int | str | None = None) -> str:
    """Knobs stand elsewhere now; `id` of the message that did it, None if none of this client's."""
    return _write("changed", {"sequence": sequence, "source": source, "values": values, "id": id})


def refused(reason: str, *, id: int | str | None = None) -> str:
    """Something was not done; `id` of the message that asked for it, None if it had none."""
    return _write("refused", {"id": id, "reason": " ".join(reason.split())})


def status(
    session: SessionStatus,
    *,
    lead_seconds: float,
    opening: int,
    position: int,
    prompts: Sequence[str],
    live_prompt_age_seconds: float | None = None,
    device_rtf: float | None = None,
    device_problem: str | None = None,
) -> str:
    """How it is going.

    Args:
      session: its fields stand in the message by their names, those of its card with `card_` in front. Of the recording
        only the file's name is told. What is not known yet is null.
      lead_seconds: as it is set.
      opening: of the page card.
      position: device sample that the page plays.
      prompts: of every slot: "ready", "reading", "failed", or "empty", which is left out.
      live_prompt_age_seconds: since what the live prompt goes by was played; None without one.
      device_rtf: of the model, for all sessions together.
      device_problem: why the model does not answer.
    """
    fields = session._asdict()
    card = fields.pop("card")._asdict()
    if fields["recording"] is not None:
        fields["recording"] = PurePath(fields["recording"]).name
    fields |= {f"card_{name}": value for name, value in card.items()}
    fields |= {
        "lead_seconds": lead_seconds,
        "opening": opening,
        "position": position,
        "prompts": [{"slot": slot, "state": state} for slot, state in enumerate(prompts, 1) if state != "empty"],
        "live_prompt_age_seconds": live_prompt_age_seconds,
        "device_rtf": device_rtf,
        "device_problem": device_problem,
    }
    return _write("status", fields)


def said(text: str) -> str:
    """A line for the performer."""
    return _write("said", {"text": text})


def recording(
    state: str, id: str, seconds: float, files: Sequence[tuple[str, str]] = (), *, problem: str | None = None
) -> str:
    """How a recording is going.

    Args:
      state: "recording", "done" or "failed".
      id: of the recording.
      seconds: that are in it.
      files: name for people and address of each, once it is complete.
      problem: why it failed.
    """
    shown = [{"name": name, "url": url} for name, url in files]
    return _write("recording", {"state": state, "id": id, "seconds": seconds, "files": shown, "problem": problem})


def calibrated(samples: int | None, reason: str = "") -> str:
    """A calibration has ended: the round trip in samples, or None and why there is none."""
    return _write("calibrated", {"samples": samples, "reason": reason})


def ended(reason: str) -> str:
    """The performance is over."""
    return _write("ended", {"reason": reason})


def pong(at: float) -> str:
    """The answer to a ping."""
    return _write("pong", {"at": at})


def _write(kind: str, fields: Mapping[str, Any]) -> str:
    return json.dumps({"type": kind, **_plain(fields)}, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """The value as JSON has it: what is no finite number is null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
