"""`mrtpy live`: plays, and is played."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.options import add_bundle_option, check_output
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress
from magenta_rt_py.errors import MrtError

if TYPE_CHECKING:
    from magenta_rt_py.generators.performance import Performance
    from magenta_rt_py.live.board import Board

RECORDING_SUFFIXES = (".flac", ".wav")
SLICE_SECONDS = 0.2
PATIENCE_SECONDS = 10.0
"""Offline, a model that makes nothing for so long is given up; live, it is waited for until somebody stops it."""


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "live",
        help="play live: steer the music while it plays",
        description="Plays endless music and takes typed prompts, keys, OSC, MIDI and a performer's sound while it does.",
        epilog='example: mrtpy live --prompt "lofi hip hop" --prompt techno:0 --osc --record take.flac',
        allow_abbrev=False,
    )
    music = parser.add_argument_group("music")
    music.add_argument("--prompt", action="append", metavar="PROMPT[:WEIGHT]", help="words or an audio file; up to 8")
    music.add_argument("--bpm", type=float, help="tempo (default: the bundle's)")
    music.add_argument("--temperature", type=float, help="how adventurous: 0 .. 4")
    music.add_argument("--top-k", type=int, help="codes that may be drawn, 0 for all")
    music.add_argument("--guidance", type=float, help="how closely to follow the prompts: 0 .. 20")
    music.add_argument("--seed", type=int, help="another seed, other music (default 0)")
    music.add_argument("--set", action="append", metavar="KNOB=VALUE", default=[], help="any knob of docs/controls.md")
    music.add_argument("--moves", type=Path, metavar="JSON", help="[[seconds, knob, value], ...]")
    music.add_argument("--resume", action="store_true", help="go on from where the last performance was, with its knobs")
    add_devices(parser)
    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--record", type=Path, metavar="FILE", help="record from the start: .flac or .wav")
    kept.add_argument("--log", type=Path, metavar="FILE", help="event log for mrtpy replay (default: in the user's state)")
    kept.add_argument("--seconds", type=float, help="end after so much music")
    kept.add_argument("--offline", action="store_true", help="render --seconds without a sound card, as fast as may be")
    add_bundle_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def add_devices(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `live_setup`."""
    devices = parser.add_argument_group("devices")
    devices.add_argument("--device", help='output: part of a name, or an index (mrtpy devices); "none" plays to nothing')
    devices.add_argument("--input", help="input of a performer, likewise")
    devices.add_argument("--inject", type=Path, metavar="FILE", help="a file in place of a performer, looped")
    devices.add_argument("--channels", default="1,2", help="output channels of left and right (default 1,2)")
    devices.add_argument("--cue", help="output channels of the metronome, such as 3,4")
    devices.add_argument("--rate", type=int, help="sample rate of the device (default: 48000 if it can)")
    devices.add_argument("--block", type=int, default=512, help="samples the driver asks for at once (default 512)")
    devices.add_argument("--buffer", type=float, default=0.2, help="seconds of sound in front of the device (default 0.2)")
    devices.add_argument("--latency", default="high", help="what the driver is asked for: low, high or seconds")
    devices.add_argument("--calibrate", action="store_true", help="measure the input's round trip with a sweep first")
    devices.add_argument("--round-trip", type=float, metavar="SECONDS", help="the round trip, if it is known")
    devices.add_argument("--intro-loops", type=int, metavar="N", help="loops the performer plays before the model joins")
    devices.add_argument("--osc", type=int, nargs="?", const=7400, metavar="PORT", help="listen for OSC (default port 7400)")
    devices.add_argument("--osc-host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    devices.add_argument("--midi", metavar="PORT", help="MIDI input: part of its name; knobs and clock")
    devices.add_argument("--midi-map", type=Path, metavar="JSON", help="what the dials turn; learned ones are saved")


def run(arguments: argparse.Namespace) -> int:
    """Checks everything, loads, plays, reports."""
    from magenta_rt_py.cli import live_knobs, live_setup
    from magenta_rt_py.generators import performance, system
    from magenta_rt_py.live.board import Board
    from magenta_rt_py.live.clock import VirtualClock

    check(arguments)
    live_setup.check(arguments)
    resumed = live_setup.checkpoint_of(arguments)
    moves = live_knobs.read_moves(arguments.moves)
    live_knobs.check(arguments, resumed)
    progress(arguments, "loading the model")
    model = system.load(arguments.bundle)
    board = Board(live_knobs.initial(arguments, performance.initial_knobs(model), resumed))
    with ExitStack() as stack:
        clock = VirtualClock() if arguments.offline else None
        round_trip = live_setup.round_trip_of(arguments)
        card = live_setup.open_card(arguments, clock)
        stack.callback(card.close)
        ready = performance.get_ready(
            model,
            board,
            seed=board.settings.values["seed"],
            has_input=live_setup.has_input(arguments),
            past=None if resumed is None else resumed.past,
            is_offline=arguments.offline,
            say=lambda line: progress(arguments, line),
        )
        end_progress(arguments)
        config = live_setup.config_of(arguments, round_trip, resumed, seed=board.settings.values["seed"])
        midi = live_setup.open_midi(arguments, board, stack)
        playing = performance.Performance(model, card, board, ready, config=config, clock=clock, master=midi)
        ended: list[bool] = []
        stack.callback(lambda: ended.append(playing.close()))
        live_setup.open_osc(arguments, board, playing, stack)
        with _until_interrupted(playing), _front(arguments, board, playing):
            _play(arguments, board, playing, moves)
    report = _report(arguments, playing, config.log_path)
    emit(arguments, report, _lines(report))
    if not all(ended):  # a model that hangs cannot be ended, and would take the interpreter down noisily
        sys.stdout.flush()
        os._exit(0)
    return 0


def _play(arguments: argparse.Namespace, board: Board, playing: Performance, moves: list[tuple[float, str, Any]]) -> None:
    """Runs the music, turning knobs as the moves say."""
    from magenta_rt_py.cli import live_knobs

    session, position = playing.session, 0
    while not session.is_stopping and (arguments.seconds is None or session.seconds < arguments.seconds):
        while position < len(moves) and moves[position][0] <= session.seconds:
            live_knobs.turn(board, *moves[position][1:])
            position += 1
        left = SLICE_SECONDS if arguments.seconds is None else min(SLICE_SECONDS, arguments.seconds - session.seconds)
        before = session.seconds
        session.run(max(left, 0.04), patience_seconds=PATIENCE_SECONDS if arguments.offline else math.inf)
        if arguments.offline and session.seconds == before and not session.is_stopping:
            raise MrtError(f"no music came in {PATIENCE_SECONDS:.0f} s of rendering: {session.status.message}")


def check(arguments: argparse.Namespace) -> None:
    """Refuses, before anything is loaded, what cannot work."""
    from magenta_rt_py.generators.codec_lm import check_seed

    if arguments.seed is not None:
        check_seed(arguments.seed)
    if arguments.record is not None:
        check_output(arguments.record, suffixes=RECORDING_SUFFIXES)
    if arguments.seconds is not None and not 0.0 < arguments.seconds <= 86_400.0:
        raise ValueError(f"--seconds is {arguments.seconds!r}; give more than 0 and at most 86400")
    if arguments.offline and arguments.seconds is None:
        raise ValueError("--offline renders a piece of a known length; give --seconds, too")
    if arguments.input is not None and arguments.inject is not None:
        raise ValueError("--input and --inject are both given; a performer is one of them")
    if arguments.calibrate and arguments.input is None:
        raise ValueError("--calibrate measures an input's round trip; give --input, too")
    for option in ("record", "log"):
        path = getattr(arguments, option)
        if path is not None and path.exists():
            raise ValueError(f"--{option} {path} exists already; give another name")
    if arguments.log is not None:
        check_output(arguments.log)


@contextmanager
def _until_interrupted(playing: Performance) -> Iterator[None]:
    """Ctrl-C and a polite kill end the music as the knob does: log and recording are completed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: playing.session.stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _front(arguments: argparse.Namespace, board: Board, playing: Performance) -> Iterator[None]:
    """The terminal's keys and status line; none with --json, --offline or without a terminal or input."""
    if arguments.json or arguments.offline:
        yield
        return
    from magenta_rt_py.cli.live_terminal import Terminal

    with Terminal(board, lambda: playing.session.status):
        yield


def _report(arguments: argparse.Namespace, playing: Performance, log: Path | None) -> dict[str, Any]:
    session = playing.session
    now = session.status
    return {
        "command": "live",
        "seconds": now.seconds,
        "underruns": now.underruns,
        "underruns_after_10_s": session.late_underruns,
        "missing_seconds": now.missing_samples / 48_000,
        "rtf": now.rtf,
        "step": now.step,
        "hop_seconds": now.hop_seconds,
        "delay_median_seconds": now.delay_seconds,
        "device_underflows": now.card.underflows,
        "callback_p999_seconds": now.card.callback_p999_seconds,
        "late_input_samples": session.late_input_samples,
        "log": None if log is None else str(log),
        "record": None if arguments.record is None else str(arguments.record),
        "problem": now.card.problem,
    }


def _lines(report: dict[str, Any]) -> list[str]:
    return [
        f"{report['seconds']:.0f} s played, {report['underruns']} underruns ({report['missing_seconds']:.2f} s bridged)",
        f"  RTF {report['rtf']:.2f}, hop {report['hop_seconds']:.2f} s, delay {report['delay_median_seconds']:.2f} s",
        *([f"  recorded: {report['record']}"] if report["record"] else []),
        f"  play it again: mrtpy replay {report['log']}",
    ]
