"""Channel strips: what happens to each stem before it is mixed, as in a studio of the genre's time and kind.

Everything repeats with the bar (the chorus turns once a bar) or does not move at all, so that equal bars sound equal.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.signal import butter, sosfilt

from magenta_rt_py.train.studio.genre import Genre
from magenta_rt_py.train.studio.score import SAMPLE_RATE

Stereo = Float[np.ndarray, "2 samples"]

CHORUS_DELAY_SECONDS = 0.009
CHORUS_DEPTH_SECONDS = 0.003
HIGHEST_CUT_HZ = 18000.0  # low-passes above are left out


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Settings of one stem's strip."""

    highpass_hz: float = 0.0  # 0 for none
    drive: float = 0.0  # saturation, 0 none .. 1 strong
    chorus: float = 0.0  # gain of the chorus, 0 none .. 1 strong
    width: float = 1.0  # 0 mono .. 1 as it is .. 2 wide
    pan: float = 0.0  # -1 left .. 1 right
    send: float = 0.0  # into the reverb


STRIPS = {
    "drums": Strip(send=0.3),
    "bass": Strip(send=0.05, width=0.4),
    "comp": Strip(send=0.8, highpass_hz=110.0, pan=-0.16),
    "pad": Strip(send=1.0, highpass_hz=130.0, width=1.2),
    "lead": Strip(send=1.0, highpass_hz=160.0, pan=0.12),
}
CHORUSED = {  # stems that go through a chorus, by genre
    "synthwave": ("comp", "pad"),
    "lofi hip hop": ("comp",),
    "pop": ("comp", "pad"),
    "reggae": ("comp",),
    "drum and bass": ("pad",),
    "trance": ("pad",),
}
CHORUS = 0.6
BUS_DRIVE = 2.0  # saturation of drums and bass against that of the genre's whole mix
WIDTHS = {"chiptune": 0.7, "boom bap": 0.8, "lofi hip hop": 0.85, "ambient": 1.3, "trance": 1.25, "cinematic": 1.2}


def strip_of(genre: str, spec: Genre, stem: str) -> Strip:
    """The strip of a stem in a genre."""
    strip = STRIPS[stem]
    return Strip(
        highpass_hz=strip.highpass_hz,
        drive=min(1.0, BUS_DRIVE * spec.drive) if stem in ("drums", "bass") else 0.0,
        chorus=CHORUS if stem in CHORUSED.get(genre, ()) else 0.0,
        width=strip.width,
        pan=strip.pan,
        send=strip.send,
    )


def width_of(genre: str, spec: Genre) -> float:
    """Stereo width of a genre's mixes, 1 for as it is: dull mixes are narrower, those in large rooms wider."""
    if genre in WIDTHS:
        return WIDTHS[genre]
    return 0.9 if spec.lowpass_hz else 1.15 if spec.wet >= 0.25 else 1.0


def process(sound: Stereo, strip: Strip, *, bar_samples: int, lowpass_hz: float = HIGHEST_CUT_HZ) -> Stereo:
    """Runs a stem through its strip.

    Args:
      sound: the stem at its level; may be changed in place.
      strip: its settings.
      bar_samples: samples in a bar, in which the chorus turns once.
      lowpass_hz: gentle low-pass; none from HIGHEST_CUT_HZ on.
    """
    sections = []
    if strip.highpass_hz:
        sections.append(butter(1, strip.highpass_hz, "highpass", fs=SAMPLE_RATE, output="sos"))
    if lowpass_hz < HIGHEST_CUT_HZ:
        sections.append(butter(1, lowpass_hz, fs=SAMPLE_RATE, output="sos"))
    if sections:
        sound = np.asarray(sosfilt(np.concatenate(sections).astype(np.float32), sound))
    if strip.chorus:
        sound = chorus(sound, strip.chorus, bar_samples)
    if strip.width != 1:
        sound = widen(sound, strip.width)
    if strip.pan:
        sound[0] *= np.float32(min(1.0, 1 - strip.pan))
        sound[1] *= np.float32(min(1.0, 1 + strip.pan))
    return sound


def widen(sound: Stereo, width: float) -> Stereo:
    """Scales the difference of the sides: 0 makes mono, 1 changes nothing."""
    middle, side = (sound[0] + sound[1]) / 2, (sound[0] - sound[1]) * np.float32(width / 2)
    return np.stack([middle + side, middle - side])


def chorus(sound: Stereo, gain: float, period_samples: int) -> Stereo:
    """Adds a copy whose delay swings, in opposite directions left and right."""
    samples = sound.shape[1]
    periods = -(-samples // period_samples)
    swing = np.sin(2 * np.pi * np.arange(period_samples) / period_samples)
    out = sound.copy()
    places = np.arange(period_samples)
    for channel, sign in enumerate((1.0, -1.0)):
        delay = SAMPLE_RATE * (CHORUS_DELAY_SECONDS + sign * CHORUS_DEPTH_SECONDS * swing)
        whole = np.floor(delay).astype(np.int64) + 1
        part = (whole - delay).astype(np.float32)  # weight of the later of the two samples
        margin = int(whole.max())
        padded = np.zeros(periods * period_samples + margin, np.float32)
        padded[margin : margin + samples] = sound[channel]
        index = places + margin - whole
        for period in range(periods):
            start = period * period_samples
            view = padded[start:]
            copy = view[index] * (1 - part) + view[index + 1] * part
            end = min(samples, start + period_samples)
            out[channel, start:end] += np.float32(gain) * copy[: end - start]
    return out / np.float32(1 + gain / 2)
