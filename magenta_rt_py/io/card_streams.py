"""Card streams: the driver's calls, and opening the devices for them. Stateful; only the card's process uses it.

    duplex      one call gives input and takes output: the input belongs to the block that is handed out with it
    separate    two calls at moments of their own: a Follower finds where the input stands in the output
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from magenta_rt_py.errors import AudioDeviceError
from magenta_rt_py.io import devices, durations
from magenta_rt_py.io.capture import CaptureWriter
from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.card_memory import CardMemory, Field
from magenta_rt_py.io.following import Follower
from magenta_rt_py.io.playback import Playback

__all__ = ["Calls", "OpenStreams", "open_streams"]

ENGINE_HZ = 48_000
SOUND_SERVERS = ("pulse", "pipewire", "default", "sysdefault")
"""ALSA's names for sound servers: through them PortAudio's duplex streams stall."""


class OpenStreams(NamedTuple):
    """What was opened."""

    streams: tuple[Any, ...]
    """sounddevice's streams, started: one, or output and input."""
    playback: Playback
    """What the output plays."""


class Calls:
    """What the driver calls."""

    def __init__(
        self, memory: CardMemory, playback: Playback, *, output_hz: int, input_hz: int, input_channels: tuple[int, ...]
    ) -> None:
        """Before the first call.

        Args:
          memory: shared with the engine's process.
          playback: fills blocks.
          output_hz: rate of the output.
          input_hz: rate of the input.
          input_channels: device channels to take, from 0.
        """
        self._memory, self._playback = memory, playback
        self._capture = CaptureWriter(memory.input, memory.marks)
        self._inputs = list(input_channels)
        self._follower = Follower(input_hz=input_hz, output_hz=output_hz)
        self._output_hz = output_hz
        self._handed = (0, 0, 0.0)  # position, samples and moment of the last block handed out

    def play(self, out: Any, samples: int, moment: Any, flags: Any) -> None:
        """An output's call."""
        began = time.perf_counter_ns()
        position = self._playback.position
        count = self._playback.fill(_view(out, samples))
        self._handed = (position, count if count == samples else 0, began / 1e9)
        self._note(flags, began)

    def play_and_capture(self, came: Any, out: Any, samples: int, moment: Any, flags: Any) -> None:
        """A duplex stream's call."""
        began = time.perf_counter_ns()
        position = self._playback.position
        count = self._playback.fill(_view(out, samples))
        if count:
            self._capture.write(_view(came, samples)[:count, self._inputs], position)
            self._memory.set(Field.INPUT_LOST, self._capture.lost)
        self._note(flags, began)

    def capture(self, came: Any, samples: int, moment: Any, flags: Any) -> None:
        """An input's call, where it is opened by itself."""
        position, count, began = self._handed
        since = min((time.perf_counter() - began) * self._output_hz, float(count))
        placed = self._follower.step(samples, position + since if count else None)
        if placed:
            self._capture.write(_view(came, samples)[:, self._inputs], placed[0], placed[1] - placed[0])
            self._memory.set(Field.INPUT_LOST, self._capture.lost)

    def _note(self, flags: Any, began: int) -> None:
        memory = self._memory
        memory.set(Field.UNDERFLOWS, self._playback.underflows)
        if flags and flags.output_underflow:
            memory.add(Field.DRIVER_UNDERFLOWS)
        memory.add(Field.CALLBACKS)
        durations.note(memory.callback_counts, time.perf_counter_ns() - began)


def open_streams(memory: CardMemory, config: CardConfig) -> OpenStreams:
    """Opens and starts what the config asks for, and notes in the memory what that is.

    Raises:
      AudioDeviceError: a device is absent, busy, or has too few channels; the message says what there is.
      MissingExtraError: sounddevice is not installed.
    """
    sounddevice = devices.load_sounddevice()
    found = devices.query()
    output = devices.choose(found, config.output, is_input=False)
    source = devices.choose(found, config.input, is_input=True) if config.has_input else None
    main = config.output_channels
    if output.output_channels == 1 and main == (1, 2):
        main = (1,)
    outputs = max((*main, *config.cue_channels))
    _check_channels(output, outputs, is_input=False)
    inputs = max(config.input_channels)
    if source:
        _check_channels(source, inputs, is_input=True)
    rate = _choose_rate(sounddevice, output, outputs, config.sample_rate, is_input=False)
    input_rate = rate
    if source and not _takes(sounddevice, source, inputs, rate, is_input=True):
        input_rate = _choose_rate(sounddevice, source, inputs, None, is_input=True)

    playback = Playback(
        memory.output,
        lanes=3 if config.cue_channels else 2,
        main_channels=_from_zero(main),
        cue_channels=_from_zero(config.cue_channels),
    )
    calls = Calls(
        memory, playback, output_hz=rate, input_hz=input_rate, input_channels=_from_zero(config.input_channels)
    )
    memory.name = output.full_name + (f"\n{source.full_name}" if source else "")
    memory.set(Field.OUTPUT_RATE_HZ, rate)
    memory.set(Field.INPUT_RATE_HZ, input_rate)
    memory.set(Field.BLOCK_DEVICE_SAMPLES, _block(config, rate))
    opened = _Opening(sounddevice, config, calls, output, outputs, rate, source, inputs, input_rate).start()
    memory.set(Field.IS_DUPLEX, int(source is not None and len(opened) == 1))
    latency = opened[0].latency
    latency = latency if isinstance(latency, float) else latency[1]
    memory.set(Field.OUTPUT_LATENCY_NS, round(1e9 * latency))
    return OpenStreams(opened, playback)


