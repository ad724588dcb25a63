"""`python -m magenta_rt_py.train.starter [stage]`: trains the bundled starter model, or one stage of it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from magenta_rt_py.train.starter import stages
from magenta_rt_py.train.starter.recipe import StarterRecipe, smoke, work_directory

STAGES = ("render-codec", "render", "codec", "style", "tokens", "lm", "refinement", "export")


def main(argv: list[str] | None = None) -> int:
    """Parses the command line and runs one stage, or all of them in the order of their dependence."""
    parser = argparse.ArgumentParser(prog="python -m magenta_rt_py.train.starter", description=__doc__)
    parser.add_argument("stage", nargs="?", default="all", choices=("all", *STAGES))
    parser.add_argument("--directory", type=Path, default=None, help="work directory (default: the user's cache)")
    parser.add_argument("--output", type=Path, default=None, help="where the bundle is written (default: the package)")
    parser.add_argument("--smoke", action="store_true", help="a few minutes' run of every stage; the model is useless")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rendering processes")
    arguments = parser.parse_args(argv)
    recipe = smoke() if arguments.smoke else StarterRecipe()
    directory = arguments.directory or work_directory().with_name("starter-smoke" if arguments.smoke else "starter")
    directory.mkdir(parents=True, exist_ok=True)
    if arguments.stage == "all":
        return _run_all(sys.argv[1:] if argv is None else argv)
    run_stage(arguments.stage, recipe, directory, workers=arguments.workers, output=arguments.output)
    return 0


def run_stage(stage: str, recipe: StarterRecipe, directory: Path, *, workers: int, output: Path | None) -> None:
    """Runs one stage; each reads what the earlier ones left in `directory`."""
    match stage:
        case "render-codec":
            stages.render(recipe, directory, workers=workers, shards=recipe.codec_shards)
        case "render":
            stages.render(recipe, directory, workers=workers, shards=recipe.num_shards)
        case "codec":
            stages.codec(recipe, directory)
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


def _run_all(arguments: list[str]) -> int:
    """Every stage in its own process; the codec trains on one core while the other renders and trains the style."""
    rest = [argument for argument in arguments if argument != "all"]

    def start(stage: str, cores: set[int] | None = None) -> subprocess.Popen:
        pin = (lambda: os.sched_setaffinity(0, cores)) if cores and hasattr(os, "sched_setaffinity") else None
        return subprocess.Popen(
            [sys.executable, "-m", "magenta_rt_py.train.starter", stage, *rest], preexec_fn=pin
        )

    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    first, second = (set(available[:1]), set(available[1:])) if len(available) > 1 else (None, None)
    if start("render-codec").wait():
        return 1
    codec = start("codec", first)
    for stage in ("render", "style"):
        if start(stage, second).wait():
            codec.terminate()
            return 1
    if codec.wait():
        return 1
    return next((1 for stage in ("tokens", "lm", "refinement", "export") if start(stage).wait()), 0)


if __name__ == "__main__":
    sys.exit(main())
