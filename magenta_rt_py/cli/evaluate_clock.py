"""`mrtpy eval clock`: is the music held to an outside clock? Sessions slaved to a MIDI clock, offline.

Pulses jitter and the tempo drifts. Beats of the sound, by a tracker that is told the mean tempo but not where a beat is,
against the clock's own beats at the time they are heard. Beside it true renders with known beats (ceiling) and the same
beats at a random phase (floor).
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.cli.evaluate_offline import SAMPLES_A_SECOND, OfflineBand, Played
from magenta_rt_py.live.midi_clock import PULSES_PER_BEAT, MidiClockFollower
from magenta_rt_py.live.session_parts import Master

Say = Callable[[str], None]

RENDER_SEED = 950_000_000
"""First seed of the true renders: far from all that trained anything."""

LOCK_SECONDS = 6.0
"""Of a slaved session; not judged."""
JITTER_SECONDS = 0.001
DRIFT = 0.03
"""Share by which the clock's tempo drifts, up and down."""
DRIFT_PERIOD_SECONDS = 150.0
WITHIN_SECONDS = 0.03
RANDOM_PHASES = 200
FEWEST_BEATS = 10
"""Of a minute that is judged."""
WANTED_MILLISECONDS = 20.0
"""Median distance of the beats from the clock's, in every minute."""


class ClockPrompt(NamedTuple):
    """What is played to a clock."""

    text: str
    genre: str
    """Of the true renders."""
    clock_bpm: float
    """Mean tempo of the clock."""


CLOCK_PROMPTS: dict[str, ClockPrompt] = {
    "techno": ClockPrompt("warehouse techno at night", "techno", 125.0),
    "lofi": ClockPrompt("dusty lofi beat to study to", "lofi hip hop", 78.0),
    "rock": ClockPrompt("loud electric guitar rock band", "rock", 125.0),
}


class DriftingClock:
    """Another machine: its beats, exactly, and the pulses that come from it. Pure but for the jitter, drawn once."""

    def __init__(self, bpm: float, seconds: float, *, seed: int, jitter_seconds: float = JITTER_SECONDS) -> None:
        """Beat 0 at 0 s.

        Args:
          bpm: mean tempo; it drifts by `DRIFT`, slowly.
          seconds: for which there are pulses.
          seed: of the jitter.
          jitter_seconds: deviation of a pulse, normal.
        """
        self._rate = bpm / 60.0
        fine = np.arange(0.0, seconds, 0.001)
        pulses = np.arange(0, math.floor(self.beats(fine)[-1] * PULSES_PER_BEAT))
        true_times = np.interp(pulses / PULSES_PER_BEAT, self.beats(fine), fine)
        jitter = np.random.default_rng(seed).normal(0.0, jitter_seconds, len(pulses))
        self.pulse_seconds = np.maximum.accumulate(np.maximum(true_times + jitter, 0.0))

    def beats(self, seconds: Float[np.ndarray, "*times"] | float) -> Float[np.ndarray, "*times"] | float:
        """Its position at times."""
        turn = 2.0 * np.pi / DRIFT_PERIOD_SECONDS
        return self._rate * (seconds + DRIFT * (1.0 - np.cos(turn * np.asarray(seconds))) / turn)

    def beat_seconds(self, seconds: Float[np.ndarray, "*times"] | float) -> Float[np.ndarray, "*times"] | float:
        """Length of a beat at times."""
        turn = 2.0 * np.pi / DRIFT_PERIOD_SECONDS
        return 1.0 / (self._rate * (1.0 + DRIFT * np.sin(turn * np.asarray(seconds))))

    def master(self, clock: Any) -> Master:
        """What follows its pulses, told each when it has come, by a clock that is going."""
        follower, told = MidiClockFollower(), 0
        follower.start()

        def master(seconds: float) -> tuple[float, float] | None:
            nonlocal told
            while told < len(self.pulse_seconds) and self.pulse_seconds[told] <= clock.now_seconds():
                follower.pulse(float(self.pulse_seconds[told]))
                told += 1
            beat, bpm = follower.beat_at(seconds), follower.bpm
            return None if beat is None or bpm is None else (beat, bpm)

        return master


