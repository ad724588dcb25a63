"""Measures whether a drum loop that is injected pulls the beat of the music towards it, and prints JSON.

    python benchmarks/injection_pull.py [--prompts piano techno] [--seeds 10] [--cases 0:1:0.95 2:2:0.95] [--shifts 0.5 0]
                                        [--no-clock] [--bundle DIR] [--out FILE]

A session's model is always told the transport's beat, so a loop that is in time with the transport asks for nothing new
where there is a beat already. The loop here is drums at the transport's 120 bpm, but shifted against it: by half a beat,
music that keeps to the transport plays exactly between the loop's beats. With shift 0 it is as a musician would play it.

For each seed the same session is played without the loop, and with it in each case (guidance towards the input, gain of
the loop, feedback of the model's own sound; 1 and 0.95 are the knobs' defaults): the F-measure (70 ms) of the sound's beats
against the loop's beats, and the mean difference over the seeds with a bootstrap interval. The tracker is told the tempo,
not where a beat is. Beside it the loop alone (ceiling), and the F-measure against the transport's beats: what the loop
gains there is lost. `--no-clock` plays with the knob keep_time off, so that the model is told no beat: how much the context
pulls then.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import stream
from jaxtyping import Float

from magenta_rt_py.cli import evaluate_offline as offline
from magenta_rt_py.train.evaluation import beat_tracking as estimators

PROMPTS = {
    "piano": "gentle piano piece, nobody else playing",
    "ambient": "calm floating ambient drones",
    "techno": "warehouse techno at night",
    "lofi": "dusty lofi beat to study to",
    "masked": "",
}
"""Two with little beat of their own, two with much, and none: the model plays what it hears."""
BPM = 120.0
LOOP_GENRE = "techno"
LOOP_SEED = 950_000_000
LOOP_BEATS = 8
UNHEARD_SECONDS = 8.0
"""Of a session; the loop comes in meanwhile."""
RESAMPLES = 10_000


class Case(NamedTuple):
    """How the loop is played in: the knobs of these names."""

    input_guidance: float
    gain: float
    feedback: float

    @classmethod
    def read(cls, text: str) -> Case:
        """Of "2:1:0.95".

        Raises:
          ValueError: not three numbers.
        """
        parts = text.split(":")
        if len(parts) != len(cls._fields):
            raise ValueError(f"a case {text!r}; give guidance:gain:feedback, such as 2:1:0.95")
        return cls(*map(float, parts))

    def knobs(self) -> dict[str, float]:
        """As the board has them."""
        return {"input_guidance": self.input_guidance, "inject/gain": self.gain, "inject/feedback": self.feedback}


class Pull(NamedTuple):
    """Where the beats of a sound are."""

    loop: float
    """F-measure against the loop's beats."""
    transport: float
    """Against the transport's."""
    loop_phase: float
    """Onsets on the loop's beats, less those between them, -1 .. 1."""


CASES = [Case(0.0, 1.0, 0.95), Case(2.0, 1.0, 0.95), Case(2.0, 2.0, 0.95)]


def main(argv: list[str] | None = None) -> int:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--prompts", nargs="+", choices=tuple(PROMPTS), default=["piano", "techno"], metavar="PROMPT")
    parser.add_argument("--seeds", type=int, default=10, help="sessions of each kind (default 10)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a session; the first 8 are not judged (default 20)")
    parser.add_argument("--cases", nargs="+", type=Case.read, default=CASES, help="default: 0:1:0.95 2:1:0.95 2:2:0.95")
    parser.add_argument("--shifts", nargs="+", type=float, default=[0.5], help="of the loop, in beats (default 0.5)")
    parser.add_argument("--guidance", type=float, help="style guidance (default: the bundle's)")
    parser.add_argument("--no-clock", action="store_true", help="the model is not told the beat")
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the starter)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args(argv)
    least = UNHEARD_SECONDS + 4.0
    if not arguments.seconds >= least:
        parser.error(f"--seconds is {arguments.seconds:g}; give {least:g} or more: the first 8 are not judged")
    band = offline.OfflineBand(arguments.bundle)
    report: dict[str, Any] = {
        "command": " ".join(sys.argv),
        "machine": stream.describe_machine(),
        "session": {**dataclasses.asdict(band.config), "has_clock": not arguments.no_clock},
        "loop": {"beats": LOOP_BEATS, "bpm": BPM},
        "ceiling": [loop_alone(seed) for seed in range(arguments.seeds)],
        "prompts": {},
    }
    knobs = {"inject/loop_beats": LOOP_BEATS, "bpm": BPM, "keep_time": not arguments.no_clock}
    if arguments.guidance is not None:
        knobs["guidance"] = arguments.guidance
    for name in arguments.prompts:
        asked = {**knobs, "prompt/1/text": PROMPTS[name]}
        report["prompts"][name] = compare(band, name, asked, arguments)
    text = json.dumps(report, indent=2, allow_nan=False)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


