"""Measures how long it takes until a turned knob is heard, in a session in real time, and prints JSON.

    python benchmarks/control_delay.py [--seconds 60] [--device NAME] [--case style inject] [--bundle DIR] [--out FILE]

Two cases: prompts and style guidance alone, and a performer with both guidances. Knobs are turned at random moments by a
thread of their own. Two measures of the same changes:

meter: the session's own. Sound carries the number of the controls it was made with; the way there is split into hop (until
a request takes the change up), compute (until its first frame is played on), buffer and device.

audible: from the sound itself. The session's log is played again, and each request that was the first with new controls is
answered twice: as it was, and as it would have been with the old controls. The first sample at which the two sounds differ
by more than 1e-4 is when the change could first be heard.

The figures are the machine's and its load's; run it with nothing else going on.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import stream
from jaxtyping import Float

from magenta_rt_py.generators import performance, system
from magenta_rt_py.generators.live_lm import HeardMix, LiveLM, LiveSound
from magenta_rt_py.live import replay
from magenta_rt_py.live.board import Board, Change
from magenta_rt_py.live.card import Captured, Card, CardStatus
from magenta_rt_py.live.delay import Delay
from magenta_rt_py.live.frame import Conditioning, Frame
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.output import OutputConfig
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.speed.machine import load_average
from magenta_rt_py.train.evaluation import beat_tracking as estimators

FRAME_SAMPLES = 1920
SAMPLES_A_SECOND = 48_000
AUDIBLE = 1e-4
"""Samples that differ by less are the same."""
PAUSE_SECONDS = (1.5, 3.5)
"""Between two turns, drawn evenly."""
SETTLED_SECONDS = 10.0
"""Nothing is turned before: the planner is still learning the machine."""
NEAR_SAMPLES = 24_000
"""Notes of where the card was that count for a moment: half a second around it."""
PROMPTS = {"prompt/1/text": "techno", "prompt/2/text": "ambient", "prompt/2/weight": 0.5}
MOVES: dict[str, tuple[tuple[str, tuple[float, float]], ...]] = {
    "style": (("prompt/2/weight", (0.0, 1.0)), ("guidance", (2.0, 0.5)), ("temperature", (0.9, 1.1))),
    "inject": (("prompt/2/weight", (0.0, 1.0)), ("input_guidance", (2.0, 0.5)), ("guidance", (2.0, 0.5))),
}
"""By case: knobs that are turned by turns, and the two values that each goes between."""
KNOBS: dict[str, dict[str, Any]] = {
    "style": {},
    "inject": {"input_guidance": 1.0, "inject/loop_beats": 8, "bpm": 120.0},
}


class Note(NamedTuple):
    """Where the card was at a moment."""

    seconds: float
    """By time.perf_counter."""
    sample: int
    """Written sample, counted from 0, that left the loudspeaker then."""


class NotedCard:
    """A card around another that notes where it is (stateful).

    Attributes:
      notes: in order.
    """

    def __init__(self, card: Card) -> None:
        """Around a card that was just opened."""
        self._card, self._written = card, 0
        self.notes: list[Note] = []
        self.block_samples, self.has_cue, self.input_channels = card.block_samples, card.has_cue, card.input_channels

    @property
    def opening(self) -> int:
        """See Card."""
        return self._card.opening

    @property
    def status(self) -> CardStatus:
        """See Card."""
        return self._card.status

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """See Card."""
        return self._card.wait_for_room(samples, timeout_seconds)

    def queued_samples(self) -> int:
        """See Card."""
        queued = self._card.queued_samples()
        if self._written:
            device = round(self._card.status.output_delay_seconds * SAMPLES_A_SECOND)
            self.notes.append(Note(time.perf_counter(), self._written - queued - device))
        return queued

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """See Card."""
        self._card.write(main, cue)
        self._written += len(main)

    def read(self) -> list[Captured]:
        """See Card."""
        return self._card.read()

    def close(self) -> None:
        """See Card."""
        self._card.close()


class Difference(NamedTuple):
    """What the first request with new controls changed."""

    sequence: int
    """Of the controls."""
    sample: int | None
    """First written sample that is another one for it; None if there was none in what was played of it."""


class Fork:
    """A generator and a sound at once, for `replay.play`: plays on as it was, and beside it what the old controls would
    have brought, until the two can be told apart (stateful).

    Attributes:
      differences: so far.
    """

    def __init__(self, script: replay.Script, lm: LiveLM, sound: LiveSound) -> None:
        """Before the first frame.

        Args:
          script: of the session.
          lm: its model.
          sound: its sound, as at the beginning.
        """
        self.differences: list[Difference] = []
        self._lm, self._sound, self._header = lm, sound, script.header
        self._before = _controls_before(script)
        self._requests = script.requests
        self._others: dict[int, tuple[int, Frame, Frame]] = {}
        self._beside: LiveSound | None = None
        self._number, self._place = -1, 0
        self._told: set[int] = set()

    @property
    def is_coarse(self) -> bool:
        """See Sound."""
        return self._sound.is_coarse

    @is_coarse.setter
    def is_coarse(self, is_coarse: bool) -> None:
        self._sound.is_coarse = is_coarse

    @property
    def width(self) -> int:
        """See Sound."""
        return self._sound.width

    @width.setter
    def width(self, width: int) -> None:
        self._sound.width = width

    def generate(self, request: Request) -> Sequence[Frame]:
        """See Generator."""
        frames = self._lm.generate(request)
        if request.number in self._before:
            old = self._before[request.number]._replace(transport=request.controls.transport)
            others = self._lm.generate(request._replace(controls=old))
            # The frames themselves are kept, so that no other can get the same id.
            self._others = {id(frame): (request.number, frame, other) for frame, other in zip(frames, others)}
        return frames

    def render(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """See Sound; one frame each time."""
        (frame,) = frames
        number, _, other = self._others.get(id(frame), (self._number, frame, frame))
        is_forked = id(frame) in self._others
        if is_forked and self._beside is None and number not in self._told:
            self._beside, self._number, self._place = copy.copy(self._sound), number, -1
        samples = self._sound.render(frames)
        if self._beside is not None:
            apart = np.abs(samples - self._beside.render([other])).max(1) > AUDIBLE
            if apart.any():
                self._place = int(np.argmax(apart))
            elif not is_forked:  # the next request plays: that of the last frame has been heard by now
                self._tell(None)
        return samples

    def peek(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """See Sound."""
        return self._sound.peek(frames)

    def placed(self, written: int) -> None:
        """What was rendered last begins at a written sample."""
        if self._beside is not None and self._place >= 0:
            self._tell(written + self._place + OutputConfig().delay_samples)

    def _tell(self, sample: int | None) -> None:
        self.differences.append(Difference(self._requests[self._number]["sequence"], sample))
        self._told.add(self._number)
        self._beside = None


def _controls_before(script: replay.Script) -> dict[int, Conditioning]:
    """Of each request that was the first to be played with new controls: the controls before them."""
    before: dict[int, Conditioning] = {}
    last: dict[str, Any] | None = None
    for take in script.takes:
        data = script.requests.get(take.request)
        if data is None:
            break
        if last is not None and data["sequence"] > last["sequence"]:
            before[take.request] = Conditioning.from_json(last["conditioning"])
        last = data
    return before


def heard_differences(model: system.MusicModel, log: Path) -> tuple[list[Difference], replay.Verdict]:
    """Plays a log again, and finds where each change of controls is first heard; also whether the replay was exact."""
    script = replay.read_script(log)
    lm = LiveLM(model.models, lengths=script.header["lengths"])
    fork = Fork(script, lm, LiveSound(model.models, seed=script.header["seed"], past=script.origins[0].past))

    def pieces() -> Iterator[Float[np.ndarray, "samples 2"]]:
        written = 0
        for piece in replay.play(script, fork, fork, make_heard=lambda codes: HeardMix(None, codes)):
            if len(piece) == FRAME_SAMPLES:  # shorter ones bridge an underrun
                fork.placed(written)
            written += len(piece)
            yield piece

    verdict = replay.verify(script, pieces())
    return fork.differences, verdict


def heard_at(notes: list[Note], sample: int) -> float | None:
    """When a written sample left the loudspeaker, by time.perf_counter; None if there are no notes near it.

    A card moves on by blocks; the notes around the sample average that out.
    """
    near = [note for note in notes if abs(note.sample - sample) < NEAR_SAMPLES]
    times = [note.seconds + (sample - note.sample) / SAMPLES_A_SECOND for note in near]
    return float(np.median(times)) if times else None


def main(argv: list[str] | None = None) -> int:
    """Runs both cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0, help="of music a case (default 60)")
    parser.add_argument("--case", nargs="+", choices=tuple(MOVES), default=list(MOVES), help="default: both")
    parser.add_argument("--device", help="output: part of a name; default: no sound card, on the wall clock")
    parser.add_argument("--seed", type=int, default=0, help="of the music and of the moments (default 0)")
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the starter)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args(argv)
    if not arguments.seconds > SETTLED_SECONDS:
        parser.error(f"--seconds is {arguments.seconds:g}; give more than {SETTLED_SECONDS:g}: nothing is turned before")
    report: dict[str, Any] = {"command": " ".join(sys.argv), "machine": stream.describe_machine()}
    model = system.load(arguments.bundle)
    for case in arguments.case:
        report[case] = measure(model, case, seconds=arguments.seconds, seed=arguments.seed, device=arguments.device)
        stream.say(f"{case}: meter {report[case]['meter']['total']}, audible {report[case]['audible']}")
    text = json.dumps(report, indent=2, allow_nan=False)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


