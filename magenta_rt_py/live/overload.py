"""Overload: which waiting requests a busy device may still serve."""

from __future__ import annotations

import enum
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Overload(enum.Enum):
    """What happens to requests that come while the device is busy.

    Source: `fifo` is the client of Real-Time Language Model Jamming (RTAS 2026), section IV-A; `drop` is the rule of the
    look-ahead diffusion server. `latest` is ours: once requests take longer than their interval, `fifo` falls behind for
    ever, `latest` serves fewer of them, each in time.
    """

    FIFO = "fifo"
    """Serve all, in order. The line grows for ever when the device is too slow: for reproduction only."""
    LATEST = "latest"
    """Keep only the newest; those before it are forgotten."""
    DROP = "drop"
    """Forget those that come while the device is busy."""


class RequestQueue(Generic[Item]):
    """The line in front of one device (stateful; one thread uses it).

    Attributes:
      num_forgotten: requests that were never served, so far.
    """

    def __init__(self, overload: Overload) -> None:
        """Starts empty."""
        self._overload = overload
        self._waiting: deque[Item] = deque()
        self.num_forgotten = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: Item, *, busy: bool) -> None:
        """Lets a request join the line.

        Args:
          item: the request.
          busy: whether the device is at work on another.
        """
        if self._overload is Overload.DROP and (busy or self._waiting):
            self.num_forgotten += 1
            return
        if self._overload is Overload.LATEST:
            self.clear()
        self._waiting.append(item)

    def take(self) -> Item | None:
        """The request to serve now, or None if nobody waits."""
        return self._waiting.popleft() if self._waiting else None

    def clear(self) -> None:
        """Forgets all that wait."""
        self.num_forgotten += len(self._waiting)
        self._waiting.clear()
