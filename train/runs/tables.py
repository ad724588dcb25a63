"""Runs as text: a table of many, one in full, two side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from magenta_rt_py.train.runs.run import HELD_OUT, TRAINING, Run
from magenta_rt_py.train.runs.settings import differences, flatten

COLUMNS = ("run", "model", "status", "began", "steps", "loss", "held out", "data", "commit")
MISSING = "-"
WIDEST = 44
"""Characters of a value beside another."""


def run_name(run: Run, root: Path) -> str:
    """A run's folder as seen from the folder that was listed."""
    try:
        name = str(run.directory.relative_to(root))
    except ValueError:
        return str(run.directory)
    return run.directory.resolve().name if name == "." else name


def list_lines(runs: Sequence[Run], root: Path) -> list[str]:
    """One line a run under a heading, columns aligned; what is wrong with a run stands under its line."""
    rows = [COLUMNS, *(_cells(run, root) for run in runs)]
    lines = align(rows)
    for place in range(len(runs), 0, -1):  # from behind, so that places before stay what they are
        if runs[place - 1].error:
            lines.insert(place + 1, f"    {_cut(runs[place - 1].error, 120)}")
    return lines


def show_lines(run: Run) -> list[str]:
    """Everything that is known of a run."""
    lines = [f"{run.directory}: {run.model}, {run.status}, {run.step} steps"]
    lines += [f"error: {run.error}"] if run.error else []
    lines += [f"from: {run.parent}"] if run.parent else []
    lines += [f"data: {run.data_hash}"] if run.data_hash else []
    for number, session in enumerate(run.sessions, 1):
        source, machine = session.get("source", {}), session.get("machine", {})
        ended = session.get("ended") or "open"
        lines.append(f"session {number}: {session['began']} to {ended}, from step {session.get('first_step')}")
        lines.append(f"  source: {_pairs(source)}")
        lines.append(f"  machine: {_pairs(machine)}")
        for name, (before, after) in session.get("changed_settings", {}).items():
            lines.append(f"  changed: {name} from {value_text(before)} to {value_text(after)}")
    lines += _block("settings", flatten(run.config)) + _block("numbers", run.numbers)
    lines += ["takes:", *(f"  {path}" for path in run.takes)] if run.takes else []
    return lines


def compare(left: Run, right: Run) -> dict[str, dict[str, tuple[Any, Any]]]:
    """What differs between two runs: {"run": ..., "settings": ..., "numbers": ...}, each name -> (left, right).

    Numbers are all shown, equal or not; settings only where they differ.
    """
    about = [{"model": run.model, "status": run.status, "steps": run.step, "parent": run.parent, "data": run.data_hash,
              "source": run.commit} for run in (left, right)]  # fmt: skip
    return {
        "run": differences(*about),
        "settings": differences(left.config, right.config),
        "numbers": {
            name: (left.numbers.get(name), right.numbers.get(name)) for name in sorted(left.numbers | right.numbers)
        },
    }


def compare_lines(compared: Mapping[str, Mapping[str, tuple[Any, Any]]], names: tuple[str, str]) -> list[str]:
    """Two runs side by side; a number of both has its change in percent."""
    rows = [("", *names, "")]
    for part, pairs in compared.items():
        rows.append((f"{part}:" if pairs else f"{part}: no difference", "", "", ""))
        for name, (left, right) in pairs.items():
            change = _change(left, right) if part == "numbers" else ""
            rows.append((f"  {name}", _cut(value_text(left), WIDEST), _cut(value_text(right), WIDEST), change))
    return align(rows)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines whose columns stand under each other, two spaces apart."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def value_text(value: Any) -> str:
    """A setting or number as it stands in a table; a dash for what is not there."""
    if value is None:
        return MISSING
    if isinstance(value, float):
        return f"{value:.5g}"
    return value if isinstance(value, str) else json.dumps(value)


def _cells(run: Run, root: Path) -> tuple[str, ...]:
    return (
        run_name(run, root),
        run.model or MISSING,
        run.status,
        run.began[:16].replace("T", " "),
        str(run.step),
        _measure_text(run.last(TRAINING), plain="loss"),
        _measure_text(run.last(HELD_OUT), plain="eval/loss"),
        run.data_hash[:8] or MISSING,
        run.commit or MISSING,
    )


def _measure_text(measure: tuple[str, float] | None, *, plain: str) -> str:
    """A value, with the measure's name if it is not the plain one."""
    if measure is None:
        return MISSING
    name, value = measure
    return value_text(value) if name == plain else f"{name.removeprefix('eval/')} {value_text(value)}"


def _change(left: Any, right: Any) -> str:
    numeric = all(isinstance(value, int | float) and math.isfinite(value) for value in (left, right))
    return f"{100 * (right - left) / abs(left):+.1f} %" if numeric and left else ""


def _block(title: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    return [f"{title}:", *align([(f"  {name}", value_text(value)) for name, value in values.items()])]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value_text(value)}" for name, value in values.items()) or MISSING


def _cut(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 3]}..."
