"""Figures with their intervals as text."""

from __future__ import annotations

from typing import Any


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
