"""Set-up of `mrtpy live`: sound card, MIDI, OSC, and where things are kept."""

from __future__ import annotations

import argparse
import math
import os
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.report import end_progress, progress

if TYPE_CHECKING:
    from magenta_rt_py.generators.performance import Performance
    from magenta_rt_py.io.card_config import CardConfig
    from magenta_rt_py.live.board import Board
    from magenta_rt_py.live.card import Card
    from magenta_rt_py.live.memory import Checkpoint
    from magenta_rt_py.live.session_parts import SessionConfig

LONGEST_ROUND_TRIP_SECONDS = 5.0
KEPT_LOGS = 20
"""Logs without a name that are kept."""


def has_input(arguments: argparse.Namespace) -> bool:
    return arguments.input is not None or arguments.inject is not None


def check(arguments: argparse.Namespace) -> None:
    """Refuses, before anything is loaded, devices and files that cannot work.

    Raises:
      ValueError: a number out of range, or channels that no card has.
      AudioFormatError: the file in place of a performer is no audio.
    """
    from magenta_rt_py import audio
    from magenta_rt_py.live.intro import Intro

    card_config(arguments)
    if arguments.inject is not None:
        audio.read(arguments.inject)
    if arguments.intro_loops is not None:
        Intro(loops=arguments.intro_loops)
    if arguments.round_trip is not None and not 0.0 <= arguments.round_trip <= LONGEST_ROUND_TRIP_SECONDS:
        raise ValueError(f"--round-trip is {arguments.round_trip!r}; give 0 to {LONGEST_ROUND_TRIP_SECONDS:g} seconds")
    if arguments.osc is not None and not 1 <= arguments.osc <= 65_535:
        raise ValueError(f"--osc is {arguments.osc}; give a port from 1 to 65535")
    if arguments.midi_map is not None and arguments.midi_map.exists():
        from magenta_rt_py.io.midi_map import MidiMap

        MidiMap.load(arguments.midi_map)


def card_config(arguments: argparse.Namespace) -> CardConfig:
    """What is to be opened; of a card that plays to nothing, what would be.

    Raises:
      ValueError: a number out of range.
    """
    from magenta_rt_py.io.card_config import NO_INPUT, CardConfig

    if not math.isfinite(arguments.buffer):
        raise ValueError(f"--buffer is {arguments.buffer!r}; give seconds, such as 0.1")
    return CardConfig(
        output=_device(arguments.device),
        input=NO_INPUT if arguments.input is None else _device(arguments.input),
        output_channels=_channels(arguments.channels),
        cue=False if arguments.cue is None else _channels(arguments.cue),
        sample_rate=arguments.rate,
        block_samples=arguments.block,
        buffer_samples=max(2 * arguments.block, round(arguments.buffer * 48_000)),
        latency=_latency(arguments.latency),
    )


def open_card(arguments: argparse.Namespace, clock: Any) -> Card:
    """The sound card, nothing, or either of them with a file in place of the performer."""
    import numpy as np

    from magenta_rt_py import audio

    config = card_config(arguments)
    if arguments.offline or arguments.device == "none":
        from magenta_rt_py.io.null_card import NullCard

        card: Card = NullCard(clock=clock, block_samples=config.block_samples, buffer_samples=config.buffer_samples)
    else:
        from magenta_rt_py.io.priority import raise_priority
        from magenta_rt_py.io.sound_card import SoundCard

        raise_priority()  # before the card's own process begins: it inherits it
        card = SoundCard(config)
    if arguments.inject is None:
        return card
    from magenta_rt_py.io.played_along import PlayedAlong

    sound = audio.to_stereo_48k(audio.read(arguments.inject))
    return PlayedAlong(card, np.ascontiguousarray(sound, np.float32))


def _latency(text: str) -> str | float:
    if text in ("low", "high"):
        return text
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"--latency is {text!r}; give low, high or seconds") from error


def _device(text: str | None) -> str | int | None:
    if text is None or text == "default":
        return None
    return int(text) if text.isdecimal() else text


