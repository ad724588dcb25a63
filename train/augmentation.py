"""Makes studio pieces sound like recordings: rooms, noise, worn tone, other speeds and levels.

A codec that has heard clean renders only is at a loss with a microphone. A share of its training pieces therefore goes
through some of what happens to music on its way: played at another speed (which detunes it as a tape does), into a room,
through equipment that tilts and limits its band, driven too hard, narrowed, with hiss and hum, at another level.

Ranges are ours: what recordings have, from a good one to a poor one. Speed changes tempo and pitch, so a piece whose
labels of those are used must be given `speed_probability=0`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
import soxr
from jaxtyping import Float, Float32

from magenta_rt_py.audio import db_to_gain
from magenta_rt_py.train.studio import effects

_RATE = 48_000  # samples a second
_SALT = 0x5EED  # so that a piece's changes have nothing to do with its notes
_TILT_PIVOT_HZ = 900.0  # a tilt leaves the level here
_NOISE_SECONDS = 2.7  # noise is a loop of this length
_ROOMS = tuple(effects.ROOMS)
_LOUDEST = 0.99  # peak after all


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How likely each change is, and from where to where it goes (drawn evenly)."""

    # Share of pieces that are changed at all.
    share: float = 0.4
    speed_probability: float = 0.6
    # Playing speed; 1.06 is a semitone up.
    speed: tuple[float, float] = (0.89, 1.12)
    room_probability: float = 0.5
    # Level of the room beside the sound, decibels.
    room_db: tuple[float, float] = (-20.0, -3.0)
    tilt_probability: float = 0.6
    # Highs over lows, decibels.
    tilt_db: tuple[float, float] = (-9.0, 9.0)
    band_limit_probability: float = 0.35
    # Upper end of the band, hertz; drawn evenly in octaves.
    band_limit_hz: tuple[float, float] = (5_000.0, 18_000.0)
    drive_probability: float = 0.3
    # Soft clipping, 0 none .. 1 strong.
    drive: tuple[float, float] = (0.2, 1.0)
    narrow_probability: float = 0.25
    # Side level that is left, 0 is mono.
    narrow: tuple[float, float] = (0.0, 0.7)
    noise_probability: float = 0.6
    # Level of hiss (and in half of the cases hum), decibels of full scale.
    noise_db: tuple[float, float] = (-80.0, -42.0)
    # Change of level, decibels; always.
    gain_db: tuple[float, float] = (-12.0, 2.0)


def is_changed(seed: int, config: AugmentationConfig | None = None) -> bool:
    """Whether `augment` changes the piece of this seed."""
    config = config or AugmentationConfig()
    return bool(np.random.default_rng((_SALT, seed, 0)).random() < config.share)


def augment(
    samples: Float[np.ndarray, "samples 2"], *, seed: int, config: AugmentationConfig | None = None
) -> Float32[np.ndarray, "samples 2"]:
    """A piece as it might come out of a recording: same length, peaks below 1.

    Args:
      samples: 48 kHz, amplitude -1..1; left as they are.
      seed: decides everything; a share of `1 - config.share` of all seeds gives the piece unchanged.
    """
    config = config or AugmentationConfig()
    if not is_changed(seed, config):
        return samples.astype(np.float32)
    random = np.random.default_rng((_SALT, seed, 1))

    def happens(probability: float) -> bool:
        return bool(random.random() < probability)

    sound = np.ascontiguousarray(samples.T.astype(np.float32))
    if happens(config.speed_probability):
        sound = _at_speed(sound, random.uniform(*config.speed))
    if happens(config.drive_probability):
        sound = effects.saturate(sound, random.uniform(*config.drive))
    if happens(config.narrow_probability):
        sound = _narrowed(sound, random.uniform(*config.narrow))
    if happens(config.room_probability):
        sound = _in_room(sound, _ROOMS[random.integers(len(_ROOMS))], random.uniform(*config.room_db))
    if happens(config.tilt_probability):
        sound = _tilted(sound, random.uniform(*config.tilt_db))
    if happens(config.band_limit_probability):
        low, high = np.log2(config.band_limit_hz)
        sound = effects.lowpass(sound, 2.0 ** random.uniform(low, high), order=int(random.integers(1, 5)) * 2)
    sound = sound * np.float32(db_to_gain(random.uniform(*config.gain_db)))
    if happens(config.noise_probability):
        sound = sound + _noise(random, sound.shape[1], random.uniform(*config.noise_db))
    peak = float(np.abs(sound).max(initial=0.0))
    return np.ascontiguousarray((sound * np.float32(min(1.0, _LOUDEST / max(peak, 1e-9)))).T, dtype=np.float32)


def _at_speed(sound: effects.Stereo, speed: float) -> effects.Stereo:
    """The sound played faster or slower; what is missing at the end is taken from the beginning."""
    size = sound.shape[1]
    played = soxr.resample(sound.T, _RATE * speed, _RATE, quality="MQ").T
    return np.tile(played, -(-size // max(1, played.shape[1])))[:, :size] if played.size else sound


def _narrowed(sound: effects.Stereo, width: float) -> effects.Stereo:
    mid, side = 0.5 * (sound[0] + sound[1]), np.float32(0.5 * width) * (sound[0] - sound[1])
    return np.stack([mid + side, mid - side])


def _in_room(sound: effects.Stereo, room: str, level_db: float) -> effects.Stereo:
    """With the room's answer at a level relative to the sound's own."""
    wet = effects.reverb(0.5 * (sound[0] + sound[1]), room)
    loudness = float(np.sqrt(np.vdot(sound, sound) / (np.vdot(wet, wet) + 1e-12)))
    return sound + np.float32(db_to_gain(level_db) * loudness) * wet


def _tilted(sound: effects.Stereo, tilt_db: float) -> effects.Stereo:
    """Highs over lows by `tilt_db`, half of it each way from the pivot."""
    pole = float(np.exp(-2.0 * np.pi * _TILT_PIVOT_HZ / _RATE))
    lows = scipy.signal.lfilter(np.float32([1.0 - pole]), np.float32([1.0, -pole]), sound, axis=1)
    up = np.float32(db_to_gain(0.5 * tilt_db))
    return up * (sound - lows) + lows / up


def _noise(random: np.random.Generator, samples: int, level_db: float) -> effects.Stereo:
    """Hiss, from white to dark, and in half of the cases mains hum."""
    size = int(_NOISE_SECONDS * _RATE)
    pole = random.uniform(0.0, 0.95)
    hiss = scipy.signal.lfilter([1.0 - pole], [1.0, -pole], random.standard_normal((2, size)), axis=1)
    hiss /= np.sqrt((hiss**2).mean())
    if random.random() < 0.5:
        hertz = (50.0, 60.0)[random.integers(2)]  # whole periods in the loop
        phase = 2.0 * np.pi * np.round(hertz * _NOISE_SECONDS) / size * np.arange(size)
        hiss = hiss + sum(np.sin(harmonic * phase) / harmonic for harmonic in (1, 2, 3))
    loop = (db_to_gain(level_db) * hiss).astype(np.float32)
    return np.tile(loop, -(-samples // size))[:, :samples]
