"""Figures with their intervals as text, and the sets of sounds that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETS = ("takes", "true_renders", "round_trip", "style_masked", "noise")
"""What is measured, then its ceilings and floors; in the order of rows and colours."""


def title_of(name: str) -> str:
    """A set's or a figure's name in a table."""
    return name.replace("_", " ")


def sets_in(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a report holds of each set that was measured, by its title, in the order of `SETS`."""
    return {title_of(name): report[name] for name in SETS if report.get(name)}


def share_text(share: dict[str, Any] | None) -> str:
    """`13/30 0.43 [0.27, 0.61]`, or a dash where nothing was judged."""
    if share is None:
        return "-"
    low, high = share["wilson_95"]
    return f"{share['hits']}/{share['trials']} {share['share']:.2f} [{low:.2f}, {high:.2f}]"


def estimate_text(estimate: dict[str, Any] | None, digits: int = 2) -> str:
    """`2.51 [2.40, 2.62]`, or a dash where nothing was measured."""
    if estimate is None:
        return "-"
    low, high = estimate["interval_95"]
    return f"{estimate['value']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
