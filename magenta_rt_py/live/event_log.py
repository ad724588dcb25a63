"""Event log: what happened in a performance, one JSON object a line, each with the stream sample at which it took effect.

    {"format": "magenta_rt_py event log", "version": 1, "header": {"seed": 7, ...}}
    {"sample": 96000, "event": "controls", "data": {"temperature": 1.1}}

It is only ever added to, and every line reaches the system before `append` returns: a killed process loses nothing, and a
line torn by a crash is the last one, which readers leave out. Numbers come back as the same numbers, to the last bit.
EventLog is a stateful shell; the reading functions are plain.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from magenta_rt_py.live.recording_file import explain

__all__ = ["Event", "EventLog", "read_events", "read_header"]

FORMAT = "magenta_rt_py event log"
VERSION = 1


class Event(NamedTuple):
    """One thing that happened."""

    sample: int
    """Stream sample at which it took effect."""
    kind: str
    """What it was: "controls", "underrun", ..."""
    data: dict[str, Any]
    """All that is needed to do it again."""


class EventLog:
    """A log that is being written. May be used by several threads, not by the audio thread: it waits for the disk.

    Attributes:
      problem: why nothing more is logged, in one line; None while all is well. A log with a hole would replay something
        else, so the first failure ends it; the music goes on.
    """

    def __init__(self, path: str | os.PathLike, header: Mapping[str, Any]):
        """Begins a log, in a new file.

        Args:
          path: of the file; one that exists is left alone, and is a problem.
          header: what a replay must know before the first event: seed, model, rates.
        Raises:
          ValueError: the header is not JSON.
        """
        first = _line({"format": FORMAT, "version": VERSION, "header": dict(header)})
        self._start(Path(path), "xb")
        self._write(first)

    @classmethod
    def resume(cls, path: str | os.PathLike) -> EventLog:
        """Goes on with the log of a performance that crashed; a torn last line is taken off first.

        Raises:
          ValueError: the file is no event log, or is damaged.
          OSError: it cannot be read or written.
        """
        whole = 0
        read_header(path)
        for line, _ in _whole_lines(Path(path)):
            whole += len(line)
        os.truncate(path, whole)
        log = cls.__new__(cls)
        log._start(Path(path), "ab")
        return log

    def append(self, sample: int, kind: str, data: Mapping[str, Any] | None = None) -> bool:
        """Adds an event.

        Args:
          sample: stream sample at which it takes effect.
          kind: what it is.
          data: JSON values; NumPy numbers and arrays become numbers and lists.
        Returns:
          whether it is in the log.
        Raises:
          ValueError: the sample is below 0, or the data is not JSON (NaN and infinite numbers are not).
        """
        if sample < 0:
            raise ValueError(f"an event at stream sample {sample}; give 0 or more")
        return self._write(_line({"sample": int(sample), "event": kind, "data": dict(data or {})}))

    def close(self) -> None:
        """Ends the log. Adding to it afterwards is a problem, not an error."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _start(self, path: Path, mode: str) -> None:
        self._path, self._lock, self._file = path, threading.Lock(), None
        self.problem: str | None = None
        try:
            self._file = open(path, mode, buffering=0)  # noqa: SIM115 - it stays open for the whole performance
        except FileExistsError:
            self._fail("it exists already; give another name, or resume it")
        except OSError as error:
            self._fail(explain(path, error))

    def _write(self, line: bytes) -> bool:
        with self._lock:
            if self.problem is None and self._file is None:
                self._fail("it is closed")
            if self.problem is not None or self._file is None:
                return False
            before = self._file.tell()
            try:
                written = self._file.write(line)
                if written == len(line):
                    return True
                reason = "the disk is full"
            except OSError as error:
                reason = explain(self._path, error)
            self._fail(reason)
            with contextlib.suppress(OSError):  # else the last line is torn, as after a crash
                self._file.truncate(before)
            return False

    def _fail(self, reason: str) -> None:
        self.problem = f"event log {self._path} stopped, the music goes on and cannot be replayed from here: {reason}"


def read_header(path: str | os.PathLike) -> dict[str, Any]:
    """What the log says before its first event.

    Raises:
      ValueError: the file is no event log, or one of another version.
    """
    for _, first in _whole_lines(Path(path)):
        if not isinstance(first, dict) or first.get("format") != FORMAT:
            break
        if first.get("version") != VERSION:
            version = first.get("version")
            raise ValueError(f"{path}: event log of version {version!r}, expected {VERSION}; replay it with its program")
        return dict(first["header"])
    raise ValueError(f"{path}: not an event log; give a .jsonl file that a performance wrote")


def read_events(path: str | os.PathLike) -> Iterator[Event]:
    """The events in the order in which they were logged; a torn last line is left out.

    Raises:
      ValueError: the file is no event log, or a line before the last is damaged.
    """
    read_header(path)
    for number, (_, entry) in enumerate(_whole_lines(Path(path)), 1):
        if number == 1:
            continue
        try:
            yield Event(entry["sample"], entry["event"], entry["data"])
        except (TypeError, KeyError) as error:
            raise ValueError(f"{path}: line {number} is no event; replay a copy that ends before it") from error


def _whole_lines(path: Path) -> Iterator[tuple[bytes, Any]]:
    """Lines with what they say; what a crash left after the last whole line is left out."""
    with open(path, "rb") as file:
        torn: tuple[int, Exception] | None = None
        for number, line in enumerate(file, 1):
            if torn is not None:
                raise ValueError(f"{path}: line {torn[0]} is damaged; replay a copy that ends before it") from torn[1]
            try:
                if line.endswith(b"\n"):
                    yield line, json.loads(line)
            except ValueError as error:  # not JSON, or not even text
                torn = number, error


def _line(entry: dict[str, Any]) -> bytes:
    try:
        return json.dumps(entry, allow_nan=False, default=_plain).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"event log entry is not JSON ({error}); give finite numbers, text, lists and dicts") from error


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")
