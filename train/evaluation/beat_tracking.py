"""Beats: where a sound's onsets and beats are, how they fit a grid, and true renders whose beats are known. Pure.

    samples -> onset curve (200 values a second) -> beats, by a tracker that is told the tempo or finds it
                                                 -> score of a grid: do the onsets fall on its eighths and sixteenths?

The curve is the rise of log mel energies, a third of it from below 200 Hz, where kick and bass are: chosen on held-out
renders of the studio, nine genres of three seeds, never on what a model plays. The tracker is librosa's (Ellis 2007). No
estimator is told where a beat is; those that are told a tempo say so.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import audio_metrics
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.studio.score import STEMS

CURVE_HOP_SAMPLES = 240
"""Samples from one value of the curve to the next: 5 ms."""
CURVE_HZ = SAMPLE_RATE_HZ / CURVE_HOP_SAMPLES
WINDOW_SAMPLES = 1024
MEL_BANDS = 40
MEL_FLOOR = 1e-2
LOW_HZ = 200.0
"""Below it, a curve of its own."""
LOW_WEIGHT = 0.5
"""Of the low curve, beside 1 of the whole."""
PIECE_SECONDS = 20
"""Sound that is transformed at once, so that five minutes fit in memory."""
TOLERANCE_SECONDS = 0.07
"""Of a beat that counts as found. Source: the usual beat F-measure."""
GRID_HARMONICS = (2, 4)
"""Eighths and sixteenths: onsets of any straight groove fall on them, those on the beat and those off it."""
LOCAL_SECONDS = 1.0
"""Over so much the curve's mean is taken off."""