def measure(model: system.MusicModel, case: str, *, seconds: float, seed: int, device: str | None) -> dict[str, Any]:
    """One case, played and then played again."""
    board = Board({**performance.initial_knobs(model), **PROMPTS, **KNOBS[case]})
    has_input = case == "inject"
    ready = performance.get_ready(model, board, seed=seed, has_input=has_input, say=stream.say)
    made: dict[int, float] = {}

    def note(change: Change) -> None:
        made[change.sequence] = change.made_seconds

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "session.jsonl"
        card = NotedCard(_open_card(device, has_input=has_input))
        config = SessionConfig(seed=seed, log_path=log, has_input=has_input)
        playing = performance.Performance(model, card, board, ready, config=config)
        board.listen(note)
        before = load_average()
        done = threading.Event()
        hand = threading.Thread(target=_turn, args=(board, MOVES[case], seed, done), name="hand", daemon=True)
        hand.start()
        try:
            playing.session.run(seconds)
        finally:
            done.set()
            hand.join()
            after, status = load_average(), playing.session.status
            playing.close()
            card.close()
        differences, verdict = heard_differences(model, log)
    meter = np.array([[*delay, delay.total] for delay in playing.session.delays.delays]).reshape(-1, 5)
    plan = playing.session.engine.plan
    return {
        "seconds": seconds,
        "device": status.card.name,
        "hop_seconds": plan.interval * plan.unit_seconds,
        "look_ahead_seconds": plan.look_ahead * plan.unit_seconds,
        "step": status.step,
        "rtf": None if np.isnan(status.rtf) else status.rtf,
        "underruns": status.underruns,
        "underruns_after_10_s": playing.session.late_underruns,
        "load_average_before": before,
        "load_average_after": after,
        "changes": len(made),
        "meter": {name: _figures(meter[:, place]) for place, name in enumerate((*Delay._fields, "total"))},
        "audible": _audible(differences, made, card.notes),
        "replay_is_identical": verdict.is_identical,
    }


