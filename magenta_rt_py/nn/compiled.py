"""Compiling inner loops to machine code."""

from collections.abc import Callable
from typing import Any

import numba

_REORDERED = {"reassoc", "contract", "nsz"}


def compiled(function: Callable) -> Callable:
    """Compiles with numba, the interpreter lock released.

    Arithmetic is IEEE, in the order written: every call rounds alike.

    The machine code is made at the first call and kept beside the source, or in the user's cache directory where the
    package is read-only. Where neither can be written, every process compiles anew. It is made anew when the function's
    own file changes: keep what it calls in the same file.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        return numba.njit(nogil=True)(function)


def compiled_part(*, reordered: bool = False) -> Callable[[Callable], Callable]:
    """Compiles what only `compiled` functions call, with them: it is kept as a part of their machine code.

    A division by zero gives infinity or NaN, as in numpy, and no error: checks would stand in the way of vectors.

    Args:
      reordered: sums may be taken in another order, and a product and a sum rounded together. Only so can a sum fill a
        vector register. Every call on one machine still rounds alike.
    """
    fastmath: Any = _REORDERED if reordered else False
    return numba.njit(nogil=True, fastmath=fastmath, error_model="numpy")
