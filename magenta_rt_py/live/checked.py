"""Checked: a generator whose answers are looked at before anybody plays them.

A model that brings no frames, or frames of another shape, fails with a line that says so; the engine then plays on from
backup, as after any failure. Without this, the first such frame would end the performance in the decoder.

Stateless but for the generator inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.generator import BatchGenerator, Generator, Kind, Request

__all__ = ["Checked", "CheckedBatch", "check_frames", "checked"]


class Checked:
    """A `Generator` around another."""

    def __init__(self, generator: Generator, *, levels: int | None) -> None:
        """Looks at every answer.

        Args:
          generator: of frames.
          levels: codes of a frame; None takes any number.
        """
        self._generator, self._levels = generator, levels

    def generate(self, request: Request) -> Sequence[Frame]:
        """See Generator.

        Raises:
          ValueError: the answer cannot be played.
        """
        return check_frames(self._generator.generate(request), self._levels)


class CheckedBatch(Checked):
    """A `BatchGenerator` around another."""

    def __init__(self, generator: BatchGenerator, *, levels: int | None) -> None:
        """See Checked."""
        super().__init__(generator, levels=levels)
        self._inner = generator

    def kind(self, request: Request) -> Kind:
        """See BatchGenerator."""
        return self._inner.kind(request)

    def begin(self, request: Request) -> Any:
        """See BatchGenerator."""
        return self._inner.begin(request)

    def run(self, parts: Sequence[Any]) -> Sequence[Any]:
        """See BatchGenerator."""
        return self._inner.run(parts)

    def end(self, request: Request, made: Any) -> Sequence[Frame]:
        """See BatchGenerator.

        Raises:
          ValueError: the answer cannot be played.
        """
        return check_frames(self._inner.end(request, made), self._levels)


def checked(generator: Generator, *, levels: int | None) -> Checked:
    """The generator, looked at; one that can serve several at once still can."""
    if isinstance(generator, BatchGenerator):
        return CheckedBatch(generator, levels=levels)
    return Checked(generator, levels=levels)


def check_frames(frames: Sequence[Frame] | None, levels: int | None) -> list[Frame]:
    """The frames, if they can be played.

    Args:
      frames: an answer; more than were asked for are cut elsewhere.
      levels: codes of a frame; None takes any number.
    Raises:
      ValueError: says what is wrong with them.
    """
    known = [] if frames is None else list(frames)
    if not known:
        raise ValueError(f"the model brought {'None' if frames is None else 'no frames'}; expected a list of frames")
    for place, frame in enumerate(known):
        if not isinstance(frame, Frame):
            raise ValueError(f"the model brought a {type(frame).__name__} for frame {place}; expected a Frame")
        codes = frame.codes
        if not isinstance(codes, np.ndarray) or codes.ndim != 1 or codes.dtype.kind not in "iu":
            what = f"{codes.dtype} {codes.shape}" if isinstance(codes, np.ndarray) else type(codes).__name__
            raise ValueError(f"the codes of frame {place} are {what}; expected a row of whole numbers")
        if levels is not None and len(codes) != levels:
            raise ValueError(f"frame {place} has {len(codes)} codes; expected {levels}")
        is_unknown = math.isnan(frame.beat) and math.isnan(frame.bpm)
        if not (is_unknown or (math.isfinite(frame.beat) and math.isfinite(frame.bpm))):
            raise ValueError(f"frame {place} is at beat {frame.beat}, {frame.bpm} bpm; expected finite numbers, or no beat")
    return known
