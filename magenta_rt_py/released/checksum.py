"""Checksums of files, and which files have been checked already, so that gigabytes are not read again each time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path

BLOCK_BYTES = 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checksum:
    """What a file must hash to.

    The hub gives a sha256 for large files. Small ones have only what git gives them, a sha1 over a header with the
    length and the content.
    """

    kind: str
    """"sha256" or "git-sha1"."""
    digest: str
    """Hexadecimal."""

    def of(self, path: Path) -> str:
        """The same kind of digest of a file, read in blocks."""
        if self.kind == "sha256":
            state = hashlib.sha256()
        else:
            state = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                state.update(block)
        return state.hexdigest()


class CheckedFiles:
    """Remembers in a JSON file which files have been found right, by size, time of change and digest.

    Losing the file costs time only: what is not in it is read again. So is what was touched since.
    """

    def __init__(self, path: Path) -> None:
        """Reads what is remembered; an unreadable file counts as empty."""
        self._path = path
        self._known: dict[str, list] = {}
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(path.read_text()))

    def is_right(self, name: str, path: Path, checksum: Checksum) -> bool:
        """Whether a file has the right content; it is read only if it is not remembered."""
        mark = self._mark(path, checksum)
        if self._known.get(name) == mark:
            return True
        if checksum.of(path) != checksum.digest:
            self._known.pop(name, None)
            return False
        self._known[name] = mark
        self._save()
        return True

    @staticmethod
    def _mark(path: Path, checksum: Checksum) -> list:
        status = path.stat()
        return [status.st_size, status.st_mtime_ns, checksum.digest]

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a cache that is shared and read-only is read each time
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(".partial")
            partial.write_text(json.dumps(self._known, indent=1, sort_keys=True) + "\n")
            partial.replace(self._path)
