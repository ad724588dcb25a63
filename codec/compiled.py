"""Compiling inner loops to machine code."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compiles with numba, the interpreter lock released.

    Arithmetic is IEEE, in the order written: every call rounds alike.

    The machine code is kept beside the source, or in the user's cache directory where the package is read-only. Where
    neither can be written, every process compiles anew.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        return numba.njit(nogil=True)(function)
