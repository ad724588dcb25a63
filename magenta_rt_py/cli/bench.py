"""`mrtpy bench live`: plays for a while with every knob moving, and measures what a performer would notice.

Also the door to `mrtpy bench model`, which is in bench_model.py.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli import bench_model
from magenta_rt_py.cli.live import add_devices, check
from magenta_rt_py.cli.options import add_bundle_option
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress

if TYPE_CHECKING:
    from magenta_rt_py.live.board import Board
    from magenta_rt_py.live.card import Card
    from magenta_rt_py.live.session import Session

MOVE_SECONDS = 3.0
"""From one turned knob to the next: 200 in ten minutes."""
SETTLED_SECONDS = 10.0
"""The beginning is told apart."""
PROMPTS = ("lofi hip hop", "driving techno", "ambient pads", "drum and bass", "solo piano", "funky disco bass")
SLICE_SECONDS = 0.2
FRAME_SAMPLES = 1920


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser("bench", help="measure this machine: playing live, or a model's speed", allow_abbrev=False)
    kinds = parser.add_subparsers(title="what", metavar="WHAT", dest="what", required=True)
    live = kinds.add_parser(
        "live",
        help="play for a while, with knobs moving",
        description="Plays with knobs moving every three seconds, and reports gaps, delays, speed and memory.",
        epilog="example: mrtpy bench live --seconds 600 --inject loop.flac --record take.flac --log take.jsonl --json",
        allow_abbrev=False,
    )
    live.add_argument("--seconds", type=float, default=60.0, help="length (default 60)")
    live.add_argument("--seed", type=int, default=0, help="of the music and of the moves (default 0)")
    live.add_argument("--still", action="store_true", help="turn prompts and volume only")
    live.add_argument("--record", type=Path, metavar="FILE", help="record: .flac or .wav")
    live.add_argument("--log", type=Path, metavar="FILE", help="event log for mrtpy replay")
    add_devices(live)
    add_bundle_option(live)
    add_json_option(live)
    live.set_defaults(run=run)
    bench_model.register(kinds)


def run(arguments: argparse.Namespace) -> int:
    """Plays and measures."""
    from magenta_rt_py.cli import live_setup
    from magenta_rt_py.generators import performance, system
    from magenta_rt_py.live.board import Board
    from magenta_rt_py.speed.machine import describe_machine

    if not 3.0 <= arguments.seconds <= 36_000.0:
        raise ValueError(f"--seconds is {arguments.seconds!r}; give 3 .. 36000")
    for name in ("offline", "resume"):
        setattr(arguments, name, False)
    check(arguments)
    live_setup.check(arguments)
    progress(arguments, "loading the model")
    model = system.load(arguments.bundle)
    board = Board({**performance.initial_knobs(model), "prompt/1/text": PROMPTS[0], "prompt/1/weight": 1.0})
    has_input = live_setup.has_input(arguments)
    with ExitStack() as stack:
        round_trip = live_setup.round_trip_of(arguments)
        card = live_setup.open_card(arguments, None)
        stack.callback(card.close)
        ready = performance.get_ready(
            model, board, seed=arguments.seed, has_input=has_input, say=lambda line: progress(arguments, line)
        )
        config = live_setup.config_of(arguments, round_trip, None)
        playing = performance.Performance(model, card, board, ready, config=config)
        stack.callback(playing.close)
        session = playing.session
        watched = _play(arguments, board, session, has_input=has_input)
        counts = _samples(session, card)
        report = {"command": f"bench live --seconds {arguments.seconds:g}", "machine": describe_machine(), **watched}
        report.update(_figures(session, ready.planner.cost_seconds))
    end_progress(arguments)
    report["samples"] = counts
    report["log"] = str(config.log_path)
    emit(arguments, report, _lines(report))
    return 0


def _play(arguments: argparse.Namespace, board: Board, session: Session, *, has_input: bool) -> dict[str, Any]:
    """Runs the music; what is seen on the way."""
    from magenta_rt_py.cli import live_knobs

    moves = list(make_moves(arguments.seconds, arguments.seed, has_input=has_input, is_still=arguments.still))
    began, steps, position = time.monotonic(), [], 0
    gaps: list[tuple[float, int]] = []
    underflows = session.status.card.underflows
    memory_start = None
    while session.seconds < arguments.seconds and not session.is_stopping:
        while position < len(moves) and moves[position][0] <= session.seconds:
            live_knobs.turn(board, *moves[position][1:])
            position += 1
        session.run(min(SLICE_SECONDS, max(arguments.seconds - session.seconds, 0.04)))
        now = session.status
        if not steps or steps[-1][1] != now.step:
            steps.append((round(now.seconds, 1), now.step, round(now.hop_seconds, 2)))
        if now.card.underflows > underflows:
            gaps.append((round(now.seconds, 1), now.card.underflows - underflows))
            underflows = now.card.underflows
        if memory_start is None and session.seconds >= SETTLED_SECONDS:
            memory_start = memory_megabytes()
        progress(arguments, f"{session.seconds:.0f} of {arguments.seconds:g} s, {now.underruns} underruns")
    return {
        "seconds": session.seconds,
        "wall_seconds": time.monotonic() - began,
        "moves": position,
        "planner_steps": steps,
        "device_gaps": gaps,  # seconds of music, blocks that the device had nothing to play for
        "memory_megabytes": {"at_10_s": memory_start, "at_the_end": memory_megabytes()},
    }


def make_moves(seconds: float, seed: int, *, has_input: bool, is_still: bool = False) -> list[tuple[float, str, Any]]:
    """Knobs to turn, one every three seconds, the same for the same seed."""
    rng = random.Random(seed)
    moves: list[tuple[float, str, Any]] = []
    kinds = ["text", "weight", "volume"]
    if not is_still:
        kinds += ["temperature", "guidance", "bpm", "snapshot/save", "snapshot/recall", "rewind"]
    if has_input:
        kinds += ["inject/gain", "inject/feedback", "inject/loop_beats", "input_guidance", "inject/live_prompt"]
    for number in range(int(seconds / MOVE_SECONDS)):
        at = MOVE_SECONDS * (number + 1)
        kind = rng.choice(kinds)
        slot = rng.randint(1, 2)
        values: dict[str, tuple[str, Any]] = {
            "text": (f"prompt/{slot}/text", rng.choice(PROMPTS)),
            "weight": (f"prompt/{slot}/weight", round(rng.uniform(0.1, 1.5), 2)),
            "volume": ("volume", round(rng.uniform(0.5, 1.0), 2)),
            "temperature": ("temperature", round(rng.uniform(0.9, 1.2), 2)),
            "guidance": ("guidance", round(rng.uniform(0.2, 2.0), 2)),
            "bpm": ("bpm", float(rng.randint(85, 150))),
            "snapshot/save": ("snapshot/save", 1),
            "snapshot/recall": ("snapshot/recall", 1) if number > 10 else ("snapshot/save", 1),
            "rewind": ("rewind", rng.randint(1, 2)),
            "inject/gain": ("inject/gain", round(rng.uniform(0.2, 1.0), 2)),
            "inject/feedback": ("inject/feedback", round(rng.uniform(0.7, 1.0), 2)),
            "inject/loop_beats": ("inject/loop_beats", rng.choice([0, 4, 8])),
            "input_guidance": ("input_guidance", round(rng.uniform(0.0, 1.5), 2)),
            "inject/live_prompt": ("inject/live_prompt", rng.choice([0.0, 0.5])),
        }
        moves.append((at, *values[kind]))
    return moves


def _samples(session: Session, card: Card) -> dict[str, int]:
    """Where every sample went: each of the stream exactly once, and the bridged ones between them."""
    written, queued = session.written_samples, card.queued_samples()
    music, bridged = session.engine.timeline.playhead * FRAME_SAMPLES, session.status.missing_samples
    return {
        "written": written,
        "music": music,
        "bridged": bridged,
        "lost_or_repeated": written - music - bridged,
        "queued": queued,
        "handed_to_the_device": written - queued,
    }


def _figures(session: Session, costs: Any) -> dict[str, Any]:
    """What the session measured of itself."""
    from magenta_rt_py.speed.timing import quantiles

    now, trips = session.status, session.engine.trace.round_trips
    delays = list(session.delays.delays)
    parts = {name: [getattr(delay, name) for delay in delays] for name in ("hop", "compute", "buffer", "device")}
    quarter = now.card.block_seconds / 4.0
    return {
        "rtf": session.engine.trace.num_units * 0.04 / max(sum(seconds for _, seconds in trips), 1e-9),
        "cost_seconds": {str(length): cost for length, cost in costs.items()},
        "request_seconds": {
            str(length): quantiles([seconds for frames, seconds in trips if frames == length])
            for length in sorted({frames for frames, _ in trips})
        },
        "hop_seconds": now.hop_seconds,
        "underruns": now.underruns,
        "underruns_after_10_s": session.late_underruns,
        "missing_seconds": now.missing_samples / 48_000,
        "late_requests": session.engine.trace.deadline_misses,
        "faults": [fault.message for fault in session.engine.faults],
        "control_delay_seconds": {
            **quantiles([delay.total for delay in delays]),
            "count": len(delays),
            "split_median": {name: statistics.median(values) if values else None for name, values in parts.items()},
            "split_p95": {name: quantiles(values)["p95"] for name, values in parts.items()},
        },
        "device": {
            "name": now.card.name,
            "openings": now.card.opening + 1,
            "underflows": now.card.underflows,
            "driver_underflows": now.card.driver_underflows,
            "block_seconds": now.card.block_seconds,
            "callback_p999_seconds": now.card.callback_p999_seconds,
            "callback_within_quarter_block": now.card.callback_p999_seconds < quarter,
        },
        "late_input_samples": session.late_input_samples,
    }


def memory_megabytes() -> float | None:
    """Resident memory of this process; None if it cannot be told."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil.Process().memory_info().rss / 1e6


def _lines(report: dict[str, Any]) -> list[str]:
    delay, device = report["control_delay_seconds"], report["device"]
    split = delay["split_median"]
    memory = report["memory_megabytes"]

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    return [
        f"{report['seconds']:.0f} s on {device['name']}, {report['moves']} moves, RTF {report['rtf']:.2f}, "
        f"hop {report['hop_seconds']:.2f} s",
        f"  underruns {report['underruns']} ({report['underruns_after_10_s']} after 10 s), "
        f"device {device['underflows']}, late requests {report['late_requests']}",
        f"  control delay {seconds(delay['p50'])} s median, {seconds(delay['p95'])} p95: hop {seconds(split['hop'])}, "
        f"compute {seconds(split['compute'])}, buffer {seconds(split['buffer'])}, device {seconds(split['device'])}",
        f"  callback p99.9 {1e3 * device['callback_p999_seconds']:.2f} ms of a {1e3 * device['block_seconds']:.1f} ms block",
        f"  memory {memory['at_10_s'] or 0:.0f} MB after 10 s, {memory['at_the_end'] or 0:.0f} MB at the end",
        f"  log: {report['log']}",
    ]
