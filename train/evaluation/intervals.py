"""95 % intervals of a share of takes, so that 30 takes are not read as 3000."""

from __future__ import annotations

import dataclasses
import math

import scipy.stats

Z_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


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
