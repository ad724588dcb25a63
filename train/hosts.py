"""What the processes of a run on several hosts do together. One process alone does it at once and waits for nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np

Result = TypeVar("Result")


def first_process_first(work: Callable[[], Result]) -> Result:
    """What the work returns, done by the first process before any other: they find the files that it has written.

    Args:
      work: leaves what is there already as it is.
    """
    if jax.process_count() == 1:
        return work()
    from jax.experimental import multihost_utils

    result = work() if jax.process_index() == 0 else None
    multihost_utils.sync_global_devices("the first process is done")
    return work() if result is None else result


def largest_of_all(number: int) -> int:
    """The largest of the numbers, 0 or more, that the processes give; all of them must ask at the same place."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(np.max(multihost_utils.process_allgather(np.int32(number))))
