"""Compiling inner loops to machine code."""

from collections.abc import Callable
from typing import Any

import numba

_REORDERED = {"reassoc", "contract", "nsz"}


def compiled(function: Callable) -> Callable:
    """Compiles with numba, the interpreter lock released.

    Arithmetic is IEEE, in the order written: every call rounds alike.

    The machine code is made at the first call and kept beside the source, or in the user's cache directory where the
    package is read-only. Where neither can be written, every process compiles anew.

    What is kept is made anew when the function's own file changes, not when a function that it calls in another file
    does: keep compiled functions that call each other in one file.
    """
    return _compile(function)


def compiled_reordered(function: Callable) -> Callable:
    """`compiled`, but sums may be taken in another order, and a product and a sum may be rounded together.

    Only so can a sum fill a vector register. Every call on one machine still rounds alike.
    """
    return _compile(function, fastmath=_REORDERED)


def _compile(function: Callable, fastmath: Any = False) -> Callable:
    try:
        return numba.njit(nogil=True, cache=True, fastmath=fastmath)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        return numba.njit(nogil=True, fastmath=fastmath)(function)
