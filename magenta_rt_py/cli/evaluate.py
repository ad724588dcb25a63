"""`mrtpy eval ...`: codec, style, steering, beat, clock, quality, transitions, liveness; `all` of them as one report."""

from __future__ import annotations

import argparse
import dataclasses
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.options import add_bundle_option
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress
from magenta_rt_py.errors import MissingExtraError

if TYPE_CHECKING:
    from magenta_rt_py.train.evaluation.section import Section
    from magenta_rt_py.train.evaluation.workbench import Workbench

Measure = Callable[["Workbench", argparse.Namespace], "Section"]

ACTIONS: dict[str, str] = {
    "codec": "round trip of held-out renders at 4, 8 and 16 levels, and of real recordings",
    "style": "blends, unseen wordings and audio prompts in the style space",
    "steering": "twenty fixed prompts x three seeds: do independent judges name the right one",
    "beat": "pulse and tempo of the beat-driven prompts' takes beside true renders",
    "clock": "ten minutes slaved to an outside clock",
    "quality": "Frechet distances and label divergence from true renders; hooks for OpenL3, PaSST and CLAP",
    "transitions": "from one prompt to another over a minute: the paper's figure 2",
    "liveness": "ten-minute takes: clipping, silence, loudness, tempo, repetition, entropy",
    "all": "all of it as one report; a run that is cut off goes on where it was",
}
"""In the order of the report."""

FOLDER_ACTIONS = ("codec", "style", "all")
EXTRA_MODULES = ("librosa", "sklearn", "scipy", "matplotlib")


def register(commands: Any) -> None:
    """Adds the command and its actions."""
    parser = commands.add_parser("eval", help="measure the model beside ceilings and floors", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="|".join(ACTIONS), dest="action", required=True)
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        add_bundle_option(action)
        action.add_argument("--set", choices=("quick", "full"), default="quick", help="how much (default: %(default)s)")
        action.add_argument("--out", type=Path, metavar="DIR", help="write report.json, report.md and pictures there")
        action.add_argument("--workers", type=int, metavar="N", help="processes that render (default: one a core)")
        if name in FOLDER_ACTIONS:
            action.add_argument("--folder", type=Path, metavar="DIR", help="real recordings, whatever libsndfile reads")
        _add_own_options(action, name)
        add_json_option(action)
        action.set_defaults(run=run)


def _add_own_options(action: argparse.ArgumentParser, name: str) -> None:
    """Options that make sense for one action, or for all of them at once."""
    if name in ("codec", "all"):
        action.add_argument("--gpu", action="store_true", help="a GPU trained the codec: 2.0 dB are wanted, not 2.5")
    if name in ("steering", "beat", "all"):
        action.add_argument("--takes-dir", type=Path, metavar="DIR", help="keep the takes as FLAC; they are made anew")
    if name in ("steering", "beat", "quality", "all"):
        action.add_argument("--prompts", type=int, metavar="N", help="only the first N prompts, for a trial")
    if name in ("quality", "all"):
        action.add_argument(
            "--with",
            dest="hooks",
            nargs="+",
            default=[],
            metavar="HOOK",
            help="other programs' models: openl3, passt, clap, or module:function",
        )
    if name in ("transitions", "all"):
        action.add_argument("--pairs", type=int, metavar="N", help="transitions, of 128 (default: 32, full: 128)")
    if name in ("liveness", "clock", "all"):
        action.add_argument("--minutes", type=float, metavar="M", help="length of the long takes (default: 10)")
    if name in ("liveness", "all"):
        action.add_argument("--takes", type=int, metavar="N", help="long takes (default: 3, full: 6)")


def run(arguments: argparse.Namespace) -> int:
    """One action, or all."""
    check_extra()
    from magenta_rt_py.train.evaluation import outside, section, workbench

    started = time.perf_counter()
    hooks = [outside.load(name) for name in getattr(arguments, "hooks", [])]
    bench = workbench.Workbench(
        arguments.bundle,
        sizes=sizes_of(arguments),
        say=lambda line: progress(arguments, line),
        workers=arguments.workers,
        hooks=hooks,
        num_prompts=getattr(arguments, "prompts", None),
        takes_folder=getattr(arguments, "takes_dir", None),
    )
    measures = measures_of()
    names = [name for name in ACTIONS if name != "all"] if arguments.action == "all" else [arguments.action]
    head = {"command": f"eval {arguments.action}", "bundle": bench.checksum, "set": arguments.set}
    head["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
    sections, seconds = [], {}
    for name in names:
        began = time.perf_counter()
        sections.append(measures[name](bench, arguments))
        seconds[name] = round(time.perf_counter() - began, 1)
        if arguments.out:
            # After every section, so that a run that is cut off has left a report.
            section.write_report(arguments.out, sections, head={**head, "seconds": seconds})
    end_progress(arguments)
    report = {**head, "seconds": seconds, **{one.name: one.to_json() for one in sections}}
    lines = [one.to_text() + "\n" for one in sections]
    units = f"{bench.units.made} units made, {bench.units.read} found"
    emit(arguments, report, [*lines, f"took {time.perf_counter() - started:.0f} s; {units}"])
    return 0


def measures_of() -> dict[str, Measure]:
    """What each action measures, in the order of the report."""
    from magenta_rt_py.cli import evaluate_clock
    from magenta_rt_py.train.evaluation import (
        beat,
        codec_section,
        live_section,
        quality,
        steering,
        style_section,
        transitions,
    )

    return {
        "codec": lambda bench, given: codec_section.measure(bench, folder=given.folder, trained_on_gpu=given.gpu),
        "style": lambda bench, given: style_section.measure(bench, folder=given.folder),
        "steering": lambda bench, given: steering.measure(bench),
        "beat": lambda bench, given: beat.measure(bench),
        "clock": lambda bench, given: evaluate_clock.measure(bench),
        "quality": lambda bench, given: quality.measure(bench),
        "transitions": lambda bench, given: transitions.measure(bench),
        "liveness": lambda bench, given: live_section.measure(bench),
    }


def sizes_of(arguments: argparse.Namespace) -> Any:
    """The set's sizes with what was asked for.

    Raises:
      ValueError: a number is out of range.
    """
    from magenta_rt_py.train.evaluation import workbench

    sizes = workbench.SIZES[arguments.set]()
    given = {
        "transition_pairs": getattr(arguments, "pairs", None),
        "live_takes": getattr(arguments, "takes", None),
        "live_minutes": getattr(arguments, "minutes", None),
        "clock_minutes": getattr(arguments, "minutes", None),
    }
    for name, value in given.items():
        if value is not None and not value > 0:
            raise ValueError(f"got {value:g} for {name.replace('_', ' ')}, expected more than 0")
    return dataclasses.replace(sizes, **{name: value for name, value in given.items() if value is not None})


def check_extra() -> None:
    """Says which extra is missing before any work is done."""
    for module in EXTRA_MODULES:
        try:
            __import__(module)
        except ImportError as error:
            raise MissingExtraError("evaluation", module, "train") from error
