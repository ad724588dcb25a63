"""Card guard: a card around another that never raises. What the inner one cannot do is left out, and said.

    write    dropped               wait_for_room    waits as long as what was dropped, or is to come, lasts
    read     nothing came in       queued_samples   none

So the music, its recording and its log go on at their pace, unheard, until the card works again. A card that merely lost
its device does not get here: it goes on by itself (`card.py`).

Stateful: it remembers what was wrong. The methods' thread is the card's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live.card import Captured, Card, CardStatus
from magenta_rt_py.live.clock import Clock

__all__ = ["CardGuard"]

SAMPLES_A_SECOND = 48_000
Answer = TypeVar("Answer")


class CardGuard:
    """A `Card` around another."""

    def __init__(self, card: Card, clock: Clock) -> None:
        """Knows of no problem.

        Args:
          card: the one to play to.
          clock: keeps the pace while the card does not.
        """
        self._card, self._clock = card, clock
        self.block_samples, self.input_channels, self.has_cue = card.block_samples, card.input_channels, card.has_cue
        self._opening, self._status = card.opening, card.status
        self._failed: dict[str, str] = {}
        self._dropped_samples = 0

    @property
    def opening(self) -> int:
        """See Card."""
        self._opening = self._try("opening", lambda: self._card.opening, self._opening)
        return self._opening

    @property
    def status(self) -> CardStatus:
        """See Card; what it could not do is its problem."""
        self._status = self._try("status", lambda: self._card.status, self._status)
        failed = next(iter(list(self._failed.values())), None)
        return self._status if failed is None else self._status._replace(problem=failed)

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """See Card."""
        answer = self._try("wait_for_room", lambda: self._card.wait_for_room(samples, timeout_seconds), None)
        missed = self._dropped_samples if answer is not None else max(samples, self._dropped_samples)
        self._dropped_samples = 0
        if missed:
            self._clock.wait_until(self._clock.now_seconds() + missed / SAMPLES_A_SECOND)
        return answer is not False

    def queued_samples(self) -> int:
        """See Card."""
        return self._try("queued_samples", lambda: self._card.queued_samples(), 0)

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """See Card."""

        def write() -> bool:
            self._card.write(main, cue)
            return True

        if not self._try("write", write, False):
            self._dropped_samples += len(main)

    def read(self) -> list[Captured]:
        """See Card."""
        return self._try("read", lambda: self._card.read(), [])

    def close(self) -> None:
        """See Card."""
        self._try("close", lambda: self._card.close(), None)

    def _try(self, name: str, work: Callable[[], Answer], instead: Answer) -> Answer:
        try:
            answer = work()
        except Exception as error:  # a broken driver must not end the music
            reason = " ".join(str(error).split())[:200]
            self._failed[name] = (
                f"the sound card failed in {name} ({type(error).__name__}: {reason}), the music goes on; "
                "if it stays silent, start again with another --device"
            )
            return instead
        self._failed.pop(name, None)
        return answer
