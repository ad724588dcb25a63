"""95 % intervals of shares, means and ratios, so that 30 takes are not read as 3000."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import scipy.stats

Z_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""

RESAMPLES = 2000
"""Of a bootstrap."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """Hits among trials with their intervals."""

    hits: int
    """Trials that succeeded."""
    trials: int
    """Trials made, all counted."""

    def __post_init__(self) -> None:
        if self.trials < 1 or not 0 <= self.hits <= self.trials:
            raise ValueError(
                f"got {self.hits} hits of {self.trials} trials, expected 0 <= hits <= trials "
                "and at least one trial; count every trial once"
            )

    @property
    def value(self) -> float:
        """Hits over trials, 0..1."""
        return self.hits / self.trials

    @property
    def wilson(self) -> tuple[float, float]:
        """Wilson score interval (Wilson 1927), 95 %."""
        square = Z_95 * Z_95
        centre = (self.value + square / (2 * self.trials)) / (1 + square / self.trials)
        spread = math.sqrt(self.value * (1 - self.value) / self.trials + square / (4 * self.trials**2))
        half = Z_95 * spread / (1 + square / self.trials)
        return max(0.0, centre - half), min(1.0, centre + half)

    @property
    def clopper_pearson(self) -> tuple[float, float]:
        """Exact binomial interval (Clopper and Pearson 1934), 95 %: never too short."""
        misses = self.trials - self.hits
        low = 0.0 if self.hits == 0 else scipy.stats.beta.ppf(0.025, self.hits, misses + 1)
        high = 1.0 if misses == 0 else scipy.stats.beta.ppf(0.975, self.hits + 1, misses)
        return float(low), float(high)

    def to_json(self) -> dict[str, object]:
        """The share with both intervals, for a report."""
        return {
            "hits": self.hits,
            "trials": self.trials,
            "share": round(self.value, 4),
            "wilson_95": [round(bound, 4) for bound in self.wilson],
            "clopper_pearson_95": [round(bound, 4) for bound in self.clopper_pearson],
        }

    def to_text(self) -> str:
        """`13/30 = 0.43 (0.27-0.61)` with the Wilson interval."""
        low, high = self.wilson
        return f"{self.hits}/{self.trials} = {self.value:.2f} ({low:.2f}-{high:.2f})"


def share_of(outcomes: list[bool]) -> Share:
    """Counts a list of outcomes."""
    return Share(hits=sum(bool(outcome) for outcome in outcomes), trials=len(outcomes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float
    count: int
    """Values that it comes from."""

    def to_json(self) -> dict[str, object]:
        """For a report."""
        return {"value": round(self.value, 4), "interval_95": [round(self.low, 4), round(self.high, 4)], "count": self.count}


def mean_of(values: Sequence[float]) -> Estimate:
    """Mean with Student's interval; of one value the interval is the value itself.

    Raises:
      ValueError: if there is no value.
    """
    if not len(values):
        raise ValueError("got no values, expected at least one to take a mean of; measure something first")
    numbers = np.asarray(values, np.float64)
    value = float(numbers.mean())
    half = 0.0
    if len(numbers) > 1:
        half = float(scipy.stats.t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / math.sqrt(len(numbers)))
    return Estimate(value=value, low=value - half, high=value + half, count=len(numbers))


def ratio_of(numerators: Sequence[float], denominators: Sequence[float], *, seed: int = 0) -> Estimate:
    """Ratio of two means with a seeded percentile bootstrap; the two sets are drawn apart.

    Raises:
      ValueError: if one of them is empty, or the mean below is not above 0.
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if not len(above) or not len(below) or not below.mean() > 0.0:
        raise ValueError(
            f"got {len(above)} values over {len(below)}, expected values in both and a mean below the line above 0"
        )
    random = np.random.default_rng(seed)
    tops = above[random.integers(len(above), size=(RESAMPLES, len(above)))].mean(1)
    bottoms = below[random.integers(len(below), size=(RESAMPLES, len(below)))].mean(1)
    low, high = np.percentile(tops / np.maximum(bottoms, 1e-9), (2.5, 97.5))
    return Estimate(value=float(above.mean() / below.mean()), low=float(low), high=float(high), count=len(above))


def jackknife_of(value: float, without_one: Sequence[float]) -> Estimate:
    """Interval of a figure from its values with one group left out each (Tukey's jackknife).

    Args:
      value: of all groups together.
      without_one: the figure without each group; two or more.
    """
    return stratified_jackknife_of(value, [without_one])


def stratified_jackknife_of(value: float, without_one: Sequence[Sequence[float]]) -> Estimate:
    """`jackknife_of` where the groups were drawn within strata that are given, such as some takes of each of five styles.

    How much strata differ from each other is then no chance: only what happens within each of them is counted.

    Args:
      value: of all groups together.
      without_one: of every stratum the figure without each of its groups; two or more groups.
    """
    count, squares = sum(len(left) for left in without_one), 0.0
    for left in (np.asarray(left, np.float64) for left in without_one if len(left) > 1):
        # A group that is left out should have its stratum's others stand in for it; as it is, all others do.
        standing_in = (count - 1) / count * len(left) / (len(left) - 1)
        squares += (len(left) - 1) / len(left) * float(((standing_in * (left - left.mean())) ** 2).sum())
    spread = math.sqrt(squares)
    return Estimate(value=value, low=value - Z_95 * spread, high=value + Z_95 * spread, count=count)