def compare(
    band: offline.OfflineBand, name: str, knobs: dict[str, Any], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row for each shift and case of one prompt."""
    pairs = [(shift, case) for shift in arguments.shifts for case in arguments.cases]
    without: dict[float, list[Pull]] = {shift: [] for shift in arguments.shifts}
    with_loop: dict[tuple[float, Case], list[Pull]] = {pair: [] for pair in pairs}
    for seed in range(arguments.seeds):
        plain = band.play(knobs, seed=seed, seconds=arguments.seconds)
        for shift in arguments.shifts:
            without[shift].append(pull(plain, shift))
        for shift, case in pairs:
            loop = shifted_loop(seed, shift)
            played = band.play({**knobs, **case.knobs()}, seed=seed, seconds=arguments.seconds, loop=loop)
            with_loop[shift, case].append(pull(played, shift))
        told = ", ".join(f"{pulls[-1].loop:.2f}" for pulls in with_loop.values())
        stream.say(f"{name}, seed {seed}: without {without[arguments.shifts[0]][-1].loop:.2f}, with {told}")
    return [
        {"shift_beats": shift, **case._asdict(), **difference(without[shift], with_loop[shift, case])}
        for shift, case in pairs
    ]


def shifted_loop(seed: int, shift: float) -> Float[np.ndarray, "samples 2"]:
    """Drums of `LOOP_BEATS` beats whose beats are `shift` beats after the transport's, once around."""
    drums = estimators.render(
        LOOP_GENRE, seed=LOOP_SEED + seed, bpm=BPM, seconds=LOOP_BEATS * 60.0 / BPM, stems=("drums",)
    )
    return np.roll(drums.samples, round(shift * drums.beat_samples), axis=0)


def loop_alone(seed: int) -> float:
    """F-measure of the loop's own beats: what the estimator makes of a sound that is surely on them."""
    loop = np.tile(shifted_loop(seed, 0.0), (3, 1))
    length = 60.0 / BPM * offline.SAMPLES_A_SECOND
    found = estimators.tracked_beats(estimators.onset_curve(loop), bpm=BPM)
    return round(estimators.f_measure(found, np.arange(0.0, len(loop), length)), 3)


def pull(played: offline.Played, shift: float) -> Pull:
    """Where a session's beats are, once the loop has come in."""
    samples = played.samples[round(UNHEARD_SECONDS * offline.SAMPLES_A_SECOND) :]
    curve = estimators.onset_curve(samples)
    offset = len(played.samples) - len(samples)
    beats = played.beats(estimators.curve_places(curve) + offset)
    found = played.beats(estimators.tracked_beats(curve, bpm=BPM) + offset)
    length = 60.0 / BPM * offline.SAMPLES_A_SECOND

    def against(by: float) -> float:
        wanted = np.arange(np.ceil(beats[0] - by), beats[-1] - by) + by
        return estimators.f_measure(found * length, wanted * length)

    return Pull(against(shift), against(0.0), estimators.coherence(curve, beats - shift, 1))


def difference(without: list[Pull], with_loop: list[Pull]) -> dict[str, Any]:
    """Means over the seeds, and how much the loop changed."""
    row: dict[str, Any] = {}
    for place, name in enumerate(Pull._fields):
        before, after = (np.array([pulls[place] for pulls in each]) for each in (without, with_loop))
        low, high = bootstrap(after - before)
        row[name] = {
            "without": round(float(before.mean()), 3),
            "with": round(float(after.mean()), 3),
            "difference": round(float((after - before).mean()), 3),
            "bootstrap_95": [round(low, 3), round(high, 3)],
            "each_seed": [round(float(each), 3) for each in after - before],
        }
    return row


def bootstrap(values: Float[np.ndarray, "values"]) -> tuple[float, float]:
    """95 % percentile interval of the mean, by drawing seeds again."""
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    low, high = np.percentile(drawn.mean(1), (2.5, 97.5))
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
