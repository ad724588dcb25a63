"""Recordings: files that can be fetched, in one folder, each under a name of 128 random bits. No name comes from outside.

    <folder>/<32 hex>.flac     a recording, or the microphone beside it
    <folder>/<32 hex>.jsonl    an event log

Each file belongs to one seat, and is found by its owner only, even after the seat has ended. The folder is kept below its
limit: the oldest complete files go first. Stateful; any thread.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

__all__ = ["Recordings", "StoredFile"]

MOST_FILES = 10_000


class StoredFile(NamedTuple):
    """A file that somebody may fetch."""

    path: Path
    name: str
    """For people, with a suffix."""
    owner: str
    """Seat that made it."""
    is_complete: bool


class Recordings:
    """The folder."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        """Makes the folder; what lies in it already is left alone and not found.

        Args:
          folder: for this process alone.
          most_bytes: of all files together.
        Raises:
          OSError: it cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._most_bytes = folder, most_bytes
        self._lock = threading.Lock()
        self._files: OrderedDict[str, StoredFile] = OrderedDict()

    def add(self, owner: str, name: str, *, suffix: str) -> tuple[str, Path]:
        """A name for a new file; it is in progress until `complete`.

        Args:
          owner: seat that makes it.
          name: to be shown, without suffix.
          suffix: ".flac", ".jsonl".
        Returns:
          its id, 32 hexadecimal digits, and where to write it.
        """
        file_id = secrets.token_hex(16)
        path = self._folder / f"{file_id}{suffix}"
        with self._lock:
            self._files[file_id] = StoredFile(path, f"{name}{suffix}", owner, False)
        return file_id, path

    def complete(self, file_id: str) -> None:
        """It is written, and may be fetched; and one day deleted."""
        with self._lock:
            if file_id in self._files:
                self._files[file_id] = self._files[file_id]._replace(is_complete=True)

    def find(self, owner: str, file_id: str) -> StoredFile:
        """A complete file.

        Raises:
          KeyError: this owner has none of that id.
        """
        with self._lock:
            found = self._files.get(file_id)
        if found is None or found.owner != owner or not found.is_complete or not found.path.is_file():
            raise KeyError(file_id)
        return found

    def newest(self, owner: str, *, suffix: str) -> Path | None:
        """An owner's newest file of a kind, complete or not; None if there is none."""
        with self._lock:
            found = [each.path for each in self._files.values() if each.owner == owner and each.path.suffix == suffix]
        return next((path for path in reversed(found) if path.is_file()), None)

    def trim(self) -> bool:
        """Deletes the oldest complete files until the folder is below its limit.

        Returns:
          whether it is; if not, what is being written is too much.
        """
        with self._lock:
            sizes = {file_id: _size(stored.path) for file_id, stored in self._files.items()}
            total, count = sum(sizes.values()), len(sizes)
            for file_id, stored in list(self._files.items()):
                if total <= self._most_bytes and count <= MOST_FILES:
                    return True
                if stored.is_complete:
                    self._delete(file_id)
                    total, count = total - sizes[file_id], count - 1
            return total <= self._most_bytes and count <= MOST_FILES

    def clear(self) -> None:
        """Deletes all, complete or not."""
        with self._lock:
            for file_id in list(self._files):
                self._delete(file_id)

    def _delete(self, file_id: str) -> None:
        stored = self._files.pop(file_id)
        with contextlib.suppress(OSError):
            stored.path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
