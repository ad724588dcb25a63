"""What a bundle says of its own making: amounts, seeds, losses and times. Source and machine: train/runs/provenance."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from magenta_rt_py.train import studio
from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.runs.settings import plain
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.render import load_shard, shard_path
from magenta_rt_py.train.starter.stopwatch import read_times, times_path

AMOUNTS_FILE = "amounts.json"
"""Where the amounts are kept for a machine that has no renders."""


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
    return plain(found | ({"result": json.loads(result.read_text())} if result.exists() else {}))


def minutes_by_stage(directory: Path) -> dict[str, dict[str, float]]:
    """Wall and processor minutes of every stage, over all its runs; "all" is the run as a whole."""
    stages = sorted(path.stem for path in times_path(directory, "all").parent.glob("*.json"))
    times = {stage: read_times(directory, stage) for stage in stages}
    return {
        stage: {"wall": round(taken.wall_seconds / 60, 1), "processor": round(taken.processor_seconds / 60, 1)}
        for stage, taken in times.items()
    }
