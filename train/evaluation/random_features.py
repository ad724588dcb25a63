"""A fixed space for Frechet distances that no training has touched: random convolutions on a log-mel spectrogram.

    10 s -> 64 log-mel bands, 50 a second -> three convolutions of seeded random weights -> mean and deviation

Random convolutions keep local shapes of time and pitch (attacks, harmonics, their density) without knowing what music
is, so no model here can have been trained to please them. The same numbers on every machine, to rounding.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ, magnitudes, mel_filters

SEED = 20_251_128
"""Of the weights; another seed is another space."""

MEL_BANDS = 64
WINDOW_SAMPLES = 2048
HOP_SAMPLES = SAMPLE_RATE_HZ // 50
MEL_FLOOR = 1e-3

LEVEL = -3.0
SPREAD = 2.5
"""Log-mel amplitudes are brought to about mean 0 and deviation 1 by these fixed numbers: measured on nothing."""

CHANNELS = (1, 16, 24, 32)
KERNEL = 5
STRIDE = 2

DIM = 2 * CHANNELS[-1]
"""Numbers a window is described by."""


@functools.cache
def _weights() -> tuple[np.ndarray, ...]:
    """Kernels [inputs * KERNEL * KERNEL, outputs] of each layer, scaled so that sizes stay about 1."""
    random = np.random.default_rng(SEED)
    kernels = []
    for inputs, outputs in itertools.pairwise(CHANNELS):
        size = inputs * KERNEL * KERNEL
        kernel = random.standard_normal((size, outputs))
        kernels.append((kernel * np.sqrt(1.0 / size)).astype(np.float32))
    return tuple(kernels)


def log_mel(samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, "stft_frames 64"]:
    """Standardised log-mel amplitudes of the mean of the channels; gain is kept, unlike in `rhythm.log_mel`."""
    mono = samples.mean(1).astype(np.float32)
    mel = magnitudes(mono, window_samples=WINDOW_SAMPLES, hop_samples=HOP_SAMPLES) @ mel_filters(WINDOW_SAMPLES, MEL_BANDS)
    return ((np.log(mel + MEL_FLOOR) - LEVEL) / SPREAD).astype(np.float32)


def _convolve(
    planes: Float[np.ndarray, "rows columns inputs"], kernel: Float[np.ndarray, "patch outputs"]
) -> Float[np.ndarray, "fewer_rows fewer_columns outputs"]:
    """One strided convolution without padding, and its size without its sign: cut off below zero, half of the channels of
    a quiet sound would be dead."""
    patches = np.lib.stride_tricks.sliding_window_view(planes, (KERNEL, KERNEL), axis=(0, 1))[::STRIDE, ::STRIDE]
    rows, columns = patches.shape[:2]
    return np.abs(patches.reshape(rows * columns, -1) @ kernel).reshape(rows, columns, -1)


def describe(samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, " features"]:
    """Describes one window of sound of a second or more by `DIM` numbers.

    Raises:
      ValueError: if the sound is too short for the convolutions.
    """
    if len(samples) < SAMPLE_RATE_HZ:
        raise ValueError(f"got {len(samples)} samples, expected at least {SAMPLE_RATE_HZ}; describe a longer sound")
    planes = log_mel(samples)[:, :, None]
    for kernel in _weights():
        planes = _convolve(planes, kernel)
    return np.concatenate([planes.mean((0, 1)), planes.std((0, 1))]).astype(np.float32)