class Render(NamedTuple):
    """A piece of the studio, with its beats."""

    samples: Float[np.ndarray, "samples 2"]
    """48 kHz."""
    beat_samples: int
    """Beat k begins at k times this."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _CardAt(studio.StyleCard):
    """A card at a tempo that need not be a whole number of frames a beat."""

    exact_beat_samples: int

    @property
    def beat_samples(self) -> int:
        return self.exact_beat_samples


def render(genre: str, *, seed: int, bpm: float, seconds: float, stems: tuple[str, ...] = STEMS) -> Render:
    """A true render at any tempo.

    Args:
      genre: a name of the studio.
      seed: of the piece.
      bpm: rounded to a whole number of samples a beat.
      seconds: its length, from its first beat on.
      stems: those that are played.
    Raises:
      ValueError: unknown genre or stems, or nothing to play.
    """
    card = studio.sample_card(seed, genre=genre, seconds=seconds)
    fields = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)}
    exact = _CardAt(**fields, exact_beat_samples=round(60.0 / bpm * SAMPLE_RATE_HZ))
    score = studio.compose(exact)
    kept = {stem: notes for stem, notes in score.notes.items() if stem in stems}
    score = dataclasses.replace(score, notes=kept, drums=score.drums if "drums" in stems else ())
    if not score.sounding():
        raise ValueError(f"{genre} of seed {seed} has none of the stems {', '.join(stems)}; give others")
    return Render(_renderer().render(exact, score), exact.beat_samples)


@functools.cache
def _renderer() -> studio.Renderer:
    return studio.Renderer()


def onset_curve(samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, "curve"]:
    """How much begins at each moment: 0 or more, `CURVE_HZ` values a second; value i is at `curve_places`.

    Raises:
      ValueError: less than two windows of sound.
    """
    mono = samples.mean(1).astype(np.float32)
    if len(mono) < 2 * WINDOW_SAMPLES:
        raise ValueError(f"{len(mono)} samples are too few for onsets; give at least {2 * WINDOW_SAMPLES}")
    mono = mono * np.float32(0.1 / (float(np.sqrt(np.mean(mono.astype(np.float64) ** 2))) + 1e-5))
    filters = audio_metrics.mel_filters(WINDOW_SAMPLES, MEL_BANDS)
    low = round(LOW_HZ * WINDOW_SAMPLES / SAMPLE_RATE_HZ) + 1
    piece = PIECE_SECONDS * SAMPLE_RATE_HZ // CURVE_HOP_SAMPLES * CURVE_HOP_SAMPLES
    mels, lows = [], []
    for first in range(0, len(mono) - WINDOW_SAMPLES + 1, piece):
        part = mono[first : first + piece + WINDOW_SAMPLES - CURVE_HOP_SAMPLES]
        spectrum = audio_metrics.magnitudes(part, window_samples=WINDOW_SAMPLES, hop_samples=CURVE_HOP_SAMPLES)
        mels.append(np.log(spectrum @ filters + MEL_FLOOR))
        lows.append(np.log(spectrum[:, 1:low].mean(1) + MEL_FLOOR))
    rises = np.maximum(np.diff(np.concatenate(mels), axis=0), 0.0).mean(1)
    low_rises = np.maximum(np.diff(np.concatenate(lows)), 0.0)
    return np.maximum(_normal(rises) + LOW_WEIGHT * _normal(low_rises), 0.0).astype(np.float32)


def _normal(rises: Float[np.ndarray, "curve"]) -> Float[np.ndarray, "curve"]:
    """Less its moving mean, at deviation 1."""
    size = min(len(rises), round(LOCAL_SECONDS * CURVE_HZ))
    counts = np.convolve(np.ones(len(rises)), np.ones(size), "same")
    without = rises - np.convolve(rises, np.ones(size), "same") / counts
    return without / (without.std() + 1e-6)


def curve_places(curve: Float[np.ndarray, "curve"]) -> Float[np.ndarray, "curve"]:
    """Sample that each value of the curve belongs to: the middle of the later of its two windows."""
    return (np.arange(len(curve)) + 1.0) * CURVE_HOP_SAMPLES + WINDOW_SAMPLES / 2


def tracked_beats(curve: Float[np.ndarray, "curve"], *, bpm: float | None = None) -> Float[np.ndarray, "beats"]:
    """Samples of the beats that a tracker hears.

    Args:
      curve: from `onset_curve`.
      bpm: what the tracker is told; None lets it find the tempo.
    """
    import librosa

    _, found = librosa.beat.beat_track(
        onset_envelope=curve, sr=SAMPLE_RATE_HZ, hop_length=CURVE_HOP_SAMPLES, bpm=bpm, trim=False, units="frames"
    )
    return curve_places(curve)[np.asarray(found, int)]


def f_measure(
    found: Float[np.ndarray, "found"],
    wanted: Float[np.ndarray, "wanted"],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> float:
    """Harmonic mean of precision and recall, 0 .. 1; each beat counts once. Both in samples, rising."""
    tolerance, hits, place = tolerance_seconds * SAMPLE_RATE_HZ, 0, 0
    for beat in wanted:
        while place < len(found) and found[place] < beat - tolerance:
            place += 1
        if place < len(found) and found[place] <= beat + tolerance:
            hits, place = hits + 1, place + 1
    total = len(found) + len(wanted)
    return 2.0 * hits / total if total else 0.0


def grid_score(curve: Float[np.ndarray, "curve"], beats: Float[np.ndarray, "curve"]) -> float:
    """How well onsets fall on a grid, -1 .. 1; about 0 for another tempo.

    Args:
      curve: from `onset_curve`, any part of it.
      beats: the grid's position at each of its values, in beats.
    """
    return float(np.mean([coherence(curve, beats, harmonic) for harmonic in GRID_HARMONICS]))


def coherence(curve: Float[np.ndarray, "curve"], beats: Float[np.ndarray, "curve"], harmonic: int) -> float:
    """Share of the onsets that fall on the lines of a grid, less that between them, -1 .. 1.

    Args:
      curve: from `onset_curve`.
      beats: the grid's position at each of its values.
      harmonic: lines a beat.
    """
    return float(curve @ np.cos(2.0 * np.pi * harmonic * beats)) / (float(curve.sum()) + 1e-9)


def off_beat(beats: Float[np.ndarray, "found"]) -> Float[np.ndarray, "found"]:
    """Distance of positions in beats from the nearest beat, -0.5 .. 0.5; positive is late."""
    return beats - np.round(beats)
