"""Frame: one codec frame as the live engine plays it, and what the next frames are to be like. Immutable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from magenta_rt_py.live.transport import TempoPoint, Transport

__all__ = ["Conditioning", "Frame", "frames_from_json", "frames_to_json"]


class Frame(NamedTuple):
    """What a unit of the codec language model is made of: all that a later request must know of it."""

    codes: Int[np.ndarray, "levels"]
    """As many levels as the language model makes."""
    beat: float
    """Position of the transport at its start, in beats, as it was made; NaN if it is unknown: of sound from elsewhere, or
    that was made without the clock."""
    bpm: float
    """Tempo there; NaN if it is unknown."""


class Conditioning(NamedTuple):
    """What a request is made with: the performer's controls as the model reads them, resolved."""

    temperature: float
    top_k: int
    guidance_weight: float
    input_guidance_weight: float
    """Weight of the guidance towards what the performer plays; 0 is off."""
    style: tuple[int, ...] | None
    """Style codes; None is the masked style."""
    transport: Transport
    """Beat and tempo of every stream frame."""
    has_clock: bool = True
    """Whether the model is told beat and tempo."""
    adapter_strength: float | None = None
    """Of a finetuned bundle's adapters, 0 .. 2; None is the bundle's own. Other bundles do not read it."""

    def to_json(self) -> dict[str, Any]:
        """For the event log: what a generator reads comes back the same to the last bit; of the transport, its points."""
        return {**self._asdict(), "transport": [list(point) for point in self.transport.points]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Conditioning:
        """What `to_json` gave."""
        style = data["style"]
        return cls(
            temperature=data["temperature"],
            top_k=data["top_k"],
            guidance_weight=data["guidance_weight"],
            input_guidance_weight=data["input_guidance_weight"],
            style=None if style is None else tuple(style),
            transport=Transport(points=tuple(TempoPoint(*point) for point in data["transport"])),
            has_clock=data.get("has_clock", True),  # logs of before there was such a knob
            adapter_strength=data.get("adapter_strength"),  # likewise
        )


def frames_to_json(frames: tuple[Frame | None, ...]) -> list[Any]:
    """Frames for a file, null where there is none, or no beat; comes back the same to the last bit."""
    return [None if frame is None else [frame.codes.tolist(), _or_none(frame.beat), _or_none(frame.bpm)] for frame in frames]


def frames_from_json(data: list[Any]) -> tuple[Frame | None, ...]:
    """What `frames_to_json` gave."""
    return tuple(
        None if entry is None else Frame(np.array(entry[0], np.int32), _or_nan(entry[1]), _or_nan(entry[2]))
        for entry in data
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
