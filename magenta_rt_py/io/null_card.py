"""Null card: a `live.card.Card` without a device, paced by a clock: for machines without sound, tests and benchmarks.

    input sample i arrives together with device sample i + round_trip: the performer hears a sample and plays along to it

Stateful. On a virtual clock it is exact: time moves in `wait_for_room`, and nowhere else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from magenta_rt_py.io.pace import Pace
from magenta_rt_py.live.card import Captured, CardStatus
from magenta_rt_py.live.clock import Clock, WallClock

__all__ = ["NullCard"]

ENGINE_HZ = 48_000
OnPlay = Callable[[np.ndarray, np.ndarray], None]


class NullCard:
    """A `live.card.Card`."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        block_samples: int = 512,
        buffer_samples: int = 4800,
        performance: Float[np.ndarray, "samples channels"] | None = None,
        is_looped: bool = False,
        round_trip_samples: int = 0,
        echo_gain: float = 0.0,
        has_cue: bool = False,
        on_play: OnPlay | None = None,
    ) -> None:
        """Ready to play: the first block is due one block from now.

        Args:
          clock: whose time it keeps; None is the wall clock.
          block_samples: handed out at once, 1 or more.
          buffer_samples: most that are queued, two blocks or more.
          performance: input in place of a microphone's, 48 kHz, one or two channels; None is no input unless it echoes.
          is_looped: the performance begins again at its end; otherwise silence follows.
          round_trip_samples: from handing out a sample until what is played to it comes in, 0 or more.
          echo_gain: so much of the output comes in as well, after the round trip: a microphone near the loudspeaker.
          has_cue: whether there is an output for the metronome.
          on_play: told each piece that is handed out, main [samples 2] and cue [samples]; for tests and recordings.
        Raises:
          ValueError: a number out of range.
        """
        if block_samples < 1 or buffer_samples < 2 * block_samples or round_trip_samples < 0:
            raise ValueError(
                f"block_samples {block_samples}, buffer_samples {buffer_samples}, round_trip_samples {round_trip_samples}; "
                "give blocks of 1 or more, a buffer of two blocks or more, and a round trip of 0 or more"
            )
        self.block_samples, self.has_cue = block_samples, has_cue
        self.input_channels = 0 if performance is None and not echo_gain else 2
        if performance is not None and performance.shape[1] == 1:
            self.input_channels = 1
        self._clock = clock or WallClock()
        self._buffer = buffer_samples
        self._performance = None if performance is None else np.broadcast_to(performance, (len(performance), 2))
        self._is_looped = is_looped
        self._round_trip = round_trip_samples
        self._echo_gain = echo_gain
        self._on_play = on_play
        self._pace = Pace(block_samples, self._clock.now_seconds())
        self._opening = self._underflows = 0
        self._is_lost = self._is_back = self._is_closed = False
        self._start_opening()

    @property
    def opening(self) -> int:
        """See `Card`."""
        return self._opening

    @property
    def status(self) -> CardStatus:
        """See `Card`."""
        lost = "the null card was unplugged, the music goes on; plug it in again"
        return CardStatus(
            name="no sound card",
            is_running=not (self._is_lost or self._is_closed),
            opening=self._opening,
            underflows=self._underflows,
            problem=lost if self._is_lost else None,
            callback_p999_seconds=float("nan"),
            block_seconds=self.block_samples / ENGINE_HZ,
            output_delay_seconds=0.0,
        )

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """See `Card`."""
        if samples > self._buffer:
            raise ValueError(f"room for {samples} samples in a buffer of {self._buffer}; write less at a time")
        ends = self._clock.now_seconds() + timeout_seconds
        if self._is_closed:
            return False
        if self._is_back:
            self._opening += 1
            self._is_lost = self._is_back = False
            self._start_opening()
        while self.queued_samples() + samples > self._buffer:
            if self._clock.now_seconds() >= ends:
                return False
            self._clock.wait_until(min(self._pace.next_seconds, ends))
        return True

    def queued_samples(self) -> int:
        """See `Card`."""
        queued = self._written - self._handed
        if self._is_closed:
            return queued
        for count in self._pace.take(self._clock.now_seconds(), queued):
            if count < self.block_samples and self._written and not self._is_lost:
                self._underflows += 1
            self._hand_out(count)
        return self._written - self._handed

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """See `Card`."""
        queued = self.queued_samples()
        if queued + len(main) > 2 * self._buffer:
            raise ValueError(f"{len(main)} samples more than the {queued} queued do not fit; ask wait_for_room first")
        lanes = np.zeros((len(main), 3), np.float32)
        lanes[:, :2] = main
        if cue is not None and self.has_cue:
            lanes[:, 2] = cue
        self._queue.append(lanes)
        self._written += len(main)

    def read(self) -> list[Captured]:
        """See `Card`."""
        self.queued_samples()
        captured, self._captured = self._captured, []
        return captured

    def close(self) -> None:
        """See `Card`. What is queued is never handed out."""
        self._is_closed = True

    def unplug(self) -> None:
        """Loses the device: samples are thrown away at the same pace, and nothing comes in."""
        self.queued_samples()
        self._is_lost, self._is_back = True, False

    def plug_in(self) -> None:
        """The device is there again: the next `wait_for_room` opens it."""
        self._is_back = self._is_lost

    def _start_opening(self) -> None:
        self._written = self._handed = 0
        self._queue: deque[np.ndarray] = deque()
        self._captured: list[Captured] = []
        self._echo = np.zeros((self._round_trip, 2), np.float32)  # handed out and not yet come back

    def _hand_out(self, count: int) -> None:
        """One block's samples leave, and its input arrives."""
        pieces, missing = [], count
        while missing:
            first = self._queue.popleft()
            if len(first) > missing:
                self._queue.appendleft(first[missing:])
            pieces.append(first[:missing])
            missing -= len(pieces[-1])
        if count and not self._is_lost:
            lanes = np.concatenate(pieces)
            if self._on_play:
                self._on_play(lanes[:, :2], lanes[:, 2])
            if self.input_channels:
                self._captured.append(Captured(self._opening, self._handed, self._input(lanes[:, :2])))
        self._handed += count

    def _input(self, main: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "samples 2"]:
        """What comes in with a block that begins at the samples handed out so far."""
        line = np.concatenate([self._echo, main])
        came, self._echo = self._echo_gain * line[: len(main)], line[len(main) :]
        if self._performance is not None and len(self._performance):
            places = np.arange(self._handed, self._handed + len(main)) - self._round_trip
            there = (places >= 0) & (self._is_looped | (places < len(self._performance)))
            came[there] += self._performance[places[there] % len(self._performance)]
        return came.astype(np.float32, copy=False)
