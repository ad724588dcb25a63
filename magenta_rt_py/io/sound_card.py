"""Sound card: a `live.card.Card` with a device behind it, in a process of its own (`card_process`).

    engine --write--> ring --> card's process --> device          while it runs
    engine --write--> thrown away at 48 kHz by the clock          while it is lost; every 2 s a new process looks for it

Stateful. A thread watches over the card's process and starts new ones; what concerns the samples happens in the methods'
own thread, so that an opening begins with a whole number of written samples.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time

import numpy as np
from jaxtyping import Float

from magenta_rt_py.errors import MrtError
from magenta_rt_py.io.card_child import CardChild
from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.open_card import OpenCard
from magenta_rt_py.io.pace import Pace
from magenta_rt_py.live.card import Captured, CardStatus

__all__ = ["SoundCard"]

ENGINE_HZ = 48_000
WATCH_SECONDS = 0.02
SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.001, 0.02


class SoundCard:
    """A `live.card.Card`. `close` it, or use it in a `with` statement."""

    def __init__(self, config: CardConfig | None = None) -> None:
        """Opens the device and waits until its driver asks for sound.

        Args:
          config: what to open; None is the default device.
        Raises:
          AudioDeviceError: it cannot be opened; the message lists what there is.
          MissingExtraError: sounddevice is not installed.
        """
        self._config = config or CardConfig()
        self.block_samples = self._config.block_samples
        self.input_channels = len(self._config.input_channels) if self._config.has_input else 0
        self.has_cue = bool(self._config.cue_channels)
        self._opening = 0
        self._past_underflows = 0
        self._problem: str | None = None
        self._pace: Pace | None = None  # while it is lost
        self._paced = 0
        child = CardChild(self._config)
        child.wait_until_open()
        self._names = child.output_name, child.input_name
        self._card = OpenCard(child, self._config)
        # Between the two threads: the watcher sets these, under the lock; the methods' thread takes what was found.
        self._lock = threading.Lock()
        self._is_lost = False
        self._found: CardChild | None = None
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="sound card watcher", daemon=True)
        self._watcher.start()

    @property
    def opening(self) -> int:
        """See `Card`."""
        return self._opening

    @property
    def status(self) -> CardStatus:
        """See `Card`."""
        card = self._card
        return CardStatus(
            name=" / ".join(name for name in self._names if name),
            is_running=not (self._is_lost or self._closing.is_set()),
            opening=self._opening,
            underflows=self._past_underflows + card.underflows,
            problem=self._problem,
            callback_p999_seconds=card.callback_quantile(0.999),
            block_seconds=card.block_seconds,
            output_delay_seconds=card.output_delay_seconds,
            driver_underflows=card.driver_underflows,
        )

    @property
    def rate_hz(self) -> int:
        """Samples a second of the device's output."""
        return self._card.rate_hz

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """See `Card`."""
        if samples > self._config.buffer_samples:
            most = self._config.buffer_samples
            raise ValueError(f"room for {samples} samples in a buffer of {most}; write less at a time, or set more")
        ends = time.monotonic() + timeout_seconds
        while not self._closing.is_set():
            self._take_found()
            missing = self.queued_samples() + samples - self._config.buffer_samples
            if missing <= 0:
                return True
            left = ends - time.monotonic()
            if left <= 0.0:
                return False
            nap = min(max(missing / ENGINE_HZ, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
            time.sleep(min(nap, left))
        return False

    def queued_samples(self) -> int:
        """See `Card`."""
        if not self._is_lost:
            return self._card.written - self._card.handed()
        now = time.monotonic()
        if self._pace is None:
            self._pace, self._paced = Pace(self.block_samples, now), self._card.handed()
        self._paced += sum(self._pace.take(now, self._card.written - self._paced))
        return self._card.written - self._paced

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """See `Card`."""
        if self._is_lost:
            self._card.written += len(main)
        else:
            self._card.write(main, cue)

    def read(self) -> list[Captured]:
        """See `Card`."""
        return [Captured(self._opening, start, samples) for start, samples in self._card.read()]

    def close(self) -> None:
        """See `Card`. What is still queued is faded out."""
        self._closing.set()
        self._watcher.join()
        self._card.child.close()
        if self._found:
            self._found.close()

    def __enter__(self) -> SoundCard:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _take_found(self) -> None:
        """Begins a new opening, if the device is back."""
        with self._lock:
            if self._found is None:
                return
            child, self._found = self._found, None
            self._past_underflows += self._card.underflows
            self._card = OpenCard(child, self._config)
            self._names = child.output_name, child.input_name
            self._opening += 1
            self._pace = None
            self._is_lost, self._problem = False, None

    def _watch(self) -> None:
        """The watcher's thread."""
        retry_at = 0.0
        while not self._closing.wait(WATCH_SECONDS):
            with self._lock:
                found, is_lost = self._found, self._is_lost
            current = found or (None if is_lost else self._card.child)
            if current is not None:
                reason = current.problem()
                if reason:
                    current.kill()
                    self._lose(current, reason)
            elif time.monotonic() >= retry_at:
                with contextlib.suppress(MrtError):  # it has been said that it is lost; the reason stays the first one
                    self._look_for_it()
                retry_at = time.monotonic() + self._config.retry_seconds

    def _lose(self, child: CardChild, reason: str) -> None:
        with self._lock:
            if self._found is child:
                self._found = None
            self._problem = (
                f"sound card {' / '.join(name for name in self._names if name)!r} is lost, the music goes on: {reason}; "
                "connect it again or start its sound server; it is looked for "
                f"every {self._config.retry_seconds:g} s"
            )
            self._is_lost = True

    def _look_for_it(self) -> None:
        """Tries to open the same device once: the one of the same name, for its index may be another's by now."""
        output, source = self._names
        config = self._config
        if config.output is not None:
            config = dataclasses.replace(config, output=output)
        if config.has_input and config.input is not None:
            config = dataclasses.replace(config, input=source)
        child = CardChild(config)
        child.wait_until_open(self._closing)
        with self._lock:
            self._found = child
