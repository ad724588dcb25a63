"""How long each stage has been at work, over all its runs: written down while it works, so that a kill loses seconds."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

INTERVAL_SECONDS = 5.0
"""Seconds between two entries: the most that a killed stage forgets."""


class Times(NamedTuple):
    """What a stage has taken.

    Attributes:
      wall_seconds: while it ran.
      processor_seconds: of all its processes that have ended, and of itself.
    """

    wall_seconds: float = 0.0
    processor_seconds: float = 0.0


def times_path(directory: Path, stage: str) -> Path:
    """Where a stage's times are kept."""
    return directory / "times" / f"{stage}.json"


def read_times(directory: Path, stage: str) -> Times:
    """The times of a stage; zeros where it never ran."""
    path = times_path(directory, stage)
    return Times(**json.loads(path.read_text())) if path.exists() else Times()


class Stopwatch:
    """Runs while a stage does: `with Stopwatch(directory, "codec"): ...`."""

    def __init__(self, directory: Path, stage: str) -> None:
        """Goes on from what earlier runs of the stage have taken."""
        self._path = times_path(directory, stage)
        self._earlier = read_times(directory, stage)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, daemon=True)

    def __enter__(self) -> Stopwatch:
        self._started, self._processor_started = time.monotonic(), _processor_seconds()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _keep_writing(self) -> None:
        ended = False
        while not ended:
            ended = self._done.wait(INTERVAL_SECONDS)
            self._write()

    def _write(self) -> None:
        times = Times(
            self._earlier.wall_seconds + time.monotonic() - self._started,
            self._earlier.processor_seconds + _processor_seconds() - self._processor_started,
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({name: round(value, 1) for name, value in times._asdict().items()}))
        os.replace(temporary, self._path)


def _processor_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
