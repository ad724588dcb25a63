"""Open card: one opening of a sound card, in the engine's process: 48 kHz in and out of the shared rings. Stateful.

It counts in 48 kHz samples. The device's counts are converted, so they hold for any rate.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from magenta_rt_py.io import durations
from magenta_rt_py.io.capture import CaptureReader
from magenta_rt_py.io.card_child import CardChild
from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.card_memory import Field
from magenta_rt_py.io.resampling import ENGINE_HZ, InputResampler, RateChange, from_48k, to_48k

__all__ = ["OpenCard"]


class OpenCard:
    """A card whose process is running, from its first sample on."""

    def __init__(self, child: CardChild, config: CardConfig) -> None:
        """Device sample 0 is the next sample written.

        Args:
          child: open.
          config: that it was opened with.
        """
        self.child = child
        """Its process."""
        self._memory = child.memory
        self._lanes = 3 if config.cue_channels else 2
        self._rate = self._memory.get(Field.OUTPUT_RATE_HZ)
        input_rate = self._memory.get(Field.INPUT_RATE_HZ)
        self._change = RateChange(ENGINE_HZ, self._rate, self._lanes)
        self._reader = CaptureReader(self._memory.input, self._memory.marks)
        self._input = InputResampler(input_rate, self._rate, len(config.input_channels)) if config.has_input else None
        self.written = 0
        """48 kHz samples written so far: the number of the next one."""

    def handed(self) -> int:
        """48 kHz samples that the device has got."""
        return min(self.written, to_48k(self._memory.output.taken, self._rate))

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None) -> None:
        """Queues samples; without a cue output `cue` is dropped.

        Raises:
          ValueError: the ring is full; nothing was queued.
        """
        room = self._memory.output.room()
        if from_48k(len(main) + ENGINE_HZ // 10, self._rate) > room:  # the resampler may give back what it kept
            raise ValueError(f"{len(main)} samples more than are queued do not fit; ask wait_for_room first")
        lanes = np.zeros((len(main), self._lanes), np.float32)
        lanes[:, :2] = main
        if cue is not None and self._lanes == 3:
            lanes[:, 2] = cue
        self._memory.output.write(self._change.step(lanes))
        self.written += len(main)

    def read(self) -> list[tuple[int, Float[np.ndarray, "samples 2"]]]:
        """What came in, in order: the device sample of its first sample, and stereo at 48 kHz."""
        if self._input is None:
            return []
        blocks = [self._input.step(run.device_start, run.samples) for run in self._reader.read()]
        return [(start, samples) for start, samples in blocks if len(samples)]

    @property
    def underflows(self) -> int:
        """Blocks for which there was nothing, or not enough, to play."""
        return self._memory.get(Field.UNDERFLOWS)

    @property
    def driver_underflows(self) -> int:
        """Blocks that the driver says it lost."""
        return self._memory.get(Field.DRIVER_UNDERFLOWS)

    @property
    def block_seconds(self) -> float:
        """Length of the device's block."""
        return self._memory.get(Field.BLOCK_DEVICE_SAMPLES) / self._rate

    @property
    def output_delay_seconds(self) -> float:
        """As the device reports it."""
        return self._memory.get(Field.OUTPUT_LATENCY_NS) / 1e9

    @property
    def rate_hz(self) -> int:
        """Samples a second of the output."""
        return self._rate

    def callback_quantile(self, probability: float) -> float:
        """Seconds that a share of the driver's calls took at most; NaN before the first."""
        return durations.quantile(self._memory.callback_counts, probability)
