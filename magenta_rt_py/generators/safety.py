"""Output safety: what leaves the system can be played on any loudspeaker."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

CEILING = 10.0 ** (-0.3 / 20.0)
"""Loudest sample that leaves the system: -0.3 dB full scale."""
KNEE = 0.75
"""Below this nothing is touched; between here and the ceiling peaks are rounded off."""


def guard(samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, "samples channels"]:
    """Rounds peaks off below -0.3 dB full scale; a NaN becomes silence.

    Memoryless, so that a stream guarded piece by piece equals the whole stream guarded at once. Infinite values meet
    the ceiling.
    """
    finite = np.nan_to_num(samples, nan=0.0, posinf=1e9, neginf=-1e9)
    magnitude = np.abs(finite)
    if magnitude.size == 0 or magnitude.max() <= KNEE:
        return finite
    room = CEILING - KNEE
    rounded = np.sign(finite) * (KNEE + room * np.tanh((magnitude - KNEE) / room))
    return np.where(magnitude > KNEE, rounded, finite).astype(samples.dtype)
