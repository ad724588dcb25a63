"""What is heard in a file: tempo, key, brightness and density, for captions and for controls.

    sound, block by block -> onset curve of the whole file -> tempo, certain or not (grid.py: beats and bars)
                          -> pitch classes and spectral centroid of every 2 s -> key, brightness
                          -> onsets of every 2 s -> density

Chroma and centroid are librosa's (McFee et al. 2015).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.audio import SAMPLE_RATE_HZ
from magenta_rt_py.errors import MissingExtraError
from magenta_rt_py.train.evaluation import audio_metrics, beat_tracking, rhythm
from magenta_rt_py.train.prepare.grid import HARMONY_HOP_SAMPLES, BeatGrid, Harmony, find_grid
from magenta_rt_py.train.studio.vocabulary import DENSITY_WORDS, TEMPO_WORDS

UNKNOWN = -1.0
"""Stands in descriptors for what is not known."""

STEP_SECONDS = 2
"""Descriptors are measured once in so many seconds."""

STEP_SAMPLES = STEP_SECONDS * SAMPLE_RATE_HZ
FLUX_STEP = STEP_SECONDS * rhythm.FLUX_RATE_HZ
CHROMA_WINDOW_SAMPLES = 8192
CHROMA_HOP_SAMPLES = 4096
HARMONY_WINDOW_SAMPLES = 4096
BASS_BINS = slice(2, 30)
"""Of the harmony's spectrum: 23 to 350 Hz."""
CENTROID_WINDOW_SAMPLES = 2048
CENTROID_HOP_SAMPLES = 4800

CERTAIN_KEY = 0.1
"""Correlation by which the notes of a key must be ahead of those of every other. On 46 held-out renders 29 keys were
certain; the notes were right for 86 % of them, the tonic too for half: relative major and minor are hard to tell."""

ONSET_NEPERS = 0.1
"""Mean rise over the mel bands that counts as an onset; held-out renders of pads have 0.2 a second, of dance music 5."""

BRIGHTNESS_STEPS_HZ = ((900.0, "dark"), (1500.0, "warm"), (2900.0, ""), (3800.0, "bright"), (float("inf"), "very bright"))
"""Below this median centroid a file is called so. Steps at the quantiles of the studio's renders, whose words the style
model knows."""

DENSITY_STEPS = ((1.5, 0.0), (5.0, 0.5), (float("inf"), 1.0))
"""Below so many onsets a second a file has this density, on the scale of the studio's DENSITY_WORDS."""

PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MAJOR_PROFILE = (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0)
MINOR_PROFILE = (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0)
"""How much each pitch class belongs to a key. Source: Temperley 1999, after Krumhansl and Kessler 1982, whose own profiles
found the right notes on 54 % of the same renders where these found them on 74 %."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What was heard in a whole file."""

    # Tempo, and where beats and bars are; None: no steady beat.
    grid: BeatGrid | None
    # 0..11 C..B major, 12..23 C..B minor; None: not certain.
    key: int | None
    # Spectral centroid of every 2 s, Hz; UNKNOWN in silence.
    centroid_hz: Float[np.ndarray, " steps"]
    # Onsets a second, of every 2 s.
    onset_rate: Float[np.ndarray, " steps"]

    @property
    def bpm(self) -> float | None:
        """Tempo in beats a minute; None: not certain."""
        return None if self.grid is None else self.grid.bpm

    @property
    def words(self) -> list[str]:
        """The same in words that the studio's captions use, such as "bright", "busy", "upbeat", "124 bpm"."""
        known = self.centroid_hz[self.centroid_hz > 0]
        found = [_step(BRIGHTNESS_STEPS_HZ, float(np.median(known)))] if len(known) else []
        density = _step(DENSITY_STEPS, float(np.mean(self.onset_rate))) if len(self.onset_rate) else 0.5
        if density != 0.5:
            found.append(_step(DENSITY_WORDS, density)[0])
        if self.bpm is not None:
            found += [_step(TEMPO_WORDS, self.bpm)[0], f"{round(self.bpm)} bpm"]
        return [word for word in found if word]

    @property
    def key_word(self) -> str:
        """Such as "C# minor"; empty where the key is not certain."""
        return "" if self.key is None else key_name(self.key)

    def descriptors(self, start_samples: int, steps: int) -> Float[np.ndarray, "steps 4"]:
        """Tempo (bpm), key (0..23), centroid (Hz) and onset rate (a second) of every 2 s of a piece; UNKNOWN: not known.

        Args:
          start_samples: where the piece begins in the file.
          steps: how many.
        """
        rows = np.full((steps, 4), UNKNOWN, np.float32)
        places = round(start_samples / STEP_SAMPLES) + np.arange(steps)
        inside = places < len(self.centroid_hz)
        rows[:, 0] = UNKNOWN if self.bpm is None else self.bpm
        rows[:, 1] = UNKNOWN if self.key is None else self.key
        rows[inside, 2] = self.centroid_hz[places[inside]]
        rows[inside, 3] = self.onset_rate[places[inside]]
        return rows


