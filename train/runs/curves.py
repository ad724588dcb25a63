"""Pictures of runs: the loss while training and on held-out data, one colour a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magenta_rt_py.errors import MissingExtraError
from magenta_rt_py.train.runs.run import HELD_OUT, TRAINING, Run

PANELS = (*TRAINING, *HELD_OUT)
"""What is drawn, a panel each, where a run has it."""


def draw_curves(path: str | Path, runs: Sequence[Run], names: Sequence[str] = ()) -> None:
    """Draws the runs' losses over their steps into one picture.

    Args:
      path: where to write; the ending (.png, .svg, .pdf) chooses the form.
      runs: one or more.
      names: what the legend calls them; by default the names of their folders.
    Raises:
      MissingExtraError: matplotlib is not installed.
      ValueError: none of the runs has a line with one of PANELS.
    """
    drawn = []
    names = names or [run.directory.resolve().name for run in runs]
    for measure in PANELS:
        # A run has one colour in all panels, whichever of them it is in.
        curves = [
            (name, *run.curve(measure), f"C{place}")
            for place, (name, run) in enumerate(zip(names, runs, strict=True))
            if run.curve(measure)[0]
        ]
        if curves:
            drawn.append((measure, curves))
    if not drawn:
        where = ", ".join(str(run.directory) for run in runs)
        raise ValueError(f"{where}: no loss has been written yet; draw again after the first report")
    try:
        from magenta_rt_py.train.evaluation.pictures import Curve, panels

        lines = [
            (
                measure,
                [Curve(name, np.asarray(steps), np.asarray(values), colour=own) for name, steps, values, own in curves],
            )
            for measure, curves in drawn
        ]
        panels(Path(path), lines, across="steps", up="")
    except ImportError as error:
        raise MissingExtraError("a picture of the losses", error.name or "matplotlib", "train") from error
