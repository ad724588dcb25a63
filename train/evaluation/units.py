"""Units of work that are kept: a run that was cut off goes on where it was, and what has not changed is not made again.

A unit is one take, one render, one transition: whatever is measured at once. It is named by what it depends on (the
bundle, the sources that make and measure it, its settings), so a stale one is never read.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

Record = dict[str, Any]
"""What a unit measured: arrays, and whatever JSON holds, by name."""

_JSON = "json"
"""Name of the entry that holds what is no array; no array may have it."""


def cache_folder() -> pathlib.Path:
    """The user's cache folder for this project (XDG_CACHE_HOME or ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(base) / "magenta_rt_py" / "evaluation"


def source_hash(files: Iterable[pathlib.Path]) -> str:
    """Hash over names and contents of source files, in a fixed order."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


@functools.cache
def studio_sources() -> str:
    """Hash of the sources that make held-out renders."""
    return source_hash((pathlib.Path(__file__).parent.parent / "studio").rglob("*.py"))


class Units:
    """A folder of finished units. Two runs may share it: files appear whole or not at all.

    Attributes:
      made: units that were made by this run.
      read: units that were found.
    """

    def __init__(self, folder: pathlib.Path, *, key: str) -> None:
        """Opens the folder; it is made with the first unit.

        Args:
          folder: where the units lie.
          key: what all units here depend on: the bundle's checksum and the hash of the sources.
        """
        self._folder = folder
        self._key = key
        self.made = 0
        self.read = 0

    def get(
        self, name: str, settings: Mapping[str, Any], make: Callable[[], Record], *, anew: bool = False
    ) -> Record:
        """A unit's record, read if it is there, else made and kept.

        Args:
          name: kind of unit, such as "take"; letters.
          settings: what it depends on besides the key, as JSON holds it.
          make: does the work.
          anew: make it also if it is there.
        """
        file = self._file(name, settings)
        record = None if anew else _read(file)
        if record is not None:
            self.read += 1
            return record
        record = make()
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(file, record)
        self.made += 1
        return record

    def _file(self, name: str, settings: Mapping[str, Any]) -> pathlib.Path:
        text = json.dumps([self._key, name, dict(settings)], sort_keys=True)
        return self._folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def _read(file: pathlib.Path) -> Record | None:
    """A kept record; None if there is none, or only a damaged one, which is then made again."""
    try:
        # Opened here: NumPy leaves a file open that turns out to be damaged.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        plain = json.loads(arrays.pop(_JSON).tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return {**plain, **arrays}


def _write(file: pathlib.Path, record: Record) -> None:
    arrays = {name: value for name, value in record.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in record.items() if name not in arrays}
    packed = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    unfinished = file.with_name(f"{file.stem}.{os.getpid()}.part.npz")
    try:
        np.savez(unfinished, **{_JSON: packed}, **arrays)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
