"""`mrtpy eval steering|beat|codec`: does it steer, does it have a beat, what does the codec lose."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.options import add_bundle_option
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress
from magenta_rt_py.errors import MissingExtraError

if TYPE_CHECKING:
    from magenta_rt_py.train.evaluation.probe import Probe
    from magenta_rt_py.train.evaluation.renders import Sound

TRUE_PIECES_PER_GENRE = 5
"""Held-out renders that stand beside the takes, a genre."""

PROBE_PIECES_PER_GENRE = 20
"""Held-out renders that train the probe, a genre."""

PROBE_SECONDS = 30.0
"""Length of each of them: that of the studio's pieces."""

CODEC_PIECES_PER_GENRE = 2
"""Held-out renders of the codec report, a genre."""

CODEC_SECONDS = 10.0
"""Length of each of them."""


def register(commands: Any) -> None:
    """Adds the command and its three actions."""
    parser = commands.add_parser("eval", help="measure steering, beat and codec", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="steering|beat|codec", dest="action", required=True)
    steering = actions.add_parser(
        "steering",
        help="ten fixed prompts x three seeds: do two judges name the right one; and their beat",
        allow_abbrev=False,
    )
    beat = actions.add_parser(
        "beat", help="pulse and tempo of the beat-driven prompts' takes beside true renders", allow_abbrev=False
    )
    codec = actions.add_parser("codec", help="round trip of held-out renders at 4, 8 and 16 levels", allow_abbrev=False)
    for action in (steering, beat):
        action.add_argument("--takes-dir", type=Path, metavar="DIR", help="keep the takes (FLAC) and a picture of all")
    steering.add_argument(
        "--style-masked",
        action="store_true",
        help="also judge ten takes that were given the tempo but no style: what the tempo alone gives away",
    )
    for action, function in ((steering, run_steering), (beat, run_beat), (codec, run_codec)):
        add_bundle_option(action)
        add_json_option(action)
        action.set_defaults(run=function)


def run_steering(arguments: argparse.Namespace) -> int:
    """Steering of all prompts, and the beat of the beat-driven ones."""
    _check_extra()
    from magenta_rt_py.generators import system
    from magenta_rt_py.train.evaluation import beat, prompts, renders, steering, tables, takes

    started = time.perf_counter()
    say = _say(arguments)
    model = system.load(arguments.bundle)
    codec = system.load_codec(arguments.bundle)
    chosen = prompts.EVALUATION_PROMPTS
    genres = tuple(prompt.genre for prompt in chosen)
    true_renders = _true_renders(genres)
    sets = {"true_renders": true_renders, "round_trip": renders.round_trip(codec, true_renders, levels=16)}
    probe = _probe(genres, codec, say)
    sets["takes"] = _takes(model, chosen, say)
    if arguments.style_masked:
        sets["style_masked"] = takes.generate_takes(
            model, prompts=chosen, seeds=prompts.EVALUATION_SEEDS[:1], style_masked=True, progress=say
        )
    if arguments.takes_dir:
        takes.save_takes(arguments.takes_dir, sets["takes"])
    say("judging")
    judges = steering.Judges(probe, model.embed, chosen)
    report: dict[str, Any] = {
        "command": "eval steering",
        "steering": steering.evaluate_steering(judges, sets, prompts=chosen),
        "beat": beat.evaluate_beat(sets, prompts=chosen),
        "seconds": round(time.perf_counter() - started, 1),
    }
    end_progress(arguments)
    lines = [tables.steering_text(report["steering"]), "", tables.beat_text(report["beat"])]
    emit(arguments, report, [*lines, "", f"took {report['seconds']:.0f} s"])
    return 0


def run_beat(arguments: argparse.Namespace) -> int:
    """The beat of the beat-driven prompts, without a judge of style."""
    _check_extra()
    from magenta_rt_py.generators import system
    from magenta_rt_py.train.evaluation import beat, prompts, renders, tables, takes

    say = _say(arguments)
    model = system.load(arguments.bundle)
    codec = system.load_codec(arguments.bundle)
    driven = [prompt for prompt in prompts.EVALUATION_PROMPTS if prompt.beat_driven]
    # All ten genres are rendered, so that a piece has the same seed here as in the steering report.
    genres = tuple(prompt.genre for prompt in prompts.EVALUATION_PROMPTS)
    wanted = {prompt.genre for prompt in driven}
    true_renders = [sound for sound in _true_renders(genres) if sound.genre in wanted]
    sets = {
        "true_renders": true_renders,
        "round_trip": renders.round_trip(codec, true_renders, levels=16),
        "takes": _takes(model, driven, say),
    }
    if arguments.takes_dir:
        takes.save_takes(arguments.takes_dir, sets["takes"])
    report = {"command": "eval beat", "beat": beat.evaluate_beat(sets, prompts=driven)}
    end_progress(arguments)
    emit(arguments, report, [tables.beat_text(report["beat"])])
    return 0


def run_codec(arguments: argparse.Namespace) -> int:
    """The codec's round trip, perplexity, streaming and speed."""
    _check_extra()
    from magenta_rt_py.generators import system
    from magenta_rt_py.train.evaluation import codec_report, prompts, renders, tables

    codec = system.load_codec(arguments.bundle)
    progress(arguments, "rendering held-out pieces")
    sounds = list(
        renders.render_sounds(
            [prompt.genre for prompt in prompts.EVALUATION_PROMPTS],
            first_seed=renders.PROBE_TEST_SEED,
            pieces_per_genre=CODEC_PIECES_PER_GENRE,
            seconds=CODEC_SECONDS,
        )
    )
    progress(arguments, "measuring the round trip")
    report = {"command": "eval codec", "codec": codec_report.evaluate_codec(codec, sounds)}
    end_progress(arguments)
    emit(arguments, report, [tables.codec_text(report["codec"])])
    return 0


def _say(arguments: argparse.Namespace) -> Any:
    """A function that shows a line of progress."""
    return lambda line: progress(arguments, line)


def _true_renders(genres: tuple[str, ...]) -> list[Sound]:
    """Held-out pieces that neither the models nor the probe were trained on."""
    from magenta_rt_py.train.evaluation import prompts, renders

    return list(
        renders.render_sounds(
            genres,
            first_seed=renders.PROBE_TEST_SEED,
            pieces_per_genre=TRUE_PIECES_PER_GENRE,
            seconds=prompts.TAKE_SECONDS,
        )
    )


def _takes(model: Any, chosen: Any, say: Any) -> list[Sound]:
    """Every chosen prompt with every fixed seed."""
    from magenta_rt_py.train.evaluation import prompts, takes

    return takes.generate_takes(
        model, prompts=chosen, seeds=prompts.EVALUATION_SEEDS, seconds=prompts.TAKE_SECONDS, progress=say
    )


def _probe(genres: tuple[str, ...], codec: Any, say: Any) -> Probe:
    """The independent judge, trained on descriptors from the cache folder or made now."""
    from magenta_rt_py.train.evaluation import probe, probe_data

    data = probe_data.cached_probe_data(
        genres, codec, pieces_per_genre=PROBE_PIECES_PER_GENRE, seconds=PROBE_SECONDS, progress=say
    )
    return probe.train_probe(data.descriptors, data.genre_ids, genres=genres)


def _check_extra() -> None:
    """Says which extra is missing before any work is done."""
    for module in ("librosa", "sklearn", "scipy", "matplotlib"):
        try:
            __import__(module)
        except ImportError as error:
            raise MissingExtraError("evaluation", module, "train") from error
