"""Resampling: between the engine's 48 kHz and the rates of sound cards, in a stream.

Output sample j stands for the same moment as input time j * from_hz / to_hz: the filter's delay is taken out, it only
comes out later (up to 20 ms). Positions are converted as exact ratios of whole numbers, so that nothing drifts.
Stateful streams; `to_48k` and `from_48k` are pure.
"""

from __future__ import annotations

import numpy as np
import soxr
from jaxtyping import Float

__all__ = ["ENGINE_HZ", "InputResampler", "RateChange", "from_48k", "to_48k"]

ENGINE_HZ = 48_000


def to_48k(device_sample: int, device_hz: int) -> int:
    """The 48 kHz sample at, or last before, the moment of a device sample."""
    return device_sample * ENGINE_HZ // device_hz


def from_48k(sample: int, device_hz: int) -> int:
    """The device sample at, or first after, the moment of a 48 kHz sample."""
    return -(-sample * device_hz // ENGINE_HZ)


class RateChange:
    """A stream of samples at another rate (stateful)."""

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        """Nothing went in yet.

        Args:
          from_hz: samples a second that go in.
          to_hz: samples a second that come out.
          channels: of both.
        """
        self._stream = None
        if from_hz != to_hz:
            self._stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="HQ")

    def step(self, samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, "resampled channels"]:
        """What comes out for the next samples: it may be nothing, or what was kept back before."""
        if self._stream is None or not len(samples):
            return samples.astype(np.float32, copy=False)
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32)), np.float32)


class InputResampler:
    """Input at 48 kHz, with the device sample (at 48 kHz too) that each block was handed out together with (stateful)."""

    def __init__(self, input_hz: int, output_hz: int, channels: int) -> None:
        """Nothing came in yet.

        Args:
          input_hz: the input's rate.
          output_hz: the rate in which device samples are counted.
          channels: 1 or 2.
        """
        self._rates = input_hz, output_hz
        self._channels = channels
        self._position = 0
        self._change = RateChange(input_hz, ENGINE_HZ, channels)

    def step(
        self, device_start: int | None, samples: Float[np.ndarray, "samples channels"]
    ) -> tuple[int, Float[np.ndarray, "resampled 2"]]:
        """The next samples.

        Args:
          device_start: device sample of the first, where the input broke off before it; None: it goes on.
          samples: at the input's rate.
        Returns:
          position of the first, in 48 kHz samples, and stereo at 48 kHz; a single channel is doubled.
        """
        if device_start is not None:
            self._position = to_48k(device_start, self._rates[1])
            self._change = RateChange(self._rates[0], ENGINE_HZ, self._channels)  # the few samples kept back go
        resampled = self._change.step(samples)
        start = self._position
        self._position += len(resampled)
        stereo = np.repeat(resampled, 2, axis=1) if self._channels == 1 else resampled
        return start, stereo
