"""The metrical clock: tells every frame where in bar and beat it is, and how fast the music goes.

An optional control, absent from the released models. The transport supplies it for the context frames (so that
attention can find the same place one bar back) and for every frame to come. A row of zeros means unset; it cannot be
mistaken for a position, because sine and cosine are never both zero.
"""

import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

PERIODS_BEATS = (4.0, 2.0, 1.0, 0.5, 0.25)
"""Bar, half bar, beat, eighth and sixteenth, in beats (four beats a bar)."""
BEATS_PER_BAR = 4
FRAME_RATE_HZ = 25.0
"""Codec frames a second."""
REFERENCE_BPM = 120.0
"""The tempo whose log tempo is 0."""
NUM_FEATURES = 2 * len(PERIODS_BEATS) + 1
"""Sine and cosine a period, and the log tempo: 11."""


def clock_features(
    beats: Float[np.ndarray, "*batch frames"], bpm: float | Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch frames features"]:
    """Clock rows of frames at the given beat positions.

    Args:
      beats: position of each frame's start in beats since a bar line; may be negative or fractional.
      bpm: quarter-note tempo, one for all or one a batch row.
    Returns:
      sine, cosine of each period (longest first), then log2(bpm / 120).
    Raises:
      ValueError: for a tempo that is not positive and finite.
    """
    tempo = np.asarray(bpm, np.float64)
    if not (np.all(np.isfinite(tempo)) and np.all(tempo > 0)):
        raise ValueError(f"got bpm {bpm}, expected a positive number of beats a minute")
    position = np.asarray(beats, np.float64)
    features = []
    for period in PERIODS_BEATS:
        angle = 2.0 * np.pi * np.mod(position / period, 1.0)
        features += [np.sin(angle), np.cos(angle)]
    log_tempo = np.log2(tempo / REFERENCE_BPM)
    features.append(np.broadcast_to(log_tempo[..., None], position.shape))
    return np.stack(features, axis=-1).astype(np.float32)


def unset_clock(*shape: int) -> Float[np.ndarray, "*shape features"]:
    """Clock rows that say nothing."""
    return np.zeros((*shape, NUM_FEATURES), np.float32)


class ClockMap(nn.Module):
    """Linear map from clock rows to the residual stream, started at zero so that the clock is learned, not imposed.

    No bias: an unset row adds exactly nothing.
    """

    dim: int

    @nn.compact
    def __call__(self, clock: Float[Array, "*batch features"]) -> Float[Array, "*batch dim"]:
        return nn.Dense(self.dim, use_bias=False, kernel_init=nn.initializers.zeros_init(), name="map")(clock)
