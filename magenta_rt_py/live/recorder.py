"""Recorder: records what is played, on a thread of its own. Whatever happens to the file, the music goes on.

    audio thread   write(block) -> bounded queue ->   recorder's thread   file, flushed every second

Stateful shell; the file itself is `recording_file.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live.recording_file import RecordingFile, check_suffix, explain

__all__ = ["Recorder", "RecorderStatus"]

POLL_SECONDS = 0.05
"""The thread looks into the queue so often; the audio thread never has to wake it, and takes no lock."""
SILENCE_SAMPLES = 48_000  # lost sound is filled in so much at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecorderStatus:
    """What has become of a recording."""

    is_recording: bool
    """Whether it goes on."""
    recorded_samples: int
    """Samples in the file; after a problem, those that can surely be played."""
    lost_samples: int
    """Samples the disk was too slow for; silence stands in their place, so that the file keeps time."""
    problem: str | None
    """Why it stopped, in one line; None if it goes on or was stopped by `stop`."""


class Recorder:
    """A recording in progress. `write` belongs to the audio thread; the rest may be called from any other."""

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        sample_rate: int = 48_000,
        channels: int = 2,
        queue_seconds: float = 20.0,
        flush_seconds: float = 1.0,
        on_problem: Callable[[str], None] | None = None,
    ):
        """Starts recording. A file that cannot be made is a problem of the recording (`status`), not an error here.

        Args:
          path: a new .flac or .wav file, 24 bits.
          sample_rate: samples a second.
          channels: 1 or 2.
          queue_seconds: how long the disk may stand still before sound is lost.
          flush_seconds: how much is lost at most if the process is killed (for FLAC a tenth of a second more).
          on_problem: told the line that says why the recording stopped, on the recorder's thread.
        Raises:
          ValueError: another suffix.
        """
        self._path = Path(path)
        check_suffix(self._path)
        self._sample_rate, self._channels = sample_rate, channels
        self._queue: deque[tuple[int, np.ndarray]] = deque()  # (samples lost before it, block)
        self._most_queued = round(queue_seconds * sample_rate)
        self._flush_seconds = flush_seconds
        self._on_problem = on_problem
        # Each count is written by one thread alone: the first three by the audio thread.
        self._put = self._lost = self._lost_since = 0
        self._taken = self._recorded = 0
        self._problem: str | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def write(self, samples: Float[np.ndarray, "samples channels"]) -> bool:
        """Takes the next samples that are played. Never waits, never fails.

        Args:
          samples: copied, so that the block may be used again.
        Returns:
          whether they will be recorded.
        """
        if self._problem is not None or self._ending.is_set():
            return False
        if self._put - self._taken + len(samples) > self._most_queued:
            self._lost_since += len(samples)
            self._lost += len(samples)
            return False
        self._queue.append((self._lost_since, samples.copy()))
        self._lost_since = 0
        self._put += len(samples)
        return True

    def stop(self, *, timeout_seconds: float = 10.0) -> RecorderStatus:
        """Completes the file.

        Args:
          timeout_seconds: how long to wait for a slow disk; after that the file holds what it holds.
        """
        self._ending.set()
        self._thread.join(timeout_seconds)
        if self._thread.is_alive() and self._problem is None:
            self._problem = f"recording to {self._path} is incomplete: the disk did not answer in {timeout_seconds:g} s"
        return self.status

    @property
    def status(self) -> RecorderStatus:
        """How the recording is doing."""
        return RecorderStatus(
            is_recording=self._problem is None and not self._ending.is_set(),
            recorded_samples=self._recorded,
            lost_samples=self._lost,
            problem=self._problem,
        )

    def _work(self) -> None:
        file = None
        try:
            file = RecordingFile(self._path, sample_rate=self._sample_rate, channels=self._channels)
            self._record(file)
            file.close()
            self._recorded = file.samples
        except Exception as error:  # a recorder that dies silently would be worse than any of them
            self._fail(file, error)

    def _record(self, file: RecordingFile) -> None:
        flushed_at = time.monotonic()
        while True:
            ending = self._ending.is_set()  # before the queue is emptied, so that nothing is left in it
            while self._queue:
                lost, samples = self._queue.popleft()
                self._fill(file, lost)
                file.append(samples)
                self._taken += len(samples)
                self._recorded = file.samples
                flushed_at = self._flush(file, flushed_at)
            if ending:
                self._fill(file, self._lost_since)
                return
            flushed_at = self._flush(file, flushed_at)
            self._ending.wait(POLL_SECONDS)

    def _flush(self, file: RecordingFile, flushed_at: float) -> float:
        """Makes what was written playable if it is time; when that was done last."""
        now = time.monotonic()
        if now - flushed_at < self._flush_seconds or file.safe_samples == file.samples:
            return flushed_at
        file.flush()
        return now

    def _fill(self, file: RecordingFile, lost: int) -> None:
        """Silence in place of lost samples."""
        while lost > 0:
            count = min(lost, SILENCE_SAMPLES)
            file.append(np.zeros((count, self._channels), np.float32))
            lost -= count

    def _fail(self, file: RecordingFile | None, error: Exception) -> None:
        kept = 0
        if file is not None:
            with contextlib.suppress(OSError):  # then the file is as it was flushed
                file.abandon()
            kept = file.safe_samples
        self._recorded = kept
        self._problem = (
            f"recording to {self._path} stopped, the music goes on: {explain(self._path, error)}; "
            f"{kept / self._sample_rate:.1f} s are kept; make room or choose another place and record again"
        )
        self._queue.clear()
        if self._on_problem is not None:
            self._on_problem(self._problem)
