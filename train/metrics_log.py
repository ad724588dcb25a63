"""Where a run's numbers go: JSON lines for programs, TensorBoard for eyes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

METRICS_FILE = "metrics.jsonl"


class MetricsLog:
    """Appends one JSON object a line to `metrics.jsonl` and the same numbers to TensorBoard events.

    A resumed run first drops the lines beyond its checkpoint, so that the file reads as one
    uninterrupted run.
    """

    def __init__(self, directory: str | Path, *, resume_step: int = 0, tensorboard: bool = True) -> None:
        """Open the log in `directory`; keeps existing lines whose step is at most `resume_step`."""
        self._path = Path(directory) / METRICS_FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _keep_lines_until(self._path, resume_step)
        self._file = self._path.open("a", encoding="utf-8")
        self._writer = _open_tensorboard(self._path.parent, resume_step) if tensorboard else None

    def write(self, step: int, metrics: Mapping[str, object]) -> dict[str, float]:
        """Write numbers of one step; a vector `nats` becomes `nats_0`, `nats_1`, ... Returns what was written."""
        flat = flatten_metrics(metrics)
        self._file.write(json.dumps({"step": step, **flat}) + "\n")
        self._file.flush()
        if self._writer is not None:
            for name, value in flat.items():
                self._writer.add_scalar(name, value, step)
        return flat

    def close(self) -> None:
        """Flush and close both files."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_metrics(directory: str | Path) -> list[dict[str, int | float]]:
    """All lines of a run's `metrics.jsonl`, oldest first; empty where there is none.

    A line that a crash cut short is left out.
    """
    path = Path(directory) / METRICS_FILE
    if not path.exists():
        return []
    return [record for _, record in _whole_lines(path)]


def flatten_metrics(metrics: Mapping[str, object]) -> dict[str, float]:
    """Scalars as they are; vectors as one number per entry, named with its index."""
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        array = np.asarray(value, np.float64)
        if array.ndim == 0:
            flat[name] = float(array)
        else:
            flat.update({f"{name}_{index}": float(number) for index, number in enumerate(array.ravel())})
    return flat


def _keep_lines_until(path: Path, step: int) -> None:
    """Drop lines beyond `step`, and a last line that a crash cut short."""
    if not path.exists():
        return
    kept = [line for line, record in _whole_lines(path) if record.get("step", 0) <= step]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    os.replace(temporary, path)


def _whole_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines that hold an object, as text and as read."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            yield line, record


def _open_tensorboard(directory: Path, resume_step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        # JSON lines hold everything; a bare machine can train without the viewer's format.
        return None
    return SummaryWriter(str(directory), purge_step=resume_step + 1 if resume_step else None)
