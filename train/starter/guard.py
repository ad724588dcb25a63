"""Keeps stages from running twice in one work directory, and from outliving the program that started them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PARENT_VARIABLE = "MAGENTA_RT_PY_STARTER_PARENT"
"""Environment variable: the process whose end a stage does not outlive."""


@contextlib.contextmanager
def only_one(directory: Path, stage: str) -> Iterator[None]:
    """Holds the lock of a stage, which the system gives back however the process ends.

    Raises:
      ValueError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows; then care is the user's
        yield
        return
    path = directory / "locks" / stage
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"another process runs {stage!r} in {directory}; wait for it, or end it") from error
        yield


def follow_parent() -> None:
    """Ends this process, as SIGTERM would, when the one named in PARENT_VARIABLE is gone; does nothing without one."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent:
        threading.Thread(target=_wait_for_end_of, args=(int(parent),), daemon=True).start()


def _wait_for_end_of(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
