"""Journal: writes down what a session does, on a thread of its own, so that no disk ever holds up the music.

    header    seed at the start, bundle, the ten seconds before the first frame
    request   what the model was asked, with everything it depends on        at its answer
    play      from this frame on, the answer to this request is played, from this place in it
    turn      another past: a snapshot, a rewind
    output    volume, a concealment, coarse sound, sound made together with others'; a checksum of every ten seconds

Stateful; any thread may call it. `replay.py` reads it.
"""

from __future__ import annotations

import base64
import os
import queue
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.live.event_log import EventLog
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.timeline import Slot

__all__ = ["Journal", "pack_codes", "unpack_codes"]

CHECK_SAMPLES = 10 * 48_000


class Journal:
    """The event log of one session.

    Attributes:
      log: the file, with its problem if it has one.
      problem: what went wrong in the last of other work (`later`), in one line; None if all is well.
    """

    def __init__(self, path: str | os.PathLike | None, header: Mapping[str, Any]) -> None:
        """Begins.

        Args:
          path: of a new file; None writes nothing.
          header: what a replay must know first.
        """
        self.log = None if path is None else EventLog(path, header)
        self.problem: str | None = None
        self._work: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._playing: tuple[int, int] | None = None
        self._crc, self._checked = 0, 0
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def event(self, sample: int, kind: str, data: Mapping[str, Any]) -> None:
        """Writes one event down, soon."""
        log = self.log
        if log is not None:
            self._work.put(lambda: log.append(max(sample, 0), kind, data))

    def later(self, work: Callable[[], Any]) -> None:
        """Does something else that waits for a disk; what goes wrong there is `problem`, and the log goes on."""

        def do() -> None:
            try:
                work()
                self.problem = None
            except Exception as error:
                what = " ".join(str(error).split())[:300]
                self.problem = f"a file could not be written, the music goes on: {type(error).__name__}: {what}"

        self._work.put(do)

    def request(self, sample: int, request: Request, heard: Int[np.ndarray, "context levels"] | None) -> None:
        """A request was answered."""
        data = {
            "number": request.number,
            "start": request.start,
            "length": request.length,
            "sequence": request.sequence,
            "seed": request.seed,
            "conditioning": request.controls.to_json(),
            "heard": None if heard is None else pack_codes(heard),
        }
        if request.batch is not None and request.batch[0] > 1:
            data["batch"] = list(request.batch)
        self.event(sample, "request", data)

    def play(self, sample: int, unit: int, slot: Slot) -> None:
        """A unit is played; written down where it does not simply follow the one before."""
        if self._playing != (slot.request, slot.index):
            self.event(sample, "play", {"unit": unit, "request": slot.request, "index": slot.index})
        self._playing = (slot.request, slot.index + 1)

    def heard(self, sample: int, samples: Float[np.ndarray, "samples 2"]) -> None:
        """What went out, for the checksum."""
        self._crc = zlib.crc32(np.ascontiguousarray(samples, np.float32).tobytes(), self._crc)
        if sample + len(samples) - self._checked >= CHECK_SAMPLES:
            self._checked = sample + len(samples)
            self.event(self._checked, "check", {"crc": self._crc})

    def end(self, sample: int, unit: int) -> None:
        """The performance ends before a unit, after an output sample."""
        self.event(sample, "check", {"crc": self._crc})
        self.event(sample, "end", {"unit": unit})

    def close(self, *, timeout_seconds: float = 5.0) -> None:
        """Writes what is left."""
        self._work.put(None)
        self._thread.join(timeout_seconds)
        if self.log is not None:
            self.log.close()

    def _write(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception as error:  # the thread must outlive anything a disk does
                if self.log is not None and self.log.problem is None:
                    self.log.problem = f"the event log missed something: {type(error).__name__}: {error}"


def pack_codes(codes: Int[np.ndarray, "frames levels"]) -> dict[str, Any]:
    """Codes as a short text for a log."""
    packed = zlib.compress(np.ascontiguousarray(codes, np.int16).tobytes(), 6)
    return {"shape": list(codes.shape), "packed": base64.b64encode(packed).decode()}


def unpack_codes(data: Mapping[str, Any]) -> Int[np.ndarray, "frames levels"]:
    """What `pack_codes` was given.

    Raises:
      ValueError: it is none of it.
    """
    try:
        raw = zlib.decompress(base64.b64decode(data["packed"]))
    except zlib.error as error:
        raise ValueError(f"packed codes are damaged: {error}") from error
    return np.frombuffer(raw, np.int16).reshape(data["shape"]).astype(np.int32)
