"""Mel filters as librosa's default makes them, without librosa: a bare machine that trains need not have it.

Source: Slaney, Auditory Toolbox (1998): linear below 1 kHz, logarithmic above; triangles of equal area.
"""

import functools

import numpy as np
from jaxtyping import Float32

_HZ_PER_MEL = 200.0 / 3.0  # below the break
_BREAK_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0  # above it, natural log of hertz a mel


@functools.lru_cache(maxsize=16)
def mel_filters(sample_rate_hz: int, fft_samples: int, bands: int) -> Float32[np.ndarray, "bands bins"]:
    """Triangular filters over the bins 0 .. fft_samples / 2, from 0 Hz to Nyquist.

    Args:
      sample_rate_hz: of the audio.
      fft_samples: length of the Fourier transform.
      bands: how many filters.
    """
    bins_hz = np.fft.rfftfreq(fft_samples, 1.0 / sample_rate_hz)
    edges_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(sample_rate_hz / 2.0), bands + 2))
    width_hz = np.diff(edges_hz)
    slopes = edges_hz[:, None] - bins_hz
    rising, falling = -slopes[:-2] / width_hz[:-1, None], slopes[2:] / width_hz[1:, None]
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return (np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    linear = hz / _HZ_PER_MEL
    return linear if hz < _BREAK_HZ else float(_BREAK_HZ / _HZ_PER_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _mel_to_hz(mels: np.ndarray) -> np.ndarray:
    break_mel = _BREAK_HZ / _HZ_PER_MEL
    return np.where(mels < break_mel, mels * _HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mels - break_mel)))
