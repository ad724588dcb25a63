"""Reads runs: their records, and folders of the training loop that have none. Nothing found is ever a crash."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from magenta_rt_py.train.evaluation.units import cache_folder
from magenta_rt_py.train.metrics_log import METRICS_FILE, read_metrics

RECORD_FILE = "record.json"
RECORD_FORMAT = 1
CURVES_FILE = "losses.png"
SAMPLES_FOLDER = "samples"
LIVE_SECONDS = 600.0
"""A run that is not ended and was silent for longer than this has been cut off."""
TRAINING = ("loss", "mel")
"""What is shown of the training, the first that a run has; the codec's loops have no "loss" but its parts."""
HELD_OUT = ("eval/loss", "eval/nats_mean", "eval/top1")
"""What is shown of the evaluation on held-out data, the first that a run has."""
DEPTH = 3
"""How many folders below the given one runs are looked for."""

_FIELDS = {"format": int, "model": str, "parent": str, "data_hash": str, "config": dict, "status": str, "error": str,
           "sessions": list}  # fmt: skip
_SESSION_FIELDS = {"began": str, "ended": str, "first_step": int, "last_step": int | None, "source": dict, "machine": dict}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is known of one run."""

    # Its folder.
    directory: Path
    # running, finished, stopped, failed; cut off: neither ended nor alive; no record: a loop without a record wrote it;
    # broken: the record cannot be read.
    status: str
    # What is trained: codec, style, lm, refinement; for a run without a record its folder's name.
    model: str = ""
    # What it was finetuned from, if anything.
    parent: str = ""
    # Hash of the data, hexadecimal digits.
    data_hash: str = ""
    # What was chosen, as JSON.
    config: dict[str, Any] = field(default_factory=dict)
    # What stopped it, or why its record cannot be read.
    error: str = ""
    # Times, steps, source and machine of every uninterrupted stretch, oldest first.
    sessions: list[dict[str, Any]] = field(default_factory=list)
    # Lines of metrics.jsonl, oldest first.
    metrics: list[dict[str, int | float]] = field(default_factory=list)
    # When anything of the run was last written, seconds since 1970.
    touched_seconds: float = 0.0

    @property
    def began(self) -> str:
        """When it began, as an ISO date; of a run without a record, when it was last written."""
        return self.sessions[0]["began"] if self.sessions else _iso(self.touched_seconds)

    @property
    def step(self) -> int:
        """Steps taken."""
        recorded = [session["last_step"] for session in self.sessions[-1:] if session.get("last_step") is not None]
        return max([*recorded, *(int(line.get("step", 0)) for line in self.metrics[-1:])], default=0)

    @property
    def commit(self) -> str:
        """First digits of the commit of the last session, with a plus if files differed from it; "" if not known."""
        source = self.sessions[-1].get("source", {}) if self.sessions else {}
        return source.get("commit", "")[:8] + ("+" if source.get("changed") else "")

    @property
    def numbers(self) -> dict[str, int | float]:
        """The last value of everything that was measured, training and evaluation."""
        found: dict[str, int | float] = {}
        for line in self.metrics:
            found |= line
        return {name: value for name, value in found.items() if name != "step"}

    def last(self, measures: Sequence[str]) -> tuple[str, float] | None:
        """Name and last value of the first of some measures that the run has; None if it has none."""
        numbers = self.numbers
        return next(((name, float(numbers[name])) for name in measures if name in numbers), None)

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """(steps, values) of one measure."""
        lines = [line for line in self.metrics if name in line]
        return [float(line["step"]) for line in lines], [float(line[name]) for line in lines]

    @property
    def takes(self) -> list[Path]:
        """Sound files that were kept, in the order of their names."""
        return sorted((self.directory / SAMPLES_FOLDER).glob("*.flac"))


def runs_folder() -> Path:
    """Where runs go that nobody gave a place: in the user's cache folder."""
    return cache_folder().parent / "runs"


def is_run(directory: Path) -> bool:
    """Whether a folder is a run's: it holds a record, or a loop's metrics."""
    return (directory / RECORD_FILE).is_file() or (directory / METRICS_FILE).is_file()


def find_runs(directory: str | Path) -> list[Run]:
    """All runs in a folder and in folders below it, up to `DEPTH` deep, the oldest first.

    Raises:
      FileNotFoundError: there is no such folder.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"there is no folder {directory}; name one that holds runs")
    runs = [read_run(folder) for folder in _run_folders(directory, DEPTH)]
    return sorted(runs, key=lambda run: (run.began, run.directory))


def read_run(directory: str | Path) -> Run:
    """One run, whatever state its folder is in.

    Raises:
      FileNotFoundError: the folder is no run's.
    """
    directory = Path(directory)
    if not is_run(directory):
        raise FileNotFoundError(
            f"{directory} is no run: it has neither {RECORD_FILE} nor {METRICS_FILE}; `mrtpy runs` lists those that are"
        )
    metrics, touched = _metrics_of(directory), _touched(directory)
    model = directory.resolve().name
    if not (directory / RECORD_FILE).exists():
        return Run(directory=directory, status="no record", model=model, metrics=metrics, touched_seconds=touched)
    try:
        fields = read_record(directory)
    except ValueError as error:
        return Run(
            directory=directory, status="broken", model=model, error=str(error), metrics=metrics, touched_seconds=touched
        )
    if fields["status"] == "running" and time.time() - touched > LIVE_SECONDS:
        fields["status"] = "cut off"
    known = {name: fields[name] for name in _FIELDS if name != "format"}
    return Run(directory=directory, metrics=metrics, touched_seconds=touched, **known | {"model": fields["model"] or model})


def read_record(directory: Path) -> dict[str, Any]:
    """The record file as it stands.

    Raises:
      ValueError: it is no record, or of another format.
    """
    path = directory / RECORD_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}); remove it to keep the run's metrics alone") from error
    if not isinstance(fields, dict) or fields.get("format") != RECORD_FORMAT:
        found = fields.get("format") if isinstance(fields, dict) else type(fields).__name__
        raise ValueError(f"{path} has format {found!r}, expected {RECORD_FORMAT}; another version of mrtpy wrote it")
    wrong = _wrong_fields(fields, _FIELDS) or [
        f"sessions[{number}].{name}"
        for number, session in enumerate(fields["sessions"])
        for name in _wrong_fields(session, _SESSION_FIELDS)
    ]
    if wrong or not fields["sessions"]:
        missing = ", ".join(wrong) or "no session"
        raise ValueError(f"{path} is no whole record ({missing}); remove it to keep the run's metrics alone")
    return fields


def _wrong_fields(found: Any, expected: dict[str, Any]) -> list[str]:
    """Names of fields that are missing or of another type."""
    if not isinstance(found, dict):
        return ["?"]
    return [name for name, kind in expected.items() if not isinstance(found.get(name), kind)]


def _run_folders(directory: Path, depth: int) -> Iterator[Path]:
    if is_run(directory):
        yield directory
    if not depth:
        return
    try:
        below = sorted(entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return  # a folder that may not be read holds nothing for us
    for path in below:
        yield from _run_folders(Path(path), depth - 1)


def _metrics_of(directory: Path) -> list[dict[str, int | float]]:
    try:
        return [line for line in read_metrics(directory) if isinstance(line.get("step"), int)]
    except (OSError, UnicodeDecodeError):
        return []


def _touched(directory: Path) -> float:
    """The latest change to a file of the folder."""
    times = []
    for entry in os.scandir(directory):
        try:
            times.append(entry.stat().st_mtime)
        except OSError:
            continue  # replaced while we looked
    return max(times, default=0.0)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