class _Opening(NamedTuple):
    """All that is known before the devices are opened."""

    sounddevice: Any
    config: CardConfig
    calls: Calls
    output: devices.Device
    outputs: int
    rate: int
    source: devices.Device | None
    inputs: int
    input_rate: int

    def start(self) -> tuple[Any, ...]:
        """Starts the streams, output first."""
        if self.source is None:
            return (self._output(),)
        if not self._starts_apart():
            try:
                return (self._duplex(),)
            except self.sounddevice.PortAudioError:
                if self.config.separate_streams is False:
                    raise
        streams = (self._output(),)
        try:
            return (*streams, self._input())
        except Exception:
            streams[0].close()
            raise

    def _starts_apart(self) -> bool:
        if self.config.separate_streams is not None:
            return self.config.separate_streams
        source = self.source or self.output
        is_server = any(device.host_api == "ALSA" and device.name in SOUND_SERVERS for device in (self.output, source))
        return is_server or source.host_api != self.output.host_api or self.input_rate != self.rate

    def _duplex(self) -> Any:
        return self._started(
            self.sounddevice.RawStream(
                device=(self.source.index if self.source else None, self.output.index),
                channels=(self.inputs, self.outputs),
                samplerate=self.rate,
                blocksize=_block(self.config, self.rate),
                dtype="float32",
                latency=self.config.latency,
                callback=self.calls.play_and_capture,
            )
        )

    def _output(self) -> Any:
        return self._started(
            self.sounddevice.RawOutputStream(
                device=self.output.index,
                channels=self.outputs,
                samplerate=self.rate,
                blocksize=_block(self.config, self.rate),
                dtype="float32",
                latency=self.config.latency,
                callback=self.calls.play,
            )
        )

    def _input(self) -> Any:
        return self._started(
            self.sounddevice.RawInputStream(
                device=self.source.index if self.source else None,
                channels=self.inputs,
                samplerate=self.input_rate,
                blocksize=_block(self.config, self.input_rate),
                dtype="float32",
                latency=self.config.latency,
                callback=self.calls.capture,
            )
        )

    def _started(self, stream: Any) -> Any:
        try:
            stream.start()
        except Exception:
            stream.close()
            raise
        return stream


def _choose_rate(sounddevice: Any, device: devices.Device, channels: int, asked: int | None, *, is_input: bool) -> int:
    if asked is not None or _takes(sounddevice, device, channels, ENGINE_HZ, is_input=is_input):
        return asked or ENGINE_HZ
    return device.default_rate_hz


def _takes(sounddevice: Any, device: devices.Device, channels: int, rate: int, *, is_input: bool) -> bool:
    check = sounddevice.check_input_settings if is_input else sounddevice.check_output_settings
    try:
        check(device=device.index, channels=channels, dtype="float32", samplerate=rate)
    except (sounddevice.PortAudioError, ValueError):
        return False
    return True


def _check_channels(device: devices.Device, needed: int, *, is_input: bool) -> None:
    there = device.input_channels if is_input else device.output_channels
    if needed > there:
        kind = "input" if is_input else "output"
        raise AudioDeviceError(
            f"{device.full_name!r} has {there} {kind} channels and number {needed} was asked for; choose channels up to "
            f"{there}, or another device (mrtpy devices)"
        )


def _block(config: CardConfig, rate: int) -> int:
    """Device samples that last as long as the config's block."""
    return max(1, round(config.block_samples * rate / ENGINE_HZ))


def _from_zero(channels: Sequence[int]) -> tuple[int, ...]:
    return tuple(channel - 1 for channel in channels)


def _view(buffer: Any, samples: int) -> np.ndarray:
    return np.frombuffer(buffer, np.float32).reshape(samples, -1)
