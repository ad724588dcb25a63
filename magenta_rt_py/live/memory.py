"""Memory: the frames of the performance so far, for snapshots and rewinds, and what a restart goes on from.

    frame   -250 ............ 0 .................... now
            what came before  | played, whatever past the model believed in

Stateful; one thread uses it.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from magenta_rt_py.live.frame import Frame, frames_from_json, frames_to_json
from magenta_rt_py.live.transport import Transport

__all__ = ["Checkpoint", "Memory", "read_checkpoint", "write_checkpoint"]

KEPT_FRAMES = 20 * 60 * 25
"""Twenty minutes."""
CONTEXT_FRAMES = 250
FORMAT = "magenta_rt_py checkpoint"


class Memory:
    """The last twenty minutes."""

    def __init__(self, past: Sequence[Frame | None] = ()) -> None:
        """Begins at frame 0, after `past`."""
        self._frames: deque[Frame | None] = deque(past, maxlen=KEPT_FRAMES)
        self.end = 0
        """Frames so far."""

    def add(self, frame: Frame) -> None:
        """The next frame was played."""
        self._frames.append(frame)
        self.end += 1

    def before(self, frame: int) -> tuple[Frame | None, ...]:
        """The ten seconds before a frame; less if no more are kept.

        Raises:
          ValueError: nothing before that frame is kept.
        """
        first = self.end - len(self._frames)
        if not first < frame <= self.end:
            raise ValueError(f"frame {frame} is not in memory; give {first + 1} .. {self.end}")
        last = frame - first
        return tuple(self._frames[place] for place in range(max(0, last - CONTEXT_FRAMES), last))


def bar_line_before(transport: Transport, frame: float | int, *, bars: int = 0) -> int:
    """The frame in which the last bar line not after `frame` lies, or one so many bars earlier."""
    length = transport.beats_per_bar
    beat = (math.floor(transport.beat_at(frame) / length + 1e-9) - bars) * length
    return math.ceil(transport.frame_at(float(beat)) - 1e-6)


def bar_line_after(transport: Transport, frame: float | int) -> int:
    """The frame in which the first bar line not before `frame` lies."""
    return math.ceil(transport.next_bar(float(frame)) - 1e-6)


class Checkpoint(NamedTuple):
    """What a performance is taken up from after a crash."""

    past: tuple[Frame | None, ...]
    """The ten seconds before."""
    settings: dict
    """The knobs."""
    beat: float
    """Position of the transport after them."""
    bpm: float


def write_checkpoint(path: str | os.PathLike, checkpoint: Checkpoint) -> None:
    """Writes the file whole or not at all; raises OSError if the disk does not take it."""
    data = {"format": FORMAT, **checkpoint._asdict(), "past": frames_to_json(checkpoint.past)}
    part = Path(path).with_suffix(".part")
    part.write_text(json.dumps(data), encoding="utf-8")
    os.replace(part, path)


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """What was written last.

    Raises:
      ValueError: the file is no checkpoint.
      OSError: it cannot be read.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data.get("format") != FORMAT:
            raise ValueError("another kind of file")
        read = Checkpoint(frames_from_json(data["past"]), dict(data["settings"]), float(data["beat"]), float(data["bpm"]))
        if not (math.isfinite(read.beat) and math.isfinite(read.bpm)):
            raise ValueError("its beat or tempo is no number")
        return read
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{path}: no checkpoint of a performance ({error}); start without --resume") from error
