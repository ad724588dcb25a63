"""Capacity: for how many performances a device is quick enough, by what batches of requests take on it. Pure.

    all at once         |### batch of n ###|                        while the hop lasts: c(n)
    in two halves       |## n/2 ##|## n/2 ##|                       while one is at work the others come: c(n/2) twice

Sessions ask when they like, so both happen, and the longer one counts. Without batches it is n times one request, as it is
where batches gain nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from magenta_rt_py.live.generator import Kind

__all__ = ["Capacity"]

MOST = 256
"""More are never counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capacity:
    """What was measured, of the requests that performances make."""

    hop_seconds: float
    """Longest time from one request to the next, so that nothing is given up."""
    costs_seconds: Mapping[int, float]
    """What a batch takes, by its size; 1 is among them."""

    def __post_init__(self) -> None:
        if 1 not in self.costs_seconds or not all(cost > 0.0 for cost in self.costs_seconds.values()):
            raise ValueError(f"costs {dict(self.costs_seconds)}; give those of size 1 and of every other size, above 0")

    def work_seconds(self, count: int) -> float:
        """The device is at work so long each hop, with so many performances."""
        kind, half = self._kind(), count // 2
        return max(kind.work_seconds(count), kind.work_seconds(half) + kind.work_seconds(count - half))

    def rtf(self, count: int) -> float:
        """Seconds of music, of all together, for each second of work with so many performances."""
        return count * self.hop_seconds / self.work_seconds(count)

    def streams(self, share: float = 1.0) -> int:
        """How many performances keep up if the device is given to them for this share of the time; at least one."""
        count = 1
        while count < MOST and self.work_seconds(count + 1) <= share * self.hop_seconds * (1.0 + 1e-9):
            count += 1
        return count

    def _kind(self) -> Kind:
        sizes = tuple(sorted(self.costs_seconds))
        return Kind(None, sizes, tuple(self.costs_seconds[size] for size in sizes))
