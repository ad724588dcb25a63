"""Fits a latency model to measured round trips. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.live.latency import LatencyModel, normal_midpoints

LEAST_MEASUREMENTS = 20
"""Round trips without which a fit is not attempted."""
_PROBABILITIES = np.concatenate([np.linspace(0.02, 0.9, 23), [0.925, 0.95, 0.97, 0.98, 0.99, 0.995]])
"""Where the noise of the model and that of the measurements are compared: the bulk, and the tail that causes gaps."""
_DRAWS = 2048


def fit(round_trips: Sequence[tuple[int, float]]) -> LatencyModel:
    """The latency model that measured round trips come closest to.

    First the quadratic, to the medians of every length (no coefficient below 0); then the noise, so that the quantiles of
    what is left agree from 2 % to 99.5 %. The constant holds the network's share, too. A fit describes the machine and
    the load that were measured, nothing else.

    Args:
      round_trips: (units asked for, seconds), at least 20 of them. One length alone gives a constant.
    Raises:
      ValueError: if there are too few, or one is no time.
    """
    if len(round_trips) < LEAST_MEASUREMENTS:
        raise ValueError(f"{len(round_trips)} round trips were measured; measure at least {LEAST_MEASUREMENTS}")
    units = np.array([row[0] for row in round_trips], np.int64)
    seconds = np.array([row[1] for row in round_trips], np.float64)
    if np.any(units < 1) or not np.all(np.isfinite(seconds)) or np.any(seconds < 0):
        raise ValueError("a round trip is not a time; give pairs of units (1 or more) and seconds (0 or more)")
    quadratic, linear, constant = fit_quadratic(units, seconds)
    left_over = seconds - (quadratic * units**2 + linear * units + constant)
    shift, sigma, scale, shape = fit_noise(left_over)
    return LatencyModel(
        quadratic=quadratic,
        linear=linear,
        constant=max(constant + shift, 0.0),
        sigma=sigma,
        tail_scale=scale,
        tail_shape=shape,
    )


def fit_quadratic(
    units: Int[np.ndarray, "measurements"], seconds: Float[np.ndarray, "measurements"]
) -> tuple[float, float, float]:
    """Least squares through the medians of each length, weighted by how often it was measured; no coefficient below 0.

    Returns:
      quadratic, linear and constant coefficients. Lengths fewer than three leave the highest ones at 0.
    """
    lengths, counts = np.unique(units, return_counts=True)
    medians = np.array([np.median(seconds[units == length]) for length in lengths])
    weights = np.sqrt(counts.astype(float))
    columns = np.stack([np.ones(len(lengths)), lengths, lengths**2], axis=1).astype(float)
    best, best_error = (0.0, 0.0, float(np.median(seconds))), math.inf
    for size in range(1, min(3, len(lengths)) + 1):
        for chosen in itertools.combinations(range(3), size):
            part = columns[:, chosen] * weights[:, None]
            solution = np.linalg.lstsq(part, medians * weights, rcond=None)[0]
            error = float(np.sum((part @ solution - medians * weights) ** 2))
            if np.all(solution >= 0) and error < best_error - 1e-15:
                filled = np.zeros(3)
                filled[list(chosen)] = solution
                best, best_error = (float(filled[2]), float(filled[1]), float(filled[0])), error
    return best


def fit_noise(left_over: Float[np.ndarray, "measurements"]) -> tuple[float, float, float, float]:
    """Gauss and shifted Pareto whose sum has the quantiles of what the quadratic leaves over.

    Returns:
      shift of the whole, sigma, scale and shape of the tail.
    """
    wanted = np.quantile(left_over, _PROBABILITIES)
    spread = max(float(wanted[-1] - wanted[0]), 1e-9)
    gauss = normal_midpoints(_DRAWS)
    uniform = (np.random.default_rng(0).permutation(_DRAWS) + 0.5) / _DRAWS

    def quantiles(logs: np.ndarray) -> np.ndarray:
        sigma, scale, shape = np.exp(logs[0]), np.exp(logs[1]), 1.0 + np.exp(logs[2])
        return np.quantile(sigma * gauss + scale * (uniform ** (-1.0 / shape) - 1.0), _PROBABILITIES)

    def error(logs: np.ndarray) -> float:
        off = wanted - quantiles(logs)
        off = off - np.median(off)  # the shift is free
        return float(np.sum(np.abs(off)))

    starts = [
        np.log([spread * part, spread * other, above])
        for part, other, above in itertools.product((0.02, 0.2), (0.02, 0.3), (1.5,))
    ]
    low = np.log([spread * 1e-4, spread * 1e-4, 0.05])
    high = np.log([spread, 3.0 * spread, 20.0])
    found = [_pattern_search(error, start, low, high) for start in starts]
    logs = min(found, key=error)
    shift = float(np.median(wanted - quantiles(logs)))
    return shift, float(np.exp(logs[0])), float(np.exp(logs[1])), float(1.0 + np.exp(logs[2]))


def _pattern_search(
    function: Callable[[np.ndarray], float], start: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Walks along the axes, halving the stride when no direction helps."""
    here, value, stride = np.clip(start, low, high), function(start), 0.8
    while stride > 0.02:
        moved = False
        for axis, sign in itertools.product(range(len(here)), (1.0, -1.0)):
            there = here.copy()
            there[axis] = np.clip(there[axis] + sign * stride, low[axis], high[axis])
            new = function(there)
            if new < value:
                here, value, moved = there, new, True
        if not moved:
            stride *= 0.5
    return here