def _audible(differences: list[Difference], made: dict[int, float], notes: list[Note]) -> dict[str, Any]:
    """Seconds from each change until the sound is another one for it."""
    delays, same = [], 0
    for difference in differences:
        if difference.sample is None or difference.sequence not in made:
            same += 1
            continue
        at = heard_at(notes, difference.sample)
        if at is not None:
            delays.append(at - made[difference.sequence])
    return {**_figures(np.array(delays)), "same_sound": same}


def _figures(values: Float[np.ndarray, "values"]) -> dict[str, Any]:
    """Median and 95th percentile in seconds; None where there is nothing."""
    if not len(values):
        return {"count": 0, "median_seconds": None, "p95_seconds": None}
    middle, high = np.percentile(values, (50, 95))
    return {"count": len(values), "median_seconds": round(float(middle), 4), "p95_seconds": round(float(high), 4)}


def _turn(board: Board, moves: tuple[tuple[str, tuple[float, float]], ...], seed: int, done: threading.Event) -> None:
    """Turns one knob after the other, at moments that have nothing to do with the session's."""
    random = np.random.default_rng(seed)
    pause, number = SETTLED_SECONDS, 0
    while not done.wait(pause):
        name, values = moves[number % len(moves)]
        board.set(name, values[(number // len(moves)) % 2], source="benchmark")
        number += 1
        pause = float(random.uniform(*PAUSE_SECONDS))


def _open_card(device: str | None, *, has_input: bool) -> Card:
    """A sound card, or nothing on the wall clock; with a drum loop of 8 beats at 120 bpm at its input."""
    if device is None:
        from magenta_rt_py.io.null_card import NullCard

        card: Card = NullCard()
    else:
        from magenta_rt_py.io.card_config import NO_INPUT, CardConfig
        from magenta_rt_py.io.sound_card import SoundCard

        card = SoundCard(CardConfig(output=int(device) if device.isdecimal() else device, input=NO_INPUT))
    if not has_input:
        return card
    from magenta_rt_py.io.played_along import PlayedAlong

    loop = estimators.render("techno", seed=3, bpm=120.0, seconds=4.0, stems=("drums",))
    return PlayedAlong(card, np.ascontiguousarray(loop.samples, np.float32))


if __name__ == "__main__":
    sys.exit(main())
