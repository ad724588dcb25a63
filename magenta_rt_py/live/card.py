"""Card: what the engine needs of a sound card, whatever is behind it. No sound library is imported here.

    device sample   0        512       1024       the n-th sample written since the card was opened
    handed out      |--block--|--block--| silence |--block--|
    captured        |--block--|--block--| dropped |--block--|

A device sample is a written sample: where nothing was there in time the card plays silence, the count stands still, and
what came in meanwhile is thrown away, because it was played to nothing. So whoever writes knows every sample's number by
counting what it has written since `opening` changed, and `Captured.device_start` needs no correction (`alignment.py`).

A card that is lost goes on taking samples at 48 kHz, by the wall clock, so that the music keeps going.

Pure: a protocol and two records. The cards are in `magenta_rt_py.io`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

__all__ = ["Captured", "Card", "CardStatus"]


class Captured(NamedTuple):
    """Input as it came in."""

    opening: int
    """Which opening of the device; each one counts device samples anew."""
    device_start: int
    """Device sample, in 48 kHz samples since opening, that was handed out together with the first sample."""
    samples: Float[np.ndarray, "samples 2"]
    """48 kHz; a single channel is doubled."""


class CardStatus(NamedTuple):
    """How a card is doing."""

    name: str
    """Of the device, for people."""
    is_running: bool
    """False while the device is lost or not yet open."""
    opening: int
    """0 for the first opening, one more each time it is opened again."""
    underflows: int
    """Blocks for which there was nothing, or not enough, to play; of all openings together."""
    problem: str | None
    """Why it is not running and what to do, in one line."""
    callback_p999_seconds: float
    """Time that 99.9 % of the driver's calls took at most (to 5 %); NaN if there is none."""
    block_seconds: float
    """Length of a block: the time a driver's call has."""
    output_delay_seconds: float
    """From handing out a sample until it sounds, as the device reports it; 0 if it does not say."""
    driver_underflows: int = 0
    """Blocks of this opening that the driver itself says it lost: the machine was too busy to call in time."""


@runtime_checkable
class Card(Protocol):
    """Takes stereo at 48 kHz at the device's pace and gives what came in.

    All methods belong to one thread; `status` and `opening` may be read from any.
    """

    block_samples: int
    """Length of a block in 48 kHz samples."""
    input_channels: int
    """1 or 2; 0 is no input."""
    has_cue: bool
    """Whether there is an output for the metronome."""

    @property
    def opening(self) -> int:
        """The current opening. It changes in `wait_for_room` only; what is written next is device sample 0 of it."""
        ...

    @property
    def status(self) -> CardStatus:
        """How the card is doing now."""
        ...

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """Waits until so many samples may be written without more being queued than the card's limit.

        Args:
          samples: 48 kHz samples, at most the limit.
          timeout_seconds: 0 only looks.
        Returns:
          whether there is room; never, once the card is closed.
        Raises:
          ValueError: there will never be room for so many.
        """
        ...

    def queued_samples(self) -> int:
        """48 kHz samples that were written and not yet handed to the device."""
        ...

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """Queues the next samples; copied, and never waits.

        Args:
          main: 48 kHz.
          cue: for the metronome's output, of the same length; None is silence. Dropped by a card without one.
        Raises:
          ValueError: far more is queued than the limit: ask `wait_for_room` first.
        """
        ...

    def read(self) -> list[Captured]:
        """Everything that came in since the last call, in order."""
        ...

    def close(self) -> None:
        """Ends it; the second time does nothing."""
        ...