def _channels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"channels {text!r}; give numbers such as 1,2") from error


def round_trip_of(arguments: argparse.Namespace) -> int:
    """Samples from writing to hearing back, as told, or measured with a card that is closed again: a session counts the
    samples of a card from its opening."""
    if arguments.round_trip is not None:
        return round(arguments.round_trip * 48_000)
    if not arguments.calibrate:
        return 0
    from magenta_rt_py.io.calibrate import measure

    progress(arguments, "listening for the sweep")
    card = open_card(arguments, None)
    try:
        samples = measure(card)
    finally:
        card.close()
    end_progress(arguments)
    print(f"round trip {samples / 48.0:.1f} ms: --round-trip {samples / 48_000:.4f}", file=sys.stderr)
    return samples


def config_of(
    arguments: argparse.Namespace, round_trip: int, resumed: Checkpoint | None, *, seed: int | None = None
) -> SessionConfig:
    from magenta_rt_py.live.intro import Intro
    from magenta_rt_py.live.session_parts import SessionConfig

    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    log = arguments.log or folder / f"session-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.jsonl"
    for old in sorted(folder.glob("session-*.jsonl"))[: -KEPT_LOGS + 1 or None]:
        old.unlink(missing_ok=True)
    loops = arguments.intro_loops
    return SessionConfig(
        seed=arguments.seed if seed is None else seed,
        log_path=log,
        checkpoint_path=None if arguments.offline else folder / "last.json",
        record_path=None if arguments.record is None else arguments.record.absolute(),
        record_folder=Path.cwd(),
        intro=None if loops is None else Intro(loops=loops),
        round_trip_samples=round_trip,
        has_input=has_input(arguments),
        start_beat=0.0 if resumed is None else resumed.beat,
    )


def state_folder() -> Path:
    """Where logs and the last checkpoint lie: magenta_rt_py in XDG_STATE_HOME, else ~/.local/state."""
    home = os.environ.get("XDG_STATE_HOME", "").strip()
    return (Path(home) if home else Path.home() / ".local" / "state") / "magenta_rt_py"


def checkpoint_of(arguments: argparse.Namespace) -> Checkpoint | None:
    if not arguments.resume:
        return None
    from magenta_rt_py.live.memory import read_checkpoint

    path = state_folder() / "last.json"
    if not path.exists():
        raise ValueError(f"nothing to resume: there is no {path}; start without --resume")
    return read_checkpoint(path)


def open_midi(arguments: argparse.Namespace, board: Board, stack: ExitStack) -> Any:
    """The MIDI input, and its clock as a session's master."""
    if arguments.midi is None:
        return None
    from magenta_rt_py.io.midi import MidiInput
    from magenta_rt_py.io.midi_controls import MidiControls
    from magenta_rt_py.io.midi_map import MidiMap

    known = arguments.midi_map is not None and arguments.midi_map.exists()
    controls = MidiControls(board, MidiMap.load(arguments.midi_map) if known else None)
    stack.enter_context(MidiInput(controls, arguments.midi))
    if arguments.midi_map is not None:
        stack.callback(lambda: controls.midi_map.save(arguments.midi_map))

    def master(seconds: float) -> tuple[float, float] | None:
        state = controls.clock_state(seconds)
        if not state.is_running or state.beat is None or state.bpm is None:
            return None
        return state.beat, state.bpm

    return master


def open_osc(arguments: argparse.Namespace, board: Board, playing: Performance, stack: ExitStack) -> None:
    if arguments.osc is None:
        return
    from magenta_rt_py.io.osc import OscServer, OscStatus

    def status() -> OscStatus:
        now = playing.session.status
        return OscStatus(
            now.rtf, now.buffer_seconds, now.underruns, now.delay_seconds, now.peak, now.beat, now.bar
        )

    server = stack.enter_context(OscServer(board, host=arguments.osc_host, port=arguments.osc, status=status))
    print(f"OSC: {server.host}:{server.port}", file=sys.stderr)
