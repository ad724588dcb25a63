"""Spent memory: what performances leave behind when they are over, given back to the system.

A performance's objects hold each other, and Python's collector counts objects, not the sound in them; and what is freed
stays with the C library, in one pool for each of many threads, between pieces that are still in use. Left alone, a server
of short performances grows: eight seats use 60 MB and held 700 after three minutes, 150 with `keep_few_pools`.
Stateful: it acts on the process.
"""

from __future__ import annotations

import ctypes
import functools
import gc

__all__ = ["freeze", "give_back", "keep_few_pools"]

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Numbers of glibc's settings (mallopt, malloc.h)."""
MOST_POOLS = 2
LARGEST_POOLED_BYTES = 16 * 2**20
"""What is larger comes from the system, and goes back there when it is freed. Smaller limits make the model slower, whose
buffers would be new and empty pages every time."""


def keep_few_pools() -> bool:
    """Once, before any thread begins: what one thread has freed the others can use.

    Returns:
      whether the C library knows such settings; others than glibc have rules of their own.
    """
    library = _library()
    mallopt = getattr(library, "mallopt", None)
    if mallopt is None:
        return False
    settings = {
        ARENA_MAX: MOST_POOLS,
        MMAP_THRESHOLD: LARGEST_POOLED_BYTES,
        TRIM_THRESHOLD: 2 * LARGEST_POOLED_BYTES,  # what glibc itself would make of that limit
    }
    return all([bool(mallopt(setting, value)) for setting, value in settings.items()])


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
    trim = getattr(_library(), "malloc_trim", None)  # glibc
    if trim is not None:
        trim(0)
    return True


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The C library; None where it has no handle without a name (Windows)."""
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
