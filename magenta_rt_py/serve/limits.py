"""Limits: token buckets, against floods. So much a second, and a burst of so much at once.

    level   burst ----.       .----   what is taken leaves the bucket, and time fills it again;
                       '-. .-'        what is more than the level is refused, and takes nothing
            0 ............'........

Stateful, on a clock that is handed in. One thread uses a bucket.
"""

from __future__ import annotations

import dataclasses
import math

from magenta_rt_py.live.clock import Clock

__all__ = ["LimitsConfig", "SocketLimits", "TokenBucket"]


class TokenBucket:
    """Events, bytes or samples: whatever is counted. Full at first."""

    def __init__(self, a_second: float | int, burst: float | int, clock: Clock) -> None:
        """Full.

        Args:
          a_second: what comes in, above 0.
          burst: what it holds, above 0.
          clock: whose seconds.
        Raises:
          ValueError: a number out of range.
        """
        if not (0.0 < a_second < math.inf and 0.0 < burst < math.inf):
            raise ValueError(f"{a_second} a second, a burst of {burst}; give numbers above 0")
        self._a_second, self._burst, self._clock = float(a_second), float(burst), clock
        self._level, self._filled_seconds = self._burst, clock.now_seconds()

    @property
    def level(self) -> float:
        """What may be taken at once, now."""
        now = self._clock.now_seconds()
        came = max(now - self._filled_seconds, 0.0) * self._a_second
        self._level, self._filled_seconds = min(self._level + came, self._burst), now
        return self._level

    def take(self, amount: float | int = 1) -> bool:
        """Takes all of it, or nothing.

        Args:
          amount: 0 or more; more than the burst is never there.
        Returns:
          whether it was there.
        """
        _check(amount)
        if amount > self.level:
            return False
        self._level -= amount
        return True

    def take_some(self, amount: float | int) -> float:
        """Takes what is there of it, and says how much that was."""
        _check(amount)
        taken = min(float(amount), self.level)
        self._level -= taken
        return taken


def _check(amount: float | int) -> None:
    if not amount >= 0.0:
        raise ValueError(f"{amount} to take; give a number of 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitsConfig:
    """What one socket may send. Ours: some times what a busy page sends, see the fields."""

    messages_a_second: float = 200.0
    """Text messages; three faders that move and the reports make 100."""
    messages_burst: float = 400.0
    """Text messages at once: a preset, or what a page had saved up while the network hung."""
    text_bytes_a_second: float = 100_000.0
    """Bytes of text messages."""
    text_bytes_burst: float = 200_000.0
    """Bytes of text messages at once."""
    microphone_samples_a_second: float = 57_600.0
    """1.2 times real time."""
    microphone_samples_burst: float = 240_000.0
    """5 s: what a page had saved up while the network hung."""
    packets_a_second: float = 400.0
    """Binary packets: four times as many as blocks of 10 ms."""
    packets_burst: float = 800.0
    """Binary packets at once."""


class SocketLimits:
    """What one socket may still send. One thread uses it."""

    def __init__(self, config: LimitsConfig, clock: Clock) -> None:
        """Nothing was sent yet."""
        self._messages = TokenBucket(config.messages_a_second, config.messages_burst, clock)
        self._text_bytes = TokenBucket(config.text_bytes_a_second, config.text_bytes_burst, clock)
        self._packets = TokenBucket(config.packets_a_second, config.packets_burst, clock)
        self._samples = TokenBucket(config.microphone_samples_a_second, config.microphone_samples_burst, clock)

    def text(self, size_bytes: int) -> bool:
        """Whether a text message of this size is within the limits; it then counts."""
        return self._messages.take() and self._text_bytes.take(size_bytes)

    def packet(self) -> bool:
        """Whether a binary packet is within the limits, whatever is in it; it then counts."""
        return self._packets.take()

    def microphone(self, samples: int) -> bool:
        """Whether so many samples of a microphone are within the limits; they then count."""
        return self._samples.take(samples)
