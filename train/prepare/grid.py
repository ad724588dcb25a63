"""A beat as straight as a ruler, if a file has one: tempo, beats and bar lines, found in its curves. Pure NumPy.

A clock that is wrong teaches worse than none. So a file has a grid only if its onsets fall on one line of beats from its
beginning to its end, and has bar lines only if one beat of four stands out from the others. The thresholds were chosen on 46
held-out renders of the studio, one of each genre, 44 s each (docs/preparing.md).
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from magenta_rt_py.audio import SAMPLE_RATE_HZ
from magenta_rt_py.lm.clock import BEATS_PER_BAR
from magenta_rt_py.train.evaluation import rhythm
from magenta_rt_py.train.evaluation.beat_tracking import CURVE_HOP_SAMPLES, CURVE_HZ

HARMONY_HOP_SAMPLES = 2400
"""Samples from one row of the harmony to the next: 50 ms."""

SHORTEST_SECONDS = 8.0
"""Of a file in which a tempo can be certain."""

SHORTEST_BEATS = 32
"""Of a file in which a bar line can be certain."""

HARMONICS = ((1, 1.0), (2, 1.0), (4, 0.5))
"""(lines a beat, weight) of the grid that onsets are held against: beats, eighths, sixteenths."""

SEARCH_SHARE = 0.03
"""Tempos within this share of the autocorrelation's are tried."""

SEGMENT_SECONDS = 12.0
"""The grid must hold in every stretch of about this length."""

LARGEST_DRIFT_BEATS = 0.06
"""By which nine of ten stretches may lie beside the grid."""

CERTAIN_TEMPO = 0.1
"""Coherence from which on the tempo is certain, but for its octave."""

CERTAIN_BEAT = 0.3
"""Coherence from which on beats are not mistaken for what lies between them."""

CERTAIN_BAR = 1.0
"""Deviations, in the mean over what speaks for a bar line, by which one beat of four must be ahead of the others. On the
renders every bar line was right from 0.4 on; 2.3 is the most there is."""


