"""`python -m magenta_rt_py.train.starter [stage]`: trains the bundled starter model, or one stage of it.

all        every stage in its order, two lanes beside each other (make starter-cpu); stopped at any moment, it goes on
status     what is done, and how long the rest will take
carry      packs what a machine without a network needs (make starter-gpu there); then
gpu        one of the numbered commands of the GPU recipe, or all of them
or one stage: render-codec, render, codec, codes, style, tokens, lm, refinement, export
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from magenta_rt_py.errors import MrtError
from magenta_rt_py.generators.compilation import use_cache
from magenta_rt_py.train.starter import carry, gpu, plan, stages
from magenta_rt_py.train.starter.guard import follow_parent, only_one
from magenta_rt_py.train.starter.recipe import RECIPES, StarterRecipe, work_directory
from magenta_rt_py.train.starter.render import remove_leftovers
from magenta_rt_py.train.starter.status import report
from magenta_rt_py.train.starter.stopwatch import Stopwatch

STAGES = ("render-codec", "render", "codec", "codes", "style", "tokens", "lm", "refinement", "export")


def main(argv: list[str] | None = None) -> int:
    """Parses the command line and does what it says; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m magenta_rt_py.train.starter", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stage", nargs="?", default="all", choices=("all", "status", "carry", "gpu", *STAGES))
    parser.add_argument("--recipe", default=None, choices=tuple(RECIPES), help="default: cpu, for the stage gpu: gpu")
    parser.add_argument("--directory", type=Path, default=None, help="work directory (default: the user's cache)")
    parser.add_argument("--output", type=Path, default=None, help="where the bundle goes (default: bundle/ in there)")
    parser.add_argument("--workers", type=int, default=None, help="rendering processes (default: one a core)")
    parser.add_argument("--out", type=Path, default=None, help="carry, gpu: folder for what is to be taken along")
    parser.add_argument("--into", type=Path, default=None, help="gpu: folder with what earlier commands gave out")
    parser.add_argument("--step", type=int, default=None, help=f"gpu: which command, 1..{gpu.STEPS}; default all")
    arguments = parser.parse_args(argv)
    name = arguments.recipe or ("gpu" if arguments.stage == "gpu" else "cpu")
    recipe, directory = RECIPES[name](), arguments.directory or work_directory(name)
    workers = arguments.workers or _available_cores()
    try:
        return _run(arguments, name, recipe, directory, workers)
    except (ValueError, FileNotFoundError, MrtError) as error:
        print(f"starter: {error}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace, name: str, recipe: StarterRecipe, directory: Path, workers: int) -> int:
    match arguments.stage:
        case "status":
            print(report(recipe, directory))
        case "carry":
            print(carry.pack(_needed(arguments.out, "--out")))
        case "gpu":
            use_cache()
            with only_one(directory, "all"):
                gpu.run(recipe, directory, step=arguments.step, into=arguments.into, out=arguments.out, workers=workers)
        case "all":
            options = ["--recipe", name, "--directory", str(directory)]
            options += ["--output", str(arguments.output)] if arguments.output else []
            with only_one(directory, "all"):
                stages.check_directory(recipe, directory)
                remove_leftovers(directory)
                plan.stop_quietly()
                return plan.run_all(recipe, directory, options)
        case stage:
            follow_parent()
            use_cache()
            stages.check_directory(recipe, directory)
            with only_one(directory, stage), Stopwatch(directory, stage):
                run_stage(stage, recipe, directory, workers=workers, output=arguments.output)
    return 0


def run_stage(stage: str, recipe: StarterRecipe, directory: Path, *, workers: int, output: Path | None) -> None:
    """Runs one stage; each reads what the earlier ones left in `directory`."""
    match stage:
        case "render-codec":
            stages.render(recipe, directory, workers=workers, shards=range(recipe.codec_shards))
        case "render":
            stages.render(recipe, directory, workers=workers, shards=range(recipe.num_shards))
        case "codec":
            stages.codec(recipe, directory)
        case "codes":
            stages.codes(recipe, directory, workers=workers)
        case "style":
            stages.style(recipe, directory)
        case "tokens":
            stages.tokens(recipe, directory)
        case "lm":
            stages.language_model(recipe, directory)
        case "refinement":
            stages.refinement(recipe, directory)
        case "export":
            stages.export(recipe, directory, output)
        case _:
            raise ValueError(f"got stage {stage!r}, expected one of {', '.join(STAGES)}")


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _needed(path: Path | None, option: str) -> Path:
    if path is None:
        raise ValueError(f"{option} is missing; name a folder")
    return path


if __name__ == "__main__":
    sys.exit(main())
