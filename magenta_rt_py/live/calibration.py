"""Calibration: the round trip from stream to loudspeaker to microphone, measured with a sweep.

    played     ____/sweep/______________
    recorded   ________________/sweep/__     round trip: where the two fit best

Pure: the shell plays `sweep()` and hands back what it recorded meanwhile.
Source: the released notebook's calibration, as facts (1 s, 100 Hz to 10 kHz, -20 dB). What differs: the result is checked
by how far the best fit stands out, so that a muted microphone is an error and not a number.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["measure_round_trip", "sweep"]

SAMPLES_A_SECOND = 48_000
LOW_HZ, HIGH_HZ = 100.0, 10_000.0
LEVEL = 0.1
"""Amplitude: -20 dB."""
EDGE_SAMPLES = 480
CLEAR = 2.5
"""The best fit must be so many times better than the best one elsewhere."""
NEAR_SAMPLES = 480
"""Fits closer to the best one than this belong to it: a room smears it by some milliseconds."""


def sweep() -> Float[np.ndarray, "samples"]:
    """One second of a logarithmic sweep with soft edges, 48 kHz mono."""
    seconds = np.arange(SAMPLES_A_SECOND) / SAMPLES_A_SECOND
    octaves = np.log(HIGH_HZ / LOW_HZ)
    tone = np.sin(2.0 * np.pi * LOW_HZ / octaves * np.expm1(octaves * seconds))
    edge = np.minimum(1.0, np.minimum(np.arange(1, SAMPLES_A_SECOND + 1), np.arange(SAMPLES_A_SECOND, 0, -1)) / EDGE_SAMPLES)
    return (LEVEL * tone * edge).astype(np.float32)


def measure_round_trip(played: Float[np.ndarray, "samples"], recorded: Float[np.ndarray, "recorded"]) -> int:
    """Samples from playing to recording.

    Args:
      played: what was played: `sweep()`, or anything else as unlike itself.
      recorded: what came in from the first played sample on, 48 kHz mono, at least as long.
    Raises:
      ValueError: the recording is too short, or does not clearly contain what was played.
    """
    if len(recorded) < len(played):
        raise ValueError(f"{len(recorded)} recorded samples for {len(played)} played; record longer than you play")
    size = 2 ** int(np.ceil(np.log2(len(played) + len(recorded))))
    spectrum = np.fft.rfft(recorded.astype(np.float64), size) * np.conj(np.fft.rfft(played.astype(np.float64), size))
    # Half whitened: a sweep has more energy in its low end, which would broaden the peak.
    weight = np.sqrt(np.abs(spectrum))
    fit = np.abs(np.fft.irfft(spectrum / np.maximum(weight, 1e-12 + 1e-3 * weight.max()), size))[: len(recorded)]
    best = int(np.argmax(fit))
    elsewhere = np.concatenate([fit[: max(0, best - NEAR_SAMPLES)], fit[best + NEAR_SAMPLES :]])
    if not fit[best] > CLEAR * max(elsewhere.max(initial=0.0), 1e-9):
        raise ValueError("the test sound was not clearly heard; turn up the volume, open the microphone and calibrate again")
    return best
