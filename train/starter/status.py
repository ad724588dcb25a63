"""What of a recipe is done, and how long the rest will take."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.starter.kept import trained_for
from magenta_rt_py.train.starter.plan import phases
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.render import shard_path
from magenta_rt_py.train.starter.stopwatch import read_times
from magenta_rt_py.train.starter.tokens import codes_path, token_path

TYPICAL_SECONDS = {"render": 36.0, "codes": 12.0, "tokens": 8.0}
"""Seconds a shard of 60 pieces on one core, until this machine has shown its own (docs/benchmarks.md)."""

OVERHEAD_SECONDS = 60.0
"""Of a training stage, besides its budget: loading, compiling, the last evaluation."""


class StageStatus(NamedTuple):
    """One stage's progress.

    Attributes:
      stage: its name.
      done: share, 0..1.
      taken_seconds: wall time spent so far.
      left_seconds: estimate of the wall time still to come, alone on its cores.
      detail: for people.
    """

    stage: str
    done: float
    taken_seconds: float
    left_seconds: float
    detail: str


def status(recipe: StarterRecipe, directory: Path) -> list[StageStatus]:
    """Progress of every stage of the plan, in its order."""
    budgets = {
        "codec": recipe.codec_seconds,
        "style": recipe.style_seconds,
        "lm": recipe.lm_seconds,
        "refinement": recipe.refinement_seconds,
    }
    every = range(recipe.num_shards)
    rows = []
    for stage in (stage for lanes in phases(recipe) for lane in lanes for stage in lane):
        match stage:
            case "render-codec":
                paths = [shard_path(directory, index) for index in range(recipe.codec_shards)]
                rows.append(_of_shards(stage, "render", paths, recipe, directory))
            case "render":
                paths = [shard_path(directory, index) for index in every[recipe.codec_shards :]]
                rows.append(_of_shards(stage, "render", paths, recipe, directory))
            case "codes" | "tokens":
                place = codes_path if stage == "codes" else token_path
                rows.append(_of_shards(stage, stage, [place(directory, index) for index in every], recipe, directory))
            case "export":
                made = (directory / "bundle" / "bundle.json").exists()
                rows.append(StageStatus(stage, float(made), read_times(directory, stage).wall_seconds, 0.0, ""))
            case _:
                rows.append(_of_training(stage, budgets[stage], directory))
    return rows


def _of_shards(stage: str, kind: str, paths: list[Path], recipe: StarterRecipe, directory: Path) -> StageStatus:
    done, taken = sum(path.exists() for path in paths), read_times(directory, stage).wall_seconds
    # Until a third of the shards is there, start-up would count too much.
    measured = taken / done if done and done >= len(paths) / 3 and taken else None
    each = measured or TYPICAL_SECONDS[kind] * recipe.pieces_per_shard / 60
    share = done / len(paths) if paths else 1.0
    return StageStatus(stage, share, taken, each * (len(paths) - done), f"{done} of {len(paths)} shards")


def _of_training(stage: str, budget: float, directory: Path) -> StageStatus:
    taken = read_times(directory, stage).wall_seconds
    if trained_for(directory, stage) >= budget:
        return StageStatus(stage, 1.0, taken, 0.0, "trained")
    lines = read_metrics(directory / stage)
    trained = max((line.get("elapsed_seconds", 0.0) for line in lines), default=0.0)
    steps = max((line["step"] for line in lines), default=0)
    left = max(budget - trained, 0.0) + OVERHEAD_SECONDS
    return StageStatus(stage, min(trained / budget, 0.99), taken, left, f"step {steps:.0f}, {trained:.0f} of {budget:.0f} s")


def left_seconds(recipe: StarterRecipe, rows: list[StageStatus]) -> float:
    """Wall time still to come: the lanes of a phase run beside each other."""
    left = {row.stage: row.left_seconds for row in rows}
    return sum(max(sum(left[stage] for stage in lane) for lane in lanes) for lanes in phases(recipe))


def report(recipe: StarterRecipe, directory: Path) -> str:
    """A table for people."""
    rows = status(recipe, directory)
    lines = [f"{directory}", f"{'stage':<14}{'done':>6}{'taken':>10}{'left':>10}"]
    for row in rows:
        taken, left = row.taken_seconds / 60, row.left_seconds / 60
        lines.append(f"{row.stage:<14}{row.done:>6.0%}{taken:>6.1f} min{left:>6.1f} min  {row.detail}")
    whole = read_times(directory, "all").wall_seconds
    lines.append(f"at work {whole / 60:.1f} min in all; about {left_seconds(recipe, rows) / 60:.0f} min to come")
    return "\n".join(lines)
