"""Writes a run's record: begun before the first step, renewed at the end, whole on disk at any moment."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from magenta_rt_py.errors import MissingExtraError
from magenta_rt_py.train.disk import write_whole
from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.runs.curves import draw_curves
from magenta_rt_py.train.runs.provenance import machine_state, source_state
from magenta_rt_py.train.runs.run import CURVES_FILE, RECORD_FILE, RECORD_FORMAT, SAMPLES_FOLDER, read_record, read_run
from magenta_rt_py.train.runs.settings import differences, plain


class RunRecord:
    """The record of one run while it goes on. Make it with `begin`; use it as a context manager.

    Leaving the context by an exception is written down too: Ctrl-C and SIGTERM as "stopped", which is no fault, anything
    else as "failed" with its message. On several hosts only the first writes; the others' records do nothing.

    Attributes:
      directory: the run's folder.
    """

    def __init__(self, directory: Path, fields: dict[str, Any], *, writes: bool) -> None:
        """For `begin`."""
        self.directory = directory
        self._fields, self._writes = fields, writes

    @classmethod
    def begin(
        cls, directory: str | Path, config: Any, data_hash: str = "", *, model: str = "", parent: str = ""
    ) -> RunRecord:
        """Begins the record in `directory`, or goes on with the one that is there.

        Args:
          directory: the run's folder; made where it is missing.
          config: everything that was chosen: a dataclass, or a mapping of names to dataclasses and values. What JSON has
            no form for is written as its text.
          data_hash: of the data that is trained on, as hexadecimal digits; see `data_hash.py`.
          model: what is trained: codec, style, lm, refinement.
          parent: what it was finetuned from: a bundle's name or checksum.
        Returns:
          the record, already on disk.
        Raises:
          OSError: the folder cannot be written.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        fields = {"format": RECORD_FORMAT, "model": model, "parent": parent, "data_hash": data_hash, "config": plain(config)}
        fields |= {"status": "running", "error": "", "sessions": []}
        writes = jax.process_index() == 0
        before = _earlier(directory) if writes else None
        session = {"began": _now(), "ended": "", "first_step": _last_step(directory), "last_step": None}
        session |= {"source": source_state(), "machine": machine_state()}
        if before:
            # The record shows how the run goes on; what was otherwise before is kept with the session that changed it.
            changed = differences({"config": before["config"], "data_hash": before["data_hash"]},
                                  {"config": fields["config"], "data_hash": data_hash})  # fmt: skip
            fields["sessions"] = before["sessions"]
            session["changed_settings"] = {name: list(pair) for name, pair in changed.items()}
        fields["sessions"] = [*fields["sessions"], session]
        record = cls(directory, fields, writes=writes)
        record._write()
        return record

    def take(self, name: str, samples: Float[np.ndarray, "samples channels"], sample_rate: int) -> Path:
        """Keeps a take as `samples/NAME.flac`, with its spectrogram beside it where matplotlib is installed.

        Args:
          name: of the file, without an ending: "step-1000-techno".
          samples: float, full scale at 1.
          sample_rate: in Hz.
        Raises:
          ValueError: the name would lead out of the folder.
        """
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"got {name!r} as a take's name; give a plain file name without an ending, such as 'step-1000'")
        from magenta_rt_py import audio
        from magenta_rt_py.plot import save_spectrogram

        path = self.directory / SAMPLES_FOLDER / f"{name}.flac"
        if not self._writes:
            return path
        path.parent.mkdir(exist_ok=True)
        audio.write(path, samples, sample_rate)
        with contextlib.suppress(MissingExtraError):  # the take itself is what counts
            save_spectrogram(path.with_name(f"{name}.png"), samples, sample_rate, title=name)
        return path

    def finish(self, state: Any = None) -> None:
        """Writes that the run is done, and draws its curves.

        Args:
          state: a `train.loop.TrainState`, whose step is the last; None takes the last line of metrics for it.
        """
        self._end("finished", step=None if state is None else int(state.step))

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            if self._fields["status"] == "running":
                self.finish()
        elif isinstance(error, KeyboardInterrupt | SystemExit):
            self._end("stopped")
        else:
            self._end("failed", error=f"{type(error).__name__}: {error}")

    def _end(self, status: str, *, step: int | None = None, error: str = "") -> None:
        session = self._fields["sessions"][-1]
        session |= {"ended": _now(), "last_step": _last_step(self.directory) if step is None else step}
        self._fields |= {"status": status, "error": error}
        self._write()
        if self._writes:
            self._draw()

    def _draw(self) -> None:
        """The curves, where matplotlib is installed and there is anything to draw."""
        # A run without a picture is still a run, and its record is written; `mrtpy runs show --plot` says what is missing.
        with contextlib.suppress(MissingExtraError, ValueError, OSError):
            draw_curves(self.directory / CURVES_FILE, [read_run(self.directory)])

    def _write(self) -> None:
        """Replaces the file in one step, forced to disk: a machine that is taken away leaves the old or the new one."""
        if not self._writes:
            return
        write_whole(self.directory / RECORD_FILE, json.dumps(self._fields, indent=1, allow_nan=False).encode())


def _earlier(directory: Path) -> dict[str, Any] | None:
    """The record of earlier sessions; a broken one is put aside, because training must not wait for it."""
    path = directory / RECORD_FILE
    if not path.exists():
        return None
    try:
        return read_record(directory)
    except ValueError:
        os.replace(path, path.with_suffix(".broken.json"))
        return None


def _last_step(directory: Path) -> int:
    return max((int(line.get("step", 0)) for line in read_metrics(directory)), default=0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
