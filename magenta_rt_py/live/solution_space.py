"""Solution space: for which intervals and horizons a device can keep a stream alive, as text and as a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from magenta_rt_py.live.feasibility import Verdict

MARKS = {"feasible": "#", "slow": "-", "short": "|", "both": "."}
"""Kind of a pair -> its sign in the text."""
COLOURS = {"feasible": "#3a9d5d", "slow": "#e8c547", "short": "#d9622b", "both": "#8c1c13"}
"""As in the paper's Fig. 4: green, yellow for C1 violated, red for C2, dark red for both."""
MEANINGS = {
    "feasible": "plays",
    "slow": "requests take longer than their interval (C1)",
    "short": "payloads end before the next is there (C2)",
    "both": "both",
}
_CELL = 22
_LEFT, _TOP, _GAP = 56, 64, 48


class Panel(NamedTuple):
    """The solution space of one device at one tempo."""

    title: str
    verdicts: tuple[Verdict, ...]
    """Of every pair of interval and horizon."""


def kind(verdict: Verdict) -> str:
    """Which of the constraints hold: "feasible", "slow", "short" or "both"."""
    if verdict.throughput:
        return "feasible" if verdict.continuity else "short"
    return "slow" if verdict.continuity else "both"


def feasible_share(verdicts: Sequence[Verdict]) -> float:
    """Share of the pairs that are feasible, 0 .. 1; 0 for none at all."""
    return sum(verdict.feasible for verdict in verdicts) / len(verdicts) if verdicts else 0.0


def text_lines(panel: Panel) -> list[str]:
    """The panel as text: intervals downwards, horizons to the right."""
    intervals, horizons = _axes(panel)
    marks = {(verdict.plan.interval, verdict.plan.horizon): MARKS[kind(verdict)] for verdict in panel.verdicts}
    lines = [f"{panel.title}: {100 * feasible_share(panel.verdicts):.0f} % of the pairs are feasible"]
    lines.append("   I \\ G " + "".join(f"{horizon:>3}" for horizon in horizons))
    for interval in intervals:
        row = "".join(f"{marks.get((interval, horizon), ' '):>3}" for horizon in horizons)
        lines.append(f"{interval:>6}   {row}")
    return lines


def legend() -> str:
    """What the signs mean."""
    return "  ".join(f"{MARKS[name]} {meaning}" for name, meaning in MEANINGS.items())


def svg(panels: Sequence[Panel]) -> str:
    """The panels side by side as an SVG picture, one square a pair, intervals upwards.

    Raises:
      ValueError: if there is nothing to draw.
    """
    if not panels or not all(panel.verdicts for panel in panels):
        raise ValueError("no pairs to draw; give at least one interval and one horizon")
    parts, left, height = [], _LEFT, 0
    for panel in panels:
        intervals, horizons = _axes(panel)
        parts += _panel(panel, left)
        left += max(len(horizons) * _CELL, 7 * len(panel.title)) + _GAP
        height = max(height, len(intervals) * _CELL)
    height += _TOP + 40 + 20 * len(MEANINGS)
    parts += _legend(height - 20 * len(MEANINGS))
    width = max(left, 420)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _axes(panel: Panel) -> tuple[list[int], list[int]]:
    intervals = sorted({verdict.plan.interval for verdict in panel.verdicts})
    return intervals, sorted({verdict.plan.horizon for verdict in panel.verdicts})


def _panel(panel: Panel, left: int) -> list[str]:
    intervals, horizons = _axes(panel)
    bottom = _TOP + len(intervals) * _CELL
    parts = [
        f'<text x="{left}" y="24" font-size="14">{_escape(panel.title)}</text>',
        f'<text x="{left}" y="42">{100 * feasible_share(panel.verdicts):.0f} % feasible</text>',
        f'<text x="{left - 40}" y="{_TOP + 12}">I</text>',
        f'<text x="{left}" y="{bottom + 34}">G, units</text>',
    ]
    for verdict in panel.verdicts:
        name = kind(verdict)
        x = left + horizons.index(verdict.plan.horizon) * _CELL
        y = bottom - (intervals.index(verdict.plan.interval) + 1) * _CELL
        prediction = verdict.prediction
        note = f"I {verdict.plan.interval}, G {verdict.plan.horizon}: {MEANINGS[name]}; ISR {prediction.isr:.2f}"
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}" fill="{COLOURS[name]}">'
            f"<title>{_escape(note)}</title></rect>"
        )
    for place, interval in enumerate(intervals):
        y = bottom - place * _CELL - 6
        parts.append(f'<text x="{left - 8}" y="{y}" text-anchor="end">{interval}</text>')
    for place, horizon in enumerate(horizons):
        x = left + place * _CELL + _CELL // 2
        parts.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{horizon}</text>')
    return parts


def _legend(top: int) -> list[str]:
    parts = []
    for place, (name, meaning) in enumerate(MEANINGS.items()):
        y = top + 20 * place
        parts.append(f'<rect x="{_LEFT}" y="{y - 11}" width="14" height="14" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{_LEFT + 22}" y="{y}">{_escape(meaning)}</text>')
    return parts


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
