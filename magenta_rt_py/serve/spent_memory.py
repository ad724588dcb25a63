"""Spent memory: what performances leave behind when they are over, given back to the system.

A performance's objects hold each other, and Python's collector counts objects, not the sound in them; and what is freed
stays with the C library, in one pool for each of many threads. Left alone, a server of short performances grows for a
long time. Stateful: it acts on the process.
"""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable

__all__ = ["freeze", "give_back"]


def freeze() -> None:
    """Once, when all is loaded: what is there by now is not looked through again, so that `give_back` takes milliseconds."""
    gc.collect()
    gc.freeze()


def give_back() -> bool:
    """Frees what is no longer used; does nothing before `freeze`, as it would take long and hold everybody up.

    Returns:
      whether it did.
    """
    if not gc.get_freeze_count():
        return False
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)
    return True


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """glibc's way to give pages back; None with other C libraries."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library without a name
        return None