def measure_clock(
    band: OfflineBand, prompts: Mapping[str, ClockPrompt], *, seconds: float, say: Say = lambda line: None
) -> dict[str, Any]:
    """Sessions slaved to a drifting clock, beside true renders."""
    rows: dict[str, Any] = {}
    offs: dict[str, list[np.ndarray]] = {"sessions": [], "true_renders": []}
    for number, (name, prompt) in enumerate(prompts.items()):
        clock = DriftingClock(prompt.clock_bpm, seconds + 30.0, seed=number)
        knobs = {"prompt/1/text": prompt.text, "bpm": prompt.clock_bpm, "midi_clock": True}
        played = band.play(knobs, seed=number, seconds=seconds, make_master=clock.master)
        row, off = against_clock(played, clock, prompt.clock_bpm)
        true_row, true_off = true_beats(prompt, seconds, number)
        rows[name] = {"session": row, "true_renders": true_row}
        offs["sessions"].append(off)
        offs["true_renders"].append(true_off)
        medians = [each["told_the_tempo"]["median_ms"] for each in (row, true_row)]
        say(f"clock, {name}: {medians[0]} ms, true renders {medians[1]} ms")
    return {
        "seconds": seconds,
        "jitter_seconds": JITTER_SECONDS,
        "drift": DRIFT,
        "median_ms": {kind: _milliseconds(np.median(np.abs(np.concatenate(each)))) for kind, each in offs.items()},
        "median_of_prompts_ms": {
            kind: [_milliseconds(np.median(np.abs(each))) for each in of_kind] for kind, of_kind in offs.items()
        },
        "per_prompt": rows,
    }


def against_clock(played: Played, clock: DriftingClock, bpm: float) -> tuple[dict[str, Any], np.ndarray]:
    """A session's beats and its transport against the clock that it follows; also each beat's seconds off the clock."""
    from magenta_rt_py.train.evaluation import beat_tracking as estimators

    curve = estimators.onset_curve(played.samples)
    every = estimators.curve_places(curve)
    every = every[played.seconds(every) >= LOCK_SECONDS]
    times = played.seconds(every)
    lag = estimators.off_beat(played.beats(every) - clock.beats(times)) * clock.beat_seconds(times)
    row: dict[str, Any] = {
        "transport_off_clock_ms": {
            "median": _milliseconds(np.median(np.abs(lag))),
            "p95": _milliseconds(np.percentile(np.abs(lag), 95)),
            "mean_signed": _milliseconds(np.mean(lag)),
        }
    }
    told = np.zeros(0)
    for kind, tempo in (("told_the_tempo", bpm), ("told_nothing", None)):
        places = estimators.tracked_beats(curve, bpm=tempo)
        times = played.seconds(places)
        places, times = places[times >= LOCK_SECONDS], times[times >= LOCK_SECONDS]
        positions, lengths = clock.beats(times), clock.beat_seconds(times)
        row[kind] = _off_figures(positions, lengths)
        if tempo is not None:
            told = estimators.off_beat(positions) * lengths
            row["median_by_minute_ms"] = _by_minute(told, times)
            own = played.beats(places)
            row["against_the_transport_ms"] = _milliseconds(np.median(np.abs(estimators.off_beat(own) * lengths)))
    return row, told


def true_beats(prompt: ClockPrompt, seconds: float, number: int) -> tuple[dict[str, Any], np.ndarray]:
    """The same figures of true renders, a minute each, at the clock's mean tempo."""
    from magenta_rt_py.train.evaluation import beat_tracking as estimators

    positions: dict[str, list[np.ndarray]] = {"told_the_tempo": [], "told_nothing": []}
    length = 60.0 / prompt.clock_bpm
    for minute in range(max(1, round(seconds / 60.0))):
        seed = RENDER_SEED + 1000 + 10 * number + minute
        piece = estimators.render(prompt.genre, seed=seed, bpm=prompt.clock_bpm, seconds=60.0)
        curve = estimators.onset_curve(piece.samples)
        length = piece.beat_samples / SAMPLES_A_SECOND
        for kind, tempo in (("told_the_tempo", prompt.clock_bpm), ("told_nothing", None)):
            positions[kind].append(estimators.tracked_beats(curve, bpm=tempo) / piece.beat_samples)
    joined = {kind: np.concatenate(each) for kind, each in positions.items()}
    row = {kind: _off_figures(each, np.full(len(each), length)) for kind, each in joined.items()}
    return row, estimators.off_beat(joined["told_the_tempo"]) * length


