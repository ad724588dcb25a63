"""Trial: one calibration of a page: a sweep is laid over the music, and looked for in what the microphone brings.

    written    music \\______ducked______/ music
    sweep             ~~~~~~~~
    came in              ~~~~~~~~             round trip: by how much later, in the page's own count

The microphone's samples carry the number of the sample that was rendered when they were recorded, so buffers and network
do not matter: what is measured is the page's own way out, the room, and the way in.

Stateful; the page card uses it under its lock, but for `measure`, which takes its time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live import calibration

__all__ = ["Calibration", "Trial"]

SAMPLES_A_SECOND = 48_000
LISTENING_SAMPLES = round(2.5 * SAMPLES_A_SECOND)
"""The sweep, and more than the longest round trip."""
DUCKED = 0.02
"""-34 dB: what is left of the music meanwhile. It gets into the microphone as the sweep does."""
RAMP_SAMPLES = 1920
"""The music leaves and returns in 40 ms."""
PATIENCE_SECONDS = 20.0
"""From asking until everything must have come in."""


class Calibration(NamedTuple):
    """What a calibration has found."""

    samples: int | None
    """Round trip: from rendering a sample until it comes in; None if it was not found."""
    reason: str
    """Why not, in one line; else empty."""


class Trial:
    """A sweep that is on its way.

    Attributes:
      is_listening: whether something is still to come in.
    """

    def __init__(self, now_seconds: float) -> None:
        """To begin with what is written next.

        Args:
          now_seconds: by the card's clock.
        """
        self._ends_seconds = now_seconds + PATIENCE_SECONDS
        self._start: int | None = None
        self._sweep = calibration.sweep()
        self._recorded = np.zeros(LISTENING_SAMPLES, np.float32)
        self._heard_samples = self._heard_end = 0
        self.is_listening = True

    def lay(
        self, position: int, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None
    ) -> tuple[Float[np.ndarray, "samples 2"], Float[np.ndarray, "samples"] | None]:
        """The sound with the sweep in it.

        Args:
          position: device sample of the first one.
          main: what would be heard.
          cue: the metronome; it leaves altogether.
        """
        if self._start is None:
            self._start = position + RAMP_SAMPLES
        places = np.arange(position, position + len(main)) - self._start
        edges = [-RAMP_SAMPLES, 0, LISTENING_SAMPLES, LISTENING_SAMPLES + RAMP_SAMPLES]
        share = np.interp(places, edges, [1.0, 0.0, 0.0, 1.0]).astype(np.float32)
        gain = 1.0 - np.float32(1.0 - DUCKED) * (1.0 - share)
        sweep = self._sweep
        tone = np.zeros(len(main), np.float32)
        sounding = (places >= 0) & (places < len(sweep))
        tone[sounding] = sweep[places[sounding]]
        return main * gain[:, None] + tone[:, None], None if cue is None else cue * share

    def has_faded(self, position: int) -> bool:
        """Whether the music is as loud as ever from a device sample on."""
        return self._start is not None and position >= self._start + LISTENING_SAMPLES + RAMP_SAMPLES

    def hear(self, position: int, samples: Float[np.ndarray, "samples 2"]) -> bool:
        """What came in.

        Args:
          position: device sample that was rendered when the first one was recorded.
          samples: of the microphone.
        Returns:
          whether it belongs to the trial, and not to the performer.
        """
        if self._start is None or position + len(samples) <= self._start or not self.is_listening:
            return False
        first = position - self._start
        low, high = max(first, 0), min(first + len(samples), LISTENING_SAMPLES)
        if low < high:
            self._recorded[low:high] = samples[low - first : high - first].mean(axis=1)
            self._heard_samples += high - low
        self._heard_end = max(self._heard_end, first + len(samples))
        self.is_listening = self._heard_end < LISTENING_SAMPLES
        return True

    @property
    def has_begun(self) -> bool:
        """Whether anything was written since."""
        return self._start is not None

    def why_not(self, now_seconds: float) -> str | None:
        """Why it has failed, in one line; None as long as it may still succeed."""
        if now_seconds < self._ends_seconds:
            return None
        if self._start is None or not self._heard_end:
            return "nothing came in from the microphone; press play, allow the microphone, and calibrate again"
        return f"the test sound did not come in within {PATIENCE_SECONDS:.0f} s; let the music play, and calibrate again"

    def measure(self) -> Calibration:
        """The result, once everything has come in. Takes some hundredths of a second, and no lock."""
        if self._heard_samples < LISTENING_SAMPLES // 2:
            return Calibration(None, "half of the test sound was lost on its way; close other programs and try again")
        try:
            return Calibration(calibration.measure_round_trip(self._sweep, self._recorded), "")
        except ValueError as error:
            return Calibration(None, str(error))
