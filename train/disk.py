"""Files that are there whole or not at all, whenever the power goes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PARTIAL_SUFFIX = ".tmp"
"""Of a file that is being written; what carries it is nobody's and may be removed."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under another name, makes the disk take it, and only then gives it its name.

    Raises:
      OSError: the disk does not take it, such as one that is full; nothing is left behind and what was there stands.
    """
    with writing_whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """The same for content that comes in parts: gives a file to write to, which has its name when the block is left.

    Raises:
      OSError: see `write_whole`.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except Exception as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        # An error with another file's name is of what was read meanwhile.
        if isinstance(error, OSError) and error.filename in (None, str(partial)):
            advice = "make room or choose another folder, and run again"
            raise OSError(error.errno, f"{path} could not be written ({error.strerror}); {advice}") from error
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the new name itself last; where folders cannot be opened (Windows), the system sees to it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