class Harmony(NamedTuple):
    """What changes with chords and bass, 20 rows a second.

    Attributes:
      chords: how loud each pitch class is.
      basses: magnitudes of the lowest bins.
    """

    chords: Float[np.ndarray, "rows 12"]
    basses: Float[np.ndarray, "rows bins"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatGrid:
    """Beats at equal distances through a whole file."""

    # Beats a minute.
    bpm: float
    # Share of the onsets on the grid less that between its lines, 0..1.
    coherence: float
    # Sample, at 48 kHz, of the first bar line; 0 or more. None: beats or bars are not certain.
    first_bar_samples: float | None

    @property
    def bar_samples(self) -> float:
        """Samples of a bar of four beats, at 48 kHz."""
        return BEATS_PER_BAR * 60.0 * SAMPLE_RATE_HZ / self.bpm


def find_grid(curve: Float[np.ndarray, " curve"], harmony: Harmony | None = None) -> BeatGrid | None:
    """The grid that a file's onsets fall on; None: there is none, or it is not certain.

    Args:
      curve: onset curve of the whole file, 200 values a second; value i belongs to sample i * 240.
      harmony: of the same file; None: bar lines are not looked for.
    """
    if len(curve) < SHORTEST_SECONDS * CURVE_HZ or curve.std() < 1e-6:
        return None
    flux = curve[: len(curve) // 2 * 2].reshape(-1, 2).mean(1)
    rough = 60.0 * rhythm.FLUX_RATE_HZ / rhythm.beat_lag(rhythm.autocorrelation(flux - flux.mean()))
    bpm = _finest(curve, rough)
    sums = _sums(curve, bpm)
    phase, coherence = _best_phase(sums, float(curve.sum()))
    if coherence < CERTAIN_TEMPO or _drift(curve, bpm, phase) > LARGEST_DRIFT_BEATS:
        return None
    first_bar = None
    if coherence >= CERTAIN_BEAT and harmony is not None:
        beat_samples = 60.0 * SAMPLE_RATE_HZ / bpm
        beat, margin = bar_line(curve, harmony, phase * beat_samples, beat_samples)
        if margin >= CERTAIN_BAR:
            first_bar = ((phase + beat) % BEATS_PER_BAR) * beat_samples
    return BeatGrid(bpm=bpm, coherence=coherence, first_bar_samples=first_bar)


def bar_line(
    curve: Float[np.ndarray, " curve"], harmony: Harmony, first_beat_samples: float, beat_samples: float
) -> tuple[int, float]:
    """The beat of four on which most begins: chords and bass change, onsets are strong, the bass rises.

    Args:
      curve: onset curve, as `find_grid` takes it.
      harmony: of the same file.
      first_beat_samples: sample of beat 0.
      beat_samples: from beat to beat.
    Returns:
      0..3, counted from beat 0; and by how many deviations it is ahead of the next, in the mean over all four kinds.
    """
    count = int((len(harmony.chords) * HARMONY_HOP_SAMPLES - first_beat_samples) / beat_samples)
    if count < SHORTEST_BEATS:
        return 0, 0.0
    half_beats = first_beat_samples + np.arange(2 * count + 1) * beat_samples / 2
    chords, basses = (_between(rows, half_beats) for rows in harmony)
    loudness = basses.sum(1)
    places = np.round(half_beats[2:-1:2] / CURVE_HOP_SAMPLES).astype(int)
    kinds = (
        _changes(chords[0::2] + chords[1::2]),
        _changes(basses[0::2] + basses[1::2]),
        np.array([curve[max(place - 4, 0) : place + 5].max(initial=0.0) for place in places]),  # within 20 ms
        loudness[2::2] - loudness[1:-1:2],
    )
    beats = np.arange(1, count) % BEATS_PER_BAR
    total = np.zeros(BEATS_PER_BAR)
    for kind in kinds:
        strengths = np.array([kind[beats == beat].mean() for beat in range(BEATS_PER_BAR)])
        total += (strengths - strengths.mean()) / (strengths.std() + 1e-9) / len(kinds)
    second, first = np.sort(total)[-2:]
    return int(total.argmax()), float(first - second)


def _between(rows: Float[np.ndarray, "rows bins"], edges: Float[np.ndarray, " edges"]) -> Float[np.ndarray, "spans bins"]:
    """Sums of the rows that begin between two edges, given in samples."""
    places = np.minimum(np.ceil(edges / HARMONY_HOP_SAMPLES).astype(int), len(rows))
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    return np.diff(sums[places], axis=0)


def _changes(spans: Float[np.ndarray, "spans bins"]) -> Float[np.ndarray, " changes"]:
    """How differently each span sounds from the one before, 0..1, whatever its loudness."""
    lengths = np.linalg.norm(spans, axis=1) + 1e-9
    return 1.0 - (spans[1:] * spans[:-1]).sum(1) / (lengths[1:] * lengths[:-1])


def _sums(curve: Float[np.ndarray, " curve"], bpm: float) -> Complex[np.ndarray, " harmonics"]:
    """The curve's Fourier sums at the lines of a tempo."""
    beats = np.arange(len(curve)) * (bpm / 60.0 / CURVE_HZ)
    return np.array([curve @ np.exp(-2j * np.pi * harmonic * beats) for harmonic, _ in HARMONICS])


def _best_phase(sums: Complex[np.ndarray, " harmonics"], total: float) -> tuple[float, float]:
    """Where in a beat the first line lies, 0..1, and the coherence there."""
    phases = np.arange(96) / 96
    scores = sum(
        weight * (value * np.exp(2j * np.pi * harmonic * phases)).real
        for value, (harmonic, weight) in zip(sums, HARMONICS, strict=True)
    )
    best = int(np.argmax(scores))
    return float(phases[best]), float(scores[best]) / (sum(weight for _, weight in HARMONICS) * total + 1e-9)


def _finest(curve: Float[np.ndarray, " curve"], rough: float) -> float:
    """The tempo near a rough one whose lines the onsets of the whole file fall on best."""
    minutes = len(curve) / CURVE_HZ / 60.0
    best, width = rough, SEARCH_SHARE * rough
    # A tempo that is off by 1/minutes loses a beat in the file: sixteenths need an eighth of that.
    finest = 0.02 / minutes
    step = min(width / 8, 0.125 / minutes)
    while True:
        tried = best + np.arange(-width, width + step / 2, step)
        total = float(curve.sum())
        best = float(tried[int(np.argmax([_best_phase(_sums(curve, bpm), total)[1] for bpm in tried]))])
        if step <= finest:
            return best
        width, step = step, step / 4


def _drift(curve: Float[np.ndarray, " curve"], bpm: float, phase: float) -> float:
    """Distance from the grid, in beats, that nine of ten stretches of the file keep within."""
    count = max(round(len(curve) / CURVE_HZ / SEGMENT_SECONDS), 1)
    distances = []
    for part, start in zip(np.array_split(curve, count), np.linspace(0, len(curve), count, endpoint=False), strict=True):
        if part.sum() < 0.2 * curve.sum() / count:
            continue  # a break: nothing to hear there
        beats = round(start) * (bpm / 60.0 / CURVE_HZ)
        own, _ = _best_phase(_sums(part, bpm) * np.exp([-2j * np.pi * harmonic * beats for harmonic, _ in HARMONICS]), 1.0)
        distances.append(abs((own - phase + 0.5) % 1.0 - 0.5))
    return float(np.quantile(distances, 0.9)) if distances else 1.0