def _off_figures(positions: Float[np.ndarray, "beats"], beat_seconds: Float[np.ndarray, "beats"]) -> dict[str, Any]:
    """How far beats are from a clock's.

    Args:
      positions: of the detected beats, in the clock's beats.
      beat_seconds: length of a beat of the clock at each.
    """
    from magenta_rt_py.train.evaluation import beat_tracking as estimators

    off = estimators.off_beat(positions) * beat_seconds
    phases = np.random.default_rng(0).uniform(0.0, 1.0, RANDOM_PHASES)
    floor = [np.median(np.abs(estimators.off_beat(positions + phase) * beat_seconds)) for phase in phases]
    return {
        "beats": len(positions),
        "median_ms": _milliseconds(np.median(np.abs(off))),
        "p90_ms": _milliseconds(np.percentile(np.abs(off), 90)),
        "median_signed_ms": _milliseconds(np.median(off)),
        "within_20_ms": round(float(np.mean(np.abs(off) <= WANTED_MILLISECONDS / 1000.0)), 3),
        "within_30_ms": round(float(np.mean(np.abs(off) <= WITHIN_SECONDS)), 3),
        "random_phase_median_ms": _milliseconds(np.mean(floor)),
    }


def _by_minute(off: Float[np.ndarray, "beats"], times: Float[np.ndarray, "beats"]) -> list[float]:
    """Median distance in each minute: a music that slowly falls behind is not hidden by the rest."""
    minutes = (times // 60.0).astype(int)
    counts = {minute: int((minutes == minute).sum()) for minute in np.unique(minutes)}
    return [
        _milliseconds(np.median(np.abs(off[minutes == minute]))) for minute, count in counts.items() if count >= FEWEST_BEATS
    ]


def _milliseconds(seconds: Any) -> float:
    return round(1000.0 * float(seconds), 2)


def measure(bench: Any) -> Any:
    """The section: the first prompts, for as long as the sizes say.

    Args:
      bench: a `Workbench`.
    Returns:
      a `Section`.
    """
    from magenta_rt_py.train.evaluation import units
    from magenta_rt_py.train.evaluation.section import Section, Table, Verdict

    chosen = dict(list(CLOCK_PROMPTS.items())[: bench.sizes.clock_prompts])
    seconds = 60.0 * bench.sizes.clock_minutes
    own = units.source_hash([pathlib.Path(__file__), pathlib.Path(__file__).with_name("evaluate_offline.py")])

    def make() -> dict[str, Any]:
        return measure_clock(OfflineBand(None, model=bench.model), chosen, seconds=seconds, say=bench.say)

    settings = {"prompts": list(chosen), "seconds": seconds, "own": own, "studio": units.studio_sources()}
    report = bench.units.get("clock", settings, make)
    rows = []
    for name, row in report["per_prompt"].items():
        for title, one in (("session", row["session"]), ("true renders (ceiling)", row["true_renders"])):
            told = one["told_the_tempo"]
            figures = (f"{told[key]:.1f}" for key in ("median_ms", "p90_ms", "median_signed_ms", "random_phase_median_ms"))
            rows.append((name, title, *figures, f"{told['within_20_ms']:.0%}", f"{told['within_30_ms']:.0%}"))
    by_minute = [value for row in report["per_prompt"].values() for value in row["session"]["median_by_minute_ms"]]
    worst = max(by_minute, default=math.inf)
    return Section(
        name="clock",
        title="Held to an outside clock",
        report=report,
        tables=(
            Table(
                title=f"{bench.sizes.clock_minutes:g} minutes slaved to a MIDI clock",
                note="Distance of the sound's beats from the clock's, in ms. Random phase is the floor.",
                header=("prompt", "", "median", "p90", "median signed", "random phase", "within 20 ms", "within 30 ms"),
                rows=tuple(rows),
            ),
        ),
        verdicts=(
            Verdict(
                name=f"beat: distance from an outside clock over {bench.sizes.clock_minutes:g} minutes, median of the worst",
                measured=f"{worst:.1f} ms (of all: {report['median_ms']['sessions']:.1f} ms)",
                wanted=f"<= {WANTED_MILLISECONDS:g} ms",
                is_met=worst <= WANTED_MILLISECONDS,
            ),
        ),
    )
