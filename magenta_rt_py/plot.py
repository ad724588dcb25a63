"""A picture of a take: log-frequency spectrogram, the beat grid if there is one, and where the prompts change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.errors import MissingExtraError

WINDOW_SAMPLES = 4096
HOP_SAMPLES = 1920
BANDS = 240
LOWEST_HZ = 30.0
FLOOR_DB = -80.0
COLUMNS = 3000
"""Most time columns in a picture; longer takes are thinned."""


def band_levels_db(
    samples: Float[np.ndarray, "samples channels"], sample_rate: int
) -> Float[np.ndarray, "bands columns"]:
    """Levels of the channels' mean in bands of equal width on a log-frequency axis, 0 dB at the loudest.

    Args:
      samples: the take.
      sample_rate: in Hz.
    Returns:
      dB from FLOOR_DB to 0; band 0 is the lowest (30 Hz), the last ends at 20 kHz or half the sample rate.
    """
    mono = np.pad(samples.mean(axis=1), (WINDOW_SAMPLES // 2, WINDOW_SAMPLES))
    hop = max(HOP_SAMPLES, len(samples) // COLUMNS)
    starts = np.arange(0, max(len(samples), 1), hop)
    window = np.hanning(WINDOW_SAMPLES)
    power = np.stack([np.abs(np.fft.rfft(mono[s : s + WINDOW_SAMPLES] * window)) ** 2 for s in starts], axis=1)
    edges = band_edges_hz(sample_rate) * WINDOW_SAMPLES / sample_rate
    low = np.minimum(edges[:-1].astype(int), power.shape[0] - 1)
    high = np.maximum(np.ceil(edges[1:]).astype(int), low + 1)
    bands = np.stack([power[a:b].max(axis=0) for a, b in zip(low, high, strict=True)])
    decibels = 10.0 * np.log10(bands / max(float(bands.max()), 1e-12) + 1e-12)
    return np.maximum(decibels, FLOOR_DB)


def band_edges_hz(sample_rate: int) -> Float[np.ndarray, "edges"]:
    """Edges of the bands, evenly spaced in log frequency."""
    return np.geomspace(LOWEST_HZ, min(20_000.0, sample_rate / 2), BANDS + 1)


def save_spectrogram(
    path: str | Path,
    samples: Float[np.ndarray, "samples channels"],
    sample_rate: int,
    *,
    title: str = "",
    bpm: float | None = None,
    markers: Sequence[tuple[float, str]] = (),
) -> None:
    """Draws a take into a picture file.

    Args:
      path: where to write; the ending (.png, .svg, .pdf) chooses the form.
      samples: the take.
      sample_rate: in Hz.
      title: one line above the picture.
      bpm: draws ticks at every beat, taller at every fourth.
      markers: times in seconds with what begins there.
    Raises:
      MissingExtraError: if matplotlib is not installed.
    """
    figure, axes = _figure()
    seconds = len(samples) / sample_rate
    levels = band_levels_db(samples, sample_rate)
    edges = band_edges_hz(sample_rate)
    times = np.linspace(0.0, seconds, levels.shape[1] + 1)
    mesh = axes.pcolormesh(times, edges, levels, cmap="magma", vmin=FLOOR_DB, vmax=0.0, rasterized=True)
    axes.set(yscale="log", xlabel="seconds", ylabel="Hz", xlim=(0.0, seconds), ylim=(edges[0], edges[-1]))
    axes.set_yticks(
        [50, 100, 200, 500, 1000, 2000, 5000, 10000], labels=["50", "100", "200", "500", "1k", "2k", "5k", "10k"]
    )
    axes.minorticks_off()
    figure.colorbar(mesh, ax=axes, label="dB below the loudest", pad=0.01)
    if title:
        axes.set_title(title, loc="left", fontsize=11)
    if bpm:
        _draw_beats(axes, seconds, bpm)
    for at_seconds, name in markers:
        axes.axvline(at_seconds, color="white", linewidth=1.0, alpha=0.8)
        axes.text(at_seconds + 0.005 * seconds, edges[-1] * 0.82, name, color="white", fontsize=9, va="top")
    figure.savefig(path, dpi=110)


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a spectrogram picture", "matplotlib", "plot") from error
    figure = Figure(figsize=(14, 5), layout="constrained")  # no pyplot: no display, no global state
    return figure, figure.subplots()


def _draw_beats(axes: Any, seconds: float, bpm: float) -> None:
    beats = np.arange(0.0, seconds, 60.0 / bpm)
    bottom, top = axes.get_ylim()
    octave = (top / bottom) ** 0.02
    axes.vlines(beats, bottom, bottom * octave, color="white", linewidth=0.6)
    axes.vlines(beats[::4], bottom, bottom * octave**2, color="white", linewidth=1.2)
