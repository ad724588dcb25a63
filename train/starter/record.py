"""What a bundle says of its own making: source, amounts, seeds, losses and times."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from magenta_rt_py import __version__
from magenta_rt_py.train import studio
from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.render import load_shard, shard_path
from magenta_rt_py.train.starter.stopwatch import read_times, times_path

AMOUNTS_FILE = "amounts.json"
"""Where the amounts are kept for a machine that has no renders."""

_CHECKOUT = Path(__file__).resolve().parents[2]


def source_state() -> dict[str, Any]:
    """Version of the package and, in a git checkout, its commit and whether files differ from it."""
    state: dict[str, Any] = {"version": __version__}
    commit = _git("rev-parse", "HEAD")
    if commit:
        state |= {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    return state


def _git(*arguments: str) -> str:
    """Standard output of a git command in the checkout; empty where there is no git or no checkout."""
    try:
        done = subprocess.run(["git", *arguments], cwd=_CHECKOUT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine_state() -> dict[str, Any]:
    """The machine and the libraries that trained, without names of people or hosts."""
    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def amounts(recipe: StarterRecipe, directory: Path) -> dict[str, Any]:
    """How much was rendered, as kept in AMOUNTS_FILE, or else counted."""
    if (directory / AMOUNTS_FILE).exists():
        return json.loads((directory / AMOUNTS_FILE).read_text())
    return count_amounts(recipe, directory)


def count_amounts(recipe: StarterRecipe, directory: Path) -> dict[str, Any]:
    """How much was rendered: hours, pieces by kind and by genre (of their first section), seeds."""
    labels = [
        label
        for index in range(recipe.num_shards)
        if shard_path(directory, index).exists()
        for label in load_shard(directory, index).labels
    ]
    return {
        "hours": round(len(labels) * recipe.piece_seconds / 3600, 2),
        "pieces": len(labels),
        "pieces_by_kind": _counts(label["kind"] for label in labels),
        "pieces_by_genre": _counts(label["genre"] for label in labels),
        "first_seed": recipe.first_seed,
        "last_seed": recipe.first_seed + recipe.num_pieces - 1,
        "genres": len(studio.STARTER_GENRES),
        "instruments_heard": len({name for label in labels for name in label["instruments"]}),
    }


def _counts(values: Iterable[str]) -> dict[str, int]:
    names, counts = np.unique(list(values), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def losses(directory: Path, part: str) -> dict[str, Any]:
    """The last training line and the last evaluation of a part, and what its final check found."""
    found: dict[str, Any] = {}
    for line in read_metrics(directory / part):
        found |= line
    result = directory / part / "result.json"
    return _plain(found | ({"result": json.loads(result.read_text())} if result.exists() else {}))


def _plain(value: Any) -> Any:
    """The same with None for numbers that JSON does not know: what could not be measured on too few pieces."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def minutes_by_stage(directory: Path) -> dict[str, dict[str, float]]:
    """Wall and processor minutes of every stage, over all its runs; "all" is the run as a whole."""
    stages = sorted(path.stem for path in times_path(directory, "all").parent.glob("*.json"))
    times = {stage: read_times(directory, stage) for stage in stages}
    return {
        stage: {"wall": round(taken.wall_seconds / 60, 1), "processor": round(taken.processor_seconds / 60, 1)}
        for stage, taken in times.items()
    }
