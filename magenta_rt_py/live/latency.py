"""Latency: how long a request takes, as a distribution that depends on how much it asks for. Pure."""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np
from jaxtyping import Float

_STEPS = 2048
"""Points at which the noise's distribution is taken for quantiles."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyModel:
    """Round trip of a request for G units, in seconds:

        quadratic * G^2 + linear * G + constant + network + sigma * gauss + (pareto(scale, shape) - scale)

    Source: Real-Time Language Model Jamming (RTAS 2026), section IV-C. There G counts interleaved frames and times are in
    milliseconds; here G counts the plan's units and times are in seconds: `from_interleaved` converts.
    """

    quadratic: float = 0.0
    """Seconds a unit squared: attention over what was generated."""
    linear: float = 0.0
    """Seconds a unit: one step of the model."""
    constant: float = 0.0
    """Seconds a request: reading the context, starting up."""
    network: float = 0.0
    """Nu, seconds a request on the way; 0 on one machine. From measurements of the whole it cannot be told from
    `constant`."""
    sigma: float = 0.0
    """Standard deviation of the Gaussian noise in seconds."""
    tail_scale: float = 0.0
    """x_min, scale of the Pareto tail in seconds; 0 is no tail."""
    tail_shape: float = 2.0
    """Alpha, above 1: low is a heavy tail."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0.0:
                raise ValueError(f"{field.name} is {value!r}; give a finite number, 0 or more")
        if self.tail_shape <= 1.0:
            raise ValueError(f"tail_shape is {self.tail_shape!r}; give more than 1, or the mean latency is infinite")

    def base_seconds(self, units: int) -> float:
        """The part without noise."""
        return self.quadratic * units**2 + self.linear * units + self.constant + self.network

    def sample(self, rng: np.random.Generator, units: int, count: int) -> Float[np.ndarray, "count"]:
        """Draws round trips in seconds, never below 0."""
        noise = self.sigma * rng.standard_normal(count)
        tail = self.tail_scale * ((1.0 - rng.random(count)) ** (-1.0 / self.tail_shape) - 1.0)
        return np.maximum(self.base_seconds(units) + noise + tail, 0.0)

    def quantile(self, units: int, probability: float) -> float:
        """The round trip in seconds that a share `probability` of requests does not exceed.

        Raises:
          ValueError: unless 0 < probability < 1.
        """
        if not 0.0 < probability < 1.0:
            raise ValueError(f"probability is {probability!r}; give a number between 0 and 1, such as 0.95")
        return max(self.base_seconds(units) + self._noise_quantile(probability), 0.0)

    def _noise_quantile(self, probability: float) -> float:
        gauss = statistics.NormalDist().inv_cdf(probability) * self.sigma
        if self.tail_scale == 0.0:
            return gauss
        # Given the Gauss part, the tail's distribution is known in closed form: average it and bisect. The sum is at
        # least the Gauss part, and at most the two parts' quantiles at (1 + p) / 2 together (union bound).
        parts = self.sigma * normal_midpoints(_STEPS)
        half = (1.0 - probability) / 2.0
        high = self.sigma * statistics.NormalDist().inv_cdf(1.0 - half)
        low, high = gauss, high + self.tail_scale * (half ** (-1.0 / self.tail_shape) - 1.0)
        for _ in range(60):
            middle = 0.5 * (low + high)
            over = np.maximum(middle - parts, 0.0)
            reached = np.where(parts > middle, 0.0, 1.0 - (1.0 + over / self.tail_scale) ** -self.tail_shape)
            if float(np.mean(reached)) < probability:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)


def normal_midpoints(count: int) -> Float[np.ndarray, "count"]:
    """`count` equally likely values of a standard normal variable, ascending."""
    distribution = statistics.NormalDist()
    return np.array([distribution.inv_cdf((step + 0.5) / count) for step in range(count)])


def from_interleaved(
    alpha: float,
    beta: float,
    gamma: float,
    *,
    network: float = 0.0,
    sigma: float = 0.0,
    tail_scale: float = 0.0,
    tail_shape: float = 2.0,
) -> LatencyModel:
    """The paper's model, alpha * L^2 + beta * L + gamma in ms for L interleaved frames, in seconds for G units.

    G units of accompaniment are L = 2 G - 1 interleaved frames. The other times are in ms, too.
    """
    return LatencyModel(
        quadratic=4.0 * alpha / 1e3,
        linear=(2.0 * beta - 4.0 * alpha) / 1e3,
        constant=(alpha - beta + gamma) / 1e3,
        network=network / 1e3,
        sigma=sigma / 1e3,
        tail_scale=tail_scale / 1e3,
        tail_shape=tail_shape,
    )
