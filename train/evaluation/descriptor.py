"""A fixed description of ten seconds of sound, for the probe: no learned weights in it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import audio_metrics, rhythm

WINDOW_SECONDS = 10.0
"""Sound described at once; longer takes are judged in several windows."""

WINDOW_HOP_SECONDS = 5.0

_FLUX_LAGS = np.arange(5, 121, 3)
"""Lags of the flux autocorrelation in 10 ms: 50 ms to 1.2 s."""


def windows(
    samples: Float[np.ndarray, "samples 2"], *, hop_seconds: float = WINDOW_HOP_SECONDS
) -> list[Float[np.ndarray, "window_samples 2"]]:
    """Cuts a sound into windows of 10 s; the remainder at the end is left.

    Args:
      hop_seconds: from one window's start to the next.
    Raises:
      ValueError: if there is not one whole window.
    """
    size = int(WINDOW_SECONDS * audio_metrics.SAMPLE_RATE_HZ)
    hop = int(hop_seconds * audio_metrics.SAMPLE_RATE_HZ)
    if samples.shape[0] < size:
        raise ValueError(
            f"got {samples.shape[0]} samples, expected at least {size} ({WINDOW_SECONDS:.0f} s); describe a longer sound"
        )
    return [samples[start : start + size] for start in range(0, samples.shape[0] - size + 1, hop)]


def describe(samples: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, " features"]:
    """Describes one window independently of its gain.

    Timbre: mean, spread, quiet and loud tenth and mean movement of 40 log-mel
    bands. Rhythm: autocorrelation of the onset flux, its strength. Space: stereo
    width as a whole and above 2 kHz. Shape: centroid and flatness.
    """
    mel_logs = rhythm.log_mel(samples)
    flux = rhythm.onset_flux(mel_logs)
    correlation = rhythm.autocorrelation(flux)
    loudness = np.log(np.exp(mel_logs).sum(1))
    shares = np.exp(mel_logs - loudness[:, None])
    centroid = shares @ np.arange(mel_logs.shape[1])
    flatness = mel_logs.mean(1) - loudness
    # A first difference is a cheap high-pass: the width of cymbals and air.
    bright = np.diff(np.diff(samples, axis=0), axis=0)
    scalars = [
        audio_metrics.stereo_width_db(samples) / 10.0,
        audio_metrics.stereo_width_db(bright) / 10.0,
        float(flux.std()) * 5.0,
        float(centroid.mean()) / 5.0,
        float(centroid.std()) / 5.0,
        float(flatness.mean()),
        float(loudness.std()),
    ]
    return np.concatenate(
        [
            mel_logs.mean(0),
            mel_logs.std(0),
            np.percentile(mel_logs, 10, axis=0),
            np.percentile(mel_logs, 90, axis=0),
            np.abs(np.diff(mel_logs, axis=0)).mean(0),
            correlation[_FLUX_LAGS],
            np.asarray(scalars),
        ]
    ).astype(np.float32)


def describe_all(
    samples: Float[np.ndarray, "samples 2"], *, hop_seconds: float = WINDOW_HOP_SECONDS
) -> Float[np.ndarray, "windows features"]:
    """Describes every window of a sound, see `windows`."""
    return np.stack([describe(window) for window in windows(samples, hop_seconds=hop_seconds)])