class Listener:
    """Hears a file block by block and keeps curves, not sound."""

    BLOCK_SAMPLES = 10 * STEP_SAMPLES
    """Length of every block but the last, 20 s: whole steps and whole values of the onset curve."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._curves: list[np.ndarray] = []
        self._chroma: list[np.ndarray] = []
        self._harmony: list[Harmony] = []
        self._centroids: list[float] = []
        self._onset_rates: list[np.ndarray] = []

    def add(self, samples: Float[np.ndarray, "samples 2"]) -> None:
        """Hears a block."""
        mono = samples.mean(1)
        values = -(-len(samples) // beat_tracking.CURVE_HOP_SAMPLES)
        curve = np.zeros(values, np.float32)
        if len(samples) >= 2 * beat_tracking.WINDOW_SAMPLES:
            found = beat_tracking.onset_curve(samples)
            # Value i of the curve belongs to sample (i + 1) * hop + window / 2: moved to where it sounds.
            shift = 1 + beat_tracking.WINDOW_SAMPLES // 2 // beat_tracking.CURVE_HOP_SAMPLES
            curve[shift : shift + len(found)] = found[: values - shift]
        self._curves.append(curve)
        self._harmony.append(_harmony(mono))
        steps = -(-len(samples) // STEP_SAMPLES)
        flux = np.zeros(0, np.float32)
        if len(samples) >= STEP_SAMPLES:  # the flux is less its moving mean of a second, so shorter sound has none
            flux = rhythm.onset_flux(rhythm.log_mel(samples))
        self._onset_rates.append(onset_rates(flux, steps))
        for start in range(0, len(mono), STEP_SAMPLES):
            step = mono[start : start + STEP_SAMPLES]
            chroma = _chroma(step) if len(step) >= 2 * CHROMA_WINDOW_SAMPLES else np.zeros((0, 12), np.float32)
            self._chroma.append(chroma)
            self._centroids.append(_centroid_hz(step))

    def measured(self) -> Measured:
        """What was heard so far."""
        curve = np.concatenate(self._curves) if self._curves else np.zeros(0, np.float32)
        chroma = np.concatenate(self._chroma) if self._chroma else np.zeros((0, 12), np.float32)
        harmony = Harmony(*map(np.concatenate, zip(*self._harmony, strict=True))) if self._harmony else None
        return Measured(
            grid=find_grid(curve, harmony),
            key=find_key(chroma.mean(0)) if len(chroma) else None,
            centroid_hz=np.asarray(self._centroids, np.float32),
            onset_rate=np.concatenate(self._onset_rates) if self._onset_rates else np.zeros(0, np.float32),
        )


def onset_rates(flux: Float[np.ndarray, " flux"], steps: int) -> Float[np.ndarray, " steps"]:
    """Onsets a second of every 2 s: peaks of the flux (100 values a second) that are high enough."""
    if len(flux) < 3:
        return np.zeros(steps, np.float32)
    inner = flux[1:-1]
    peaks = np.flatnonzero((inner >= flux[:-2]) & (inner > flux[2:]) & (inner > ONSET_NEPERS)) + 1
    counts = np.bincount(peaks // FLUX_STEP, minlength=steps)[:steps]
    return (counts / STEP_SECONDS).astype(np.float32)


def find_key(chroma: Float[np.ndarray, " 12"]) -> int | None:
    """The key whose profile is most like the pitch classes, C first; None where other notes are about as likely.

    Returns:
      0..11 for C..B major, 12..23 for C..B minor.
    """
    if chroma.std() <= 1e-6 * max(float(chroma.mean()), 1e-9):
        return None
    profiles = np.array([np.roll(profile, shift) for profile in (MAJOR_PROFILE, MINOR_PROFILE) for shift in range(12)])
    scores = np.array([np.corrcoef(chroma, profile)[0, 1] for profile in profiles])
    relatives = 12 + (np.arange(12) + 9) % 12  # the minor keys with the notes of C..B major
    second, first = np.sort(np.maximum(scores[:12], scores[relatives]))[-2:]
    return int(scores.argmax()) if first - second >= CERTAIN_KEY else None


def key_name(key: int) -> str:
    """Such as "C# minor"."""
    return f"{PITCH_CLASSES[key % 12]} {'major' if key < 12 else 'minor'}"


def _step(steps: Any, value: float) -> Any:
    """What stands at the first bound above the value."""
    return next(said for bound, said in steps if value < bound)


def _harmony(mono: Float[np.ndarray, " samples"]) -> Harmony:
    """Pitch classes and the bass's spectrum, 20 rows a second; the last row is repeated where a window has no room."""
    rows = -(-len(mono) // HARMONY_HOP_SAMPLES)
    padded = np.pad(mono, (0, max(HARMONY_WINDOW_SAMPLES - len(mono), 0)))
    magnitudes = audio_metrics.magnitudes(padded, window_samples=HARMONY_WINDOW_SAMPLES, hop_samples=HARMONY_HOP_SAMPLES)
    magnitudes = magnitudes[np.minimum(np.arange(rows), len(magnitudes) - 1)]
    return Harmony(_pitch_classes(magnitudes), np.ascontiguousarray(magnitudes[:, BASS_BINS]))


def _pitch_classes(magnitudes: Float[np.ndarray, "stft_frames bins"]) -> Float[np.ndarray, "stft_frames 12"]:
    # A tuning that is given is not estimated, which would run numba's compiled code.
    chroma = librosa().feature.chroma_stft(S=magnitudes.T, sr=SAMPLE_RATE_HZ, tuning=0.0, norm=None)
    return np.ascontiguousarray(chroma.T, np.float32)


def _chroma(mono: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "stft_frames 12"]:
    """How loud each pitch class is, C first."""
    magnitudes = audio_metrics.magnitudes(mono, window_samples=CHROMA_WINDOW_SAMPLES, hop_samples=CHROMA_HOP_SAMPLES)
    return _pitch_classes(magnitudes)


def _centroid_hz(mono: Float[np.ndarray, " samples"]) -> float:
    """Mean spectral centroid where there is sound; UNKNOWN where there is none."""
    if len(mono) < CENTROID_WINDOW_SAMPLES:
        return UNKNOWN
    magnitudes = audio_metrics.magnitudes(mono, window_samples=CENTROID_WINDOW_SAMPLES, hop_samples=CENTROID_HOP_SAMPLES)
    heard = magnitudes[magnitudes.sum(1) > 0.1]
    if not len(heard):
        return UNKNOWN
    return float(librosa().feature.spectral_centroid(S=heard.T, sr=SAMPLE_RATE_HZ).mean())


@functools.cache
def librosa() -> Any:
    """The package, imported by one process at a time: two that compile its functions at once can leave a broken cache, and
    then every later import crashes."""
    with _only_here(Path(tempfile.gettempdir()) / "magenta_rt_py_librosa.lock"):
        try:
            import librosa as package
            import librosa.feature
        except ImportError as error:
            raise MissingExtraError("hearing tempo and key", "librosa", "train") from error
        return package


@contextlib.contextmanager
def _only_here(lock: Path) -> Iterator[None]:
    """Waits until no other process holds the lock; where the system has no such locks (Windows), goes on."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(lock, "a", opener=lambda path, flags: os.open(path, flags, 0o666)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
