"""Priority: asks the system to serve this process before others, so that a busy machine does not make the music stop.

Stateful: it changes the process. Threads and processes that are started afterwards inherit it. Linux desktops share the
processor among sign-in sessions first ("autogroup"), and niceness counts only within one: there the group is raised too.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["LIVE_NICENESS", "raise_priority"]

LIVE_NICENESS = -11
"""What desktop sound servers run at. Most users may not go below 0 unless the system was told to let them."""
GROUP = Path("/proc/self/autogroup")


def raise_priority(niceness: int = LIVE_NICENESS) -> int | None:
    """Asks for it.

    Args:
      niceness: -20 (served first) .. 19, as the system has it.
    Returns:
      the niceness after that, which is the old one if the system refuses or if it was lower; None where there is none.
    """
    if not hasattr(os, "setpriority"):
        return None  # Windows
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if niceness < before:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
        except OSError:  # not allowed: the music plays all the same
            return before
        with contextlib.suppress(OSError):  # a system without groups
            GROUP.write_text(str(niceness))
    return os.getpriority(os.PRIO_PROCESS, 0)
