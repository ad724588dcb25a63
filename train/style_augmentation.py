"""Makes clean renders sound recorded, as log-mels: gain, colour, cut bands, noise and rooms cost next to nothing there.

A style model that has heard studio renders only takes every hiss and every room for a style of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_FRAME_SECONDS = 0.02  # of the starter's log-mels; rooms need no exact one


@dataclass(frozen=True, kw_only=True)
class LogMelAugmentation:
    """What may happen to a clip, and how often (all ours)."""

    # Largest gain, +- dB.
    gain_db: float = 6.0
    # Deviation of a random smooth equaliser curve at its five support points, dB.
    colour_db: float = 3.0
    # Share of clips that lose their lowest or highest bands, as small loudspeakers and old recordings do.
    cut_share: float = 0.15
    # Share of clips with steady noise below them.
    noise_share: float = 0.3
    # Level of that noise relative to the clip's mean power, dB: from, to.
    noise_db: tuple[float, float] = (-50.0, -20.0)
    # Share of clips in a room.
    room_share: float = 0.3
    # Time in which the room's sound falls by 60 dB, seconds: from, to.
    room_seconds: tuple[float, float] = (0.2, 1.5)
    # Level of the room's sound relative to the clip, dB: from, to.
    room_db: tuple[float, float] = (-15.0, -3.0)
    # Power under the logarithm of the front end (StyleConfig.log_floor): what silence stays at.
    log_floor: float = 1e-3

    def __call__(
        self, log_mels: Float[np.ndarray, "clips frames bands"], random: np.random.Generator
    ) -> Float[np.ndarray, "clips frames bands"]:
        """New log-mels; a function of the clips and of what `random` draws."""
        clips, _, bands = log_mels.shape
        power = np.maximum(np.exp(log_mels.astype(np.float32)) - np.float32(self.log_floor), 0.0)
        power *= self._filters(clips, bands, random)[:, None]
        roomy = np.flatnonzero(random.random(clips) < self.room_share)
        power[roomy] += self._room(power[roomy], random)
        noisy = np.flatnonzero(random.random(clips) < self.noise_share)
        power[noisy] += self._noise(power[noisy], random)
        return np.log(power + np.float32(self.log_floor))

    def _filters(self, clips: int, bands: int, random: np.random.Generator) -> Float[np.ndarray, "clips bands"]:
        """Power factor of every band: gain, colour and cut."""
        support = np.linspace(0, bands - 1, 5)
        curves = random.normal(0.0, self.colour_db, (clips, 5))
        level_db = np.stack([np.interp(np.arange(bands), support, curve) for curve in curves])
        level_db += random.uniform(-self.gain_db, self.gain_db, (clips, 1))
        edges = random.uniform(0.02, 0.35, clips) * bands
        below = random.random(clips) < 0.5
        beyond = np.where(below[:, None], edges[:, None] - np.arange(bands), np.arange(bands) - (bands - 1 - edges[:, None]))
        cut = random.random(clips) < self.cut_share
        level_db -= cut[:, None] * np.clip(6.0 * beyond, 0.0, 40.0)
        return (10.0 ** (level_db / 10.0)).astype(np.float32)

    def _room(
        self, power: Float[np.ndarray, "clips frames bands"], random: np.random.Generator
    ) -> Float[np.ndarray, "clips frames bands"]:
        """The power that a room adds: every band dies away exponentially."""
        clips = len(power)
        seconds = random.uniform(*self.room_seconds, clips)
        keep = (10.0 ** (-6.0 * _FRAME_SECONDS / seconds)).astype(np.float32)[:, None]
        wet = (10.0 ** (random.uniform(*self.room_db, clips) / 10.0)).astype(np.float32)[:, None]
        tail, added = np.zeros_like(power[:, 0]), np.empty_like(power)
        for frame in range(power.shape[1]):
            tail = keep * tail + (1.0 - keep) * power[:, frame]
            added[:, frame] = wet * tail
        return added

    def _noise(
        self, power: Float[np.ndarray, "clips frames bands"], random: np.random.Generator
    ) -> Float[np.ndarray, "clips frames bands"]:
        """Steady noise of a random tilt, with the scatter that a band's power has in noise."""
        clips, frames, bands = power.shape
        tilt_db = random.uniform(-1, 1, (clips, 1)) * np.linspace(-12, 12, bands)
        level_db = random.uniform(*self.noise_db, (clips, 1)) + tilt_db
        level = power.mean(axis=(1, 2))[:, None] * 10.0 ** (level_db / 10.0)
        scatter = random.standard_gamma(4.0, (clips, frames, bands), dtype=np.float32) / 4.0
        return level[:, None].astype(np.float32) * scatter
