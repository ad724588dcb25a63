"""Pictures of the evaluation: bars beside what is wanted, curves with their spread, spectrograms in rows."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation.features import Heard

DOTS_PER_INCH = 90
SHEET_COLUMNS = 3
"""Takes beside each other in a contact sheet."""


class Curve(NamedTuple):
    """A line over time, or over anything."""

    name: str
    places: Float[np.ndarray, " places"]
    values: Float[np.ndarray, " places"]
    spread: Float[np.ndarray, " places"] | None = None
    """Shaded above and below."""
    colour: str | None = None


def _figure(width: float, height: float) -> Any:
    """A figure without a display and without global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def bars(
    file: pathlib.Path,
    groups: Sequence[str],
    sets: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    title: str,
    wanted: Sequence[float | None] = (),
) -> None:
    """Bars with intervals: a group of them for each figure, a colour for each set.

    Args:
      file: a .png.
      groups: names of the figures.
      sets: by name: value, low and high of each figure.
      title: above.
      wanted: a dashed line across each group; None for none.
    """
    figure = _figure(3.5 + 2.4 * len(groups), 4.0)
    axes = figure.subplots()
    width = 0.8 / max(len(sets), 1)
    for number, (name, figures) in enumerate(sets.items()):
        places = np.arange(len(groups)) - 0.4 + width * (number + 0.5)
        values, lows, highs = (np.array([one[part] for one in figures]) for part in range(3))
        errors = np.maximum(np.stack([values - lows, highs - values]), 0.0)
        axes.bar(places, values, width * 0.92, label=name, yerr=errors, error_kw={"elinewidth": 0.8, "capsize": 2})
    for number, line in enumerate(wanted):
        if line is not None:
            axes.hlines(line, number - 0.45, number + 0.45, colors="black", linestyles="dashed", linewidth=1.0)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_title(f"{title} (dashed: wanted)" if any(line is not None for line in wanted) else title)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(file, dpi=DOTS_PER_INCH)


def panels(
    file: pathlib.Path,
    drawn: Sequence[tuple[str, Sequence[Curve]]],
    *,
    across: str,
    up: str,
    line_at: float | None = None,
) -> None:
    """Panels of curves side by side.

    Args:
      file: a .png.
      drawn: title and curves of each panel.
      across: what lies across, with its unit.
      up: what goes up.
      line_at: place of a dashed line across all panels.
    """
    figure = _figure(5.5 * len(drawn), 4.0)
    for axes, (title, curves) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        for curve in curves:
            marker = "o" if len(curve.places) == 1 else None  # a line of one place would not be seen
            (line,) = axes.plot(curve.places, curve.values, label=curve.name, color=curve.colour, marker=marker)
            if curve.spread is not None:
                low, high = curve.values - curve.spread, curve.values + curve.spread
                axes.fill_between(curve.places, low, high, alpha=0.15, color=line.get_color(), linewidth=0)
        if line_at is not None:
            axes.axvline(line_at, color="grey", linestyle="dashed", linewidth=0.8)
        axes.set(title=title, xlabel=across, ylabel=up)
        axes.legend(fontsize=8)
    figure.savefig(file, dpi=DOTS_PER_INCH)


def rows(file: pathlib.Path, drawn: Sequence[tuple[str, Sequence[Curve]]], *, across: str) -> None:
    """Panels of curves one under another, all over the same time."""
    figure = _figure(11.0, 1.2 + 1.8 * len(drawn))
    for axes, (title, curves) in zip(figure.subplots(len(drawn), 1, squeeze=False, sharex=True)[:, 0], drawn, strict=True):
        for curve in curves:
            axes.plot(curve.places, curve.values, label=curve.name, color=curve.colour, linewidth=1.0)
        axes.set_ylabel(title, fontsize=8)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.legend(fontsize=7, ncols=4, loc="upper right")
    axes.set_xlabel(across)
    figure.savefig(file, dpi=DOTS_PER_INCH)


def contact_sheet(file: pathlib.Path, sounds: Sequence[Heard]) -> None:
    """Mel spectrograms of all sounds, a few beside each other, all on one level scale."""
    count = -(-len(sounds) // SHEET_COLUMNS)
    figure = _figure(15.0, 0.3 + 0.8 * count)
    grid = figure.subplots(count, SHEET_COLUMNS, squeeze=False)
    for axes in grid.flat[len(sounds) :]:
        axes.axis("off")
    for axes, heard in zip(grid.flat, sounds):
        axes.imshow(heard.picture, aspect="auto", origin="lower", cmap="magma", vmin=0, vmax=255)
        axes.set_xticks([])
        axes.set_yticks([])
        label = f"{heard.genre}\n{heard.bpm:.0f} bpm\n{heard.seed % 10_000}"
        axes.set_ylabel(label, fontsize=6, rotation=0, ha="right", va="center")
    figure.savefig(file, dpi=DOTS_PER_INCH)
