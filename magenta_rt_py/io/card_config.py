"""Card config: which sound card, which of its channels, and how far ahead it is filled. Pure."""

from __future__ import annotations

import dataclasses
import json
import math

__all__ = ["NO_INPUT", "CardConfig"]

NO_INPUT = ""
"""As `CardConfig.input`: the card only plays."""
MOST_CHANNELS = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardConfig:
    """What to open. Channels are counted from 1, as on the card's front. Ours."""

    output: str | int | None = None
    """Part of the device's name, or its index; None is the default device (`mrtpy devices`)."""
    input: str | int | None = NO_INPUT
    """The same for the input; "" is no input."""
    output_channels: tuple[int, ...] = (1, 2)
    """Channels of left and right. A single one gets (left + right) / 2; so does a device that has only one."""
    input_channels: tuple[int, ...] = (1,)
    """One channel, which is doubled, or left and right."""
    cue: bool | tuple[int, ...] = False
    """Channels that all get the metronome; True is the pair after the main channels, False is none."""
    sample_rate: int | None = None
    """Samples a second; None takes 48000 if the device can, else what it likes best. Others are resampled."""
    block_samples: int = 512
    """48 kHz samples that the driver asks for at once, 32 .. 8192."""
    buffer_samples: int = 4800
    """Most 48 kHz samples that are queued, two blocks .. 480000: how long the engine may be busy without a gap."""
    latency: str | float = "high"
    """What the driver is asked for: "low", "high" or seconds. "low" suits JACK, ASIO and Core Audio."""
    separate_streams: bool | None = None
    """Whether output and input are opened apart. None tries them together first, unless they are a sound server's."""
    opening_seconds: float = 10.0
    """A device that has not asked for sound so long after being opened is given up, 1 .. 120."""
    retry_seconds: float = 2.0
    """A lost device is looked for so often, 0.1 .. 60."""

    def __post_init__(self) -> None:
        for name, channels, most in (
            ("output_channels", self.output_channels, 2),
            ("input_channels", self.input_channels, 2),
            ("cue", self.cue_channels or (MOST_CHANNELS,), MOST_CHANNELS),
        ):
            _check_channels(name, channels, most)
        if set(self.cue_channels) & set(self.output_channels):
            raise ValueError(f"cue {self.cue_channels} and output_channels {self.output_channels} overlap; give others")
        if self.output == NO_INPUT:
            raise ValueError("output is empty; give a device, or None for the default one")
        for name, value, low, high in (
            ("sample_rate", self.sample_rate if self.sample_rate is not None else 48_000, 8_000, 384_000),
            ("block_samples", self.block_samples, 32, 8192),
            ("buffer_samples", self.buffer_samples, 2 * self.block_samples, 480_000),
            ("opening_seconds", self.opening_seconds, 1.0, 120.0),
            ("retry_seconds", self.retry_seconds, 0.1, 60.0),
        ):
            if not math.isfinite(value) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")
        if isinstance(self.latency, str):
            if self.latency not in {"low", "high"}:
                raise ValueError(f"latency is {self.latency!r}; give 'low', 'high' or seconds")
        elif not 0.0 < self.latency <= 10.0:
            raise ValueError(f"latency is {self.latency!r}; give 'low', 'high' or seconds up to 10")

    @property
    def has_input(self) -> bool:
        """Whether anything is recorded."""
        return self.input != NO_INPUT

    @property
    def cue_channels(self) -> tuple[int, ...]:
        """The cue's channels, from 1; empty without a cue."""
        if isinstance(self.cue, bool):
            after = max(self.output_channels, default=0)
            return (after + 1, after + 2) if self.cue else ()
        return self.cue

    def to_json(self) -> str:
        """Text for another process."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> CardConfig:
        """What `to_json` was made from."""
        values = json.loads(text)
        return CardConfig(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _check_channels(name: str, channels: tuple[int, ...], most: int) -> None:
    right = all(isinstance(channel, int) and 1 <= channel <= MOST_CHANNELS for channel in channels)
    if not right or not 1 <= len(channels) <= most or len(set(channels)) != len(channels):
        expected = "one or two" if most == 2 else "one or more"
        raise ValueError(f"{name} is {channels!r}; give {expected} different channel numbers from 1, such as (1, 2)")
