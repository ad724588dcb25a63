"""In what order the stages run, and what runs beside what: two cores are never both idle for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from magenta_rt_py.train.starter.guard import PARENT_VARIABLE
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.stopwatch import Stopwatch

Lane = tuple[str, ...]
"""Stages that run one after the other on the same cores."""


def phases(recipe: StarterRecipe) -> tuple[tuple[Lane, ...], ...]:
    """Phases one after the other; the lanes of a phase run beside each other, each on its share of the cores.

        cores   minutes ->
        first   render-codec | codec ------> codes | style ------ | tokens | lm ---------- | export
        second  render-codec | render -----------> | style ------ | tokens | lm ---------- |

    `codes` renders from the end what `render` has not come to yet.
    """
    refinement = ((("refinement",),),) if recipe.ship_refinement else ()
    return (
        (("render-codec",),),
        (("codec", "codes"), ("render",)),
        (("style",),),
        (("tokens",),),
        (("lm",),),
        *refinement,
        (("export",),),
    )


def run_all(recipe: StarterRecipe, directory: Path, arguments: Sequence[str]) -> int:
    """Runs every phase; each stage is a process of its own.

    Args:
      recipe: decides the phases.
      directory: gets the time that the whole takes.
      arguments: of the command line, handed on to every stage.
    Returns:
      0, or the exit code of the first stage that failed; the others of its phase are then stopped, and leave
      checkpoints.
    """
    with Stopwatch(directory, "all"):
        for lanes in phases(recipe):
            code = _run_phase(lanes, arguments)
            if code:
                return code
    return 0


def shares_of_cores(lanes: int) -> list[set[int] | None]:
    """Which cores each lane runs on; None (all of them) where there is one lane, or not a core for each."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if lanes == 1 or len(cores) < lanes:
        return [None] * lanes
    # The first lane trains and needs one core; the others render, and take what there is.
    rest = cores[lanes - 1 :]
    return [{core} for core in cores[: lanes - 1]] + [set(rest)]


def _run_phase(lanes: Sequence[Lane], arguments: Sequence[str]) -> int:
    """Runs the lanes of one phase to their ends, or all of them to the first failure."""
    waiting = [list(lane) for lane in lanes]
    shares = shares_of_cores(len(lanes))
    running: dict[int, subprocess.Popen] = {}
    try:
        while running or any(waiting):
            for number, stages in enumerate(waiting):
                if number not in running and stages:
                    running[number] = _start(stages.pop(0), arguments, shares[number])
            for number, process in list(running.items()):
                code = process.poll()
                if code:
                    return code
                if code == 0:
                    del running[number]
            time.sleep(0.2)
        return 0
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(stage: str, arguments: Sequence[str], cores: set[int] | None) -> subprocess.Popen:
    command = [sys.executable, "-m", "magenta_rt_py.train.starter", stage, *arguments]
    process = subprocess.Popen(command, env=os.environ | {PARENT_VARIABLE: str(os.getpid())})
    if cores is not None:
        os.sched_setaffinity(process.pid, cores)
    return process


def stop_quietly() -> None:
    """Lets SIGTERM end this process the way Ctrl-C does, so that `finally` stops the stages that run."""

    def stop(number: int, frame: object) -> None:
        del frame
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
