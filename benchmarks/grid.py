"""Measures whether the music keeps to the transport: after a change of tempo, and slaved to a MIDI clock. Prints JSON.

    python benchmarks/grid.py [tempo] [clock] [--prompts techno house] [--seeds 2] [--minutes 5] [--bundle DIR] [--out FILE]

Sessions run offline (offline.py): what is measured is the music, not the machine.

tempo: the knob `bpm` is turned in a running session, up and down in turn. For each bar of the new tempo, counted from the
first frame that is made by it: do the onsets fall on the new grid rather than on the old one, gone on with? A change is
followed after the fewest bars n such that the three bars after them all do. Beside it the same judgement of true renders:
at the new tempo from that frame on (ceiling), and still at the old one (floor).

clock: five minutes slaved to a MIDI clock whose pulses jitter and whose tempo drifts. Beats of the sound, by a tracker that
is told the mean tempo but not where a beat is, against the clock's own beats at the time they are heard. Beside it true
renders with known beats (ceiling) and the same beats at a random phase (floor).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import beats as estimators
import numpy as np
import offline
import stream
from jaxtyping import Float

from magenta_rt_py.live.midi_clock import PULSES_PER_BEAT, MidiClockFollower
from magenta_rt_py.live.session_parts import Master
from magenta_rt_py.live.transport import TempoPoint, Transport
from magenta_rt_py.train.evaluation import rhythm
from magenta_rt_py.train.evaluation.intervals import share_of

BEATS_PER_BAR = 4
BARS_BEFORE = 4
"""At the first tempo."""
BARS_AFTER = 8
"""At each tempo after it."""
CHANGES = 2
HOLD_BARS = 3
"""Bars in a row that must be on the new grid."""
WITHIN_BARS = 2.0
TEMPO_BARS = (2, 6)
"""Bars after the change from whose sound the tempo is found."""
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridPrompt:
    """What is played, and how fast."""

    text: str
    genre: str
    """Of the true renders."""
    slow_bpm: float
    fast_bpm: float
    """The tempos between which the knob is turned."""
    clock_bpm: float
    """Mean tempo of the MIDI clock."""


def _prompt(text: str, genre: str, slow: float, fast: float, clock: float) -> GridPrompt:
    return GridPrompt(text=text, genre=genre, slow_bpm=slow, fast_bpm=fast, clock_bpm=clock)


PROMPTS: dict[str, GridPrompt] = {
    "techno": _prompt("warehouse techno at night", "techno", 110.0, 130.0, 125.0),
    "house": _prompt("deep house groove with piano chords", "house", 105.0, 125.0, 122.0),
    "lofi": _prompt("dusty lofi beat to study to", "lofi hip hop", 72.0, 86.0, 78.0),
    "rock": _prompt("loud electric guitar rock band", "rock", 110.0, 130.0, 125.0),
    "jungle": _prompt("fast jungle breakbeats with deep bass", "drum and bass", 80.0, 95.0, 83.0),
    "disco": _prompt("glittery disco dance floor with strings", "disco", 105.0, 125.0, 120.0),
}
"""Beat-driven prompts. The clock is not measured on jungle: its breakbeats go at twice the studio's beat, and no tracker
finds the beats of its true renders."""
WITHOUT_CLOCK = ("jungle",)


class Change(NamedTuple):
    """How one change of tempo went."""

    bars: int | None
    """After which it was followed; None if it was not in the bars that there were."""
    new_scores: list[float]
    """Of each bar, against the new grid."""
    old_scores: list[float]
    """Against the old one."""
    found_bpm: float
    """By an estimator that is told nothing."""


def main(argv: list[str] | None = None) -> int:
    """Runs the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="tempo|clock", help="what to measure (default: both)")
    parser.add_argument("--prompts", nargs="+", choices=tuple(PROMPTS), default=list(PROMPTS), metavar="PROMPT")
    parser.add_argument("--seeds", type=int, default=2, help="sessions a prompt (default 2; the clock: 1)")
    parser.add_argument("--minutes", type=float, default=5.0, help="slaved to the clock (default 5)")
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the starter)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args(argv)
    parts = arguments.parts or ["tempo", "clock"]
    if unknown := set(parts) - {"tempo", "clock"}:
        parser.error(f"there is nothing to measure named {', '.join(sorted(unknown))}; give tempo, clock or both")
    report: dict[str, Any] = {"command": " ".join(sys.argv), "machine": stream.describe_machine()}
    band = offline.OfflineBand(arguments.bundle)
    report["session"] = dataclasses.asdict(band.config)
    chosen = {name: PROMPTS[name] for name in arguments.prompts}
    if "tempo" in parts:
        report["tempo"] = measure_tempo(band, chosen, range(arguments.seeds))
    if "clock" in parts:
        slaved = {name: prompt for name, prompt in chosen.items() if name not in WITHOUT_CLOCK}
        report["clock"] = measure_clock(band, slaved, seconds=60.0 * arguments.minutes)
    text = json.dumps(report, indent=2, allow_nan=False)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


# A change of tempo.


def measure_tempo(band: offline.OfflineBand, prompts: dict[str, GridPrompt], seeds: range) -> dict[str, Any]:
    """Changes of tempo in running sessions, beside true renders."""
    sets: dict[str, dict[str, list[Change]]] = {"sessions": {}, "true_renders": {}, "no_change": {}}
    asked: dict[str, list[float]] = {}
    delays = []
    for name, prompt in prompts.items():
        for kind in sets.values():
            kind[name] = []
        asked[name] = []
        for seed in seeds:
            tempos = _tempos(prompt, seed)
            played = _session(band, prompt, tempos, seed)
            points = played.transport.points
            if len(points) != len(tempos):
                raise RuntimeError(f"{len(points) - 1} changes of tempo reached the transport of {len(tempos) - 1}")
            delays += [point.frame / 25 - at / 48_000 for point, at in zip(points[1:], played.moved_at, strict=True)]
            for number, (old, new) in enumerate(itertools.pairwise(points)):
                asked[name].append(new.bpm)
                sets["sessions"][name].append(judge(_section(played, number + 1), old, new))
                piece = RENDER_SEED + 10 * seed + number
                for kind, is_changed in (("true_renders", True), ("no_change", False)):
                    change = true_change(prompt.genre, old, new, seed=piece, is_changed=is_changed)
                    sets[kind][name].append(change)
            stream.say(f"tempo, {name}, seed {seed}: bars {[each.bars for each in sets['sessions'][name]]}")
    return {
        "bars_before": BARS_BEFORE,
        "bars_judged_a_change": BARS_AFTER - 1,
        "hold_bars": HOLD_BARS,
        "from_knob_to_new_tempo_heard_seconds": _spread(delays),
        **{kind: _tempo_figures(changes, asked) for kind, changes in sets.items()},
    }


def judge(samples: Float[np.ndarray, "samples 2"], old: TempoPoint, new: TempoPoint) -> Change:
    """How a sound goes over to a new tempo.

    Args:
      samples: from the new tempo's first frame on, 48 kHz.
      old: of the transport; it is thought to go on.
      new: where it changed.
    """
    curve = estimators.onset_curve(samples)
    frames = new.frame + estimators.curve_places(curve) / offline.FRAME_SAMPLES
    new_beats, old_beats = (Transport(points=(point,)).beats(frames) for point in (new, old))
    bar_samples = BEATS_PER_BAR * 60.0 / new.bpm * offline.SAMPLES_A_SECOND
    scores: dict[str, list[float]] = {"new": [], "old": []}
    for bar in range(min(BARS_AFTER - 1, int(len(samples) / bar_samples))):
        since = new_beats - new.beat - bar * BEATS_PER_BAR
        inside = (since >= 0) & (since < BEATS_PER_BAR)
        scores["new"].append(estimators.grid_score(curve[inside], new_beats[inside]))
        scores["old"].append(estimators.grid_score(curve[inside], old_beats[inside]))
    first, last = (round(bar * bar_samples) for bar in TEMPO_BARS)
    found = rhythm.analyse(samples[first:last]).bpm
    return Change(bars_to_follow(scores["new"], scores["old"]), scores["new"], scores["old"], found)


def bars_to_follow(new_scores: list[float], old_scores: list[float]) -> int | None:
    """Bars before the first `HOLD_BARS` in a row that fit the new grid better than the old one; None if there are none."""
    fits = [new > old for new, old in zip(new_scores, old_scores, strict=True)]
    for bars in range(len(fits) - HOLD_BARS + 1):
        if all(fits[bars : bars + HOLD_BARS]):
            return bars
    return None


def true_change(genre: str, old: TempoPoint, new: TempoPoint, *, seed: int, is_changed: bool) -> Change:
    """The same of a true render that is at the new tempo from its first frame on, or still at the old one.

    Args:
      genre: of the studio.
      old: of the transport.
      new: where it changed.
      seed: of the piece.
      is_changed: whether the render is on the new grid, else on the old one.
    """
    sounding = new if is_changed else old
    length = 60.0 / sounding.bpm
    skipped = Transport(points=(sounding,)).beat_at(new.frame) % BEATS_PER_BAR * length
    judged = BARS_AFTER * BEATS_PER_BAR * 60.0 / new.bpm
    piece = estimators.render(genre, seed=seed, bpm=sounding.bpm, seconds=skipped + judged)
    return judge(piece.samples[round(skipped * offline.SAMPLES_A_SECOND) :], old, new)


def _section(played: offline.Played, number: int) -> Float[np.ndarray, "samples 2"]:
    """The sound that was made by one tempo of the transport's."""
    starts = [round(point.frame * offline.FRAME_SAMPLES) - offline.STREAM_START for point in played.transport.points]
    return played.samples[starts[number] : starts[number + 1] if number + 1 < len(starts) else None]


def _tempos(prompt: GridPrompt, seed: int) -> list[float]:
    """Up and down in turn; every other seed begins with the fast one."""
    pair = (prompt.slow_bpm, prompt.fast_bpm)
    return [pair[(number + seed) % 2] for number in range(CHANGES + 1)]


def _session(band: offline.OfflineBand, prompt: GridPrompt, tempos: list[float], seed: int) -> offline.Played:
    bars = [240.0 / bpm for bpm in tempos]
    ends = np.cumsum([BARS_BEFORE * bars[0], *(BARS_AFTER * length for length in bars[1:])])
    moves = [(float(at), "bpm", bpm) for at, bpm in zip(ends, tempos[1:])]
    knobs = {"prompt/1/text": prompt.text, "bpm": tempos[0]}
    # Longer than the last bar: the changes come late, and what the card still has is never heard.
    return band.play(knobs, seed=seed, seconds=float(ends[-1]) + 2.0, moves=moves)


def _tempo_figures(changes: dict[str, list[Change]], asked: dict[str, list[float]]) -> dict[str, Any]:
    every = [change for of_prompt in changes.values() for change in of_prompt]
    figures = _followed(every, [bpm for of_prompt in asked.values() for bpm in of_prompt])
    figures["by_bar"] = {
        "new_grid": _by_bar([change.new_scores for change in every]),
        "old_grid": _by_bar([change.old_scores for change in every]),
    }
    figures["per_prompt"] = {name: _followed(of_prompt, asked[name]) for name, of_prompt in changes.items()}
    return figures


def _followed(changes: list[Change], asked: list[float]) -> dict[str, Any]:
    bars = [change.bars for change in changes]
    ordered = sorted(math.inf if each is None else each for each in bars)
    middle = ordered[(len(ordered) - 1) // 2]
    matches = [
        rhythm.tempo_matches(change.found_bpm, bpm, octaves=True) for change, bpm in zip(changes, asked, strict=True)
    ]
    return {
        "bars_to_follow": bars,
        "median_bars": None if math.isinf(middle) else middle,
        "within_two_bars": share_of([each is not None and each <= WITHIN_BARS for each in bars]).to_json(),
        "tempo_or_octave_found": share_of(matches).to_json(),
    }


def _by_bar(scores: list[list[float]]) -> list[float]:
    longest = max(map(len, scores))
    return [round(float(np.mean([each[bar] for each in scores if bar < len(each)])), 3) for bar in range(longest)]


# A MIDI clock.


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

    def beats(self, seconds: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"]:
        """Its position at times."""
        turn = 2.0 * np.pi / DRIFT_PERIOD_SECONDS
        return self._rate * (seconds + DRIFT * (1.0 - np.cos(turn * np.asarray(seconds))) / turn)

    def beat_seconds(self, seconds: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"]:
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


def measure_clock(band: offline.OfflineBand, prompts: dict[str, GridPrompt], *, seconds: float) -> dict[str, Any]:
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
        stream.say(f"clock, {name}: {medians[0]} ms, true renders {medians[1]} ms")
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


def against_clock(played: offline.Played, clock: DriftingClock, bpm: float) -> tuple[dict[str, Any], np.ndarray]:
    """A session's beats and its transport against the clock that it follows; also each beat's seconds off the clock."""
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
            own = played.beats(places)
            row["against_the_transport_ms"] = _milliseconds(np.median(np.abs(estimators.off_beat(own) * lengths)))
    return row, told


def true_beats(prompt: GridPrompt, seconds: float, number: int) -> tuple[dict[str, Any], np.ndarray]:
    """The same figures of true renders, a minute each, at the clock's mean tempo."""
    positions: dict[str, list[np.ndarray]] = {"told_the_tempo": [], "told_nothing": []}
    length = 60.0 / prompt.clock_bpm
    for minute in range(max(1, round(seconds / 60.0))):
        seed = RENDER_SEED + 1000 + 10 * number + minute
        piece = estimators.render(prompt.genre, seed=seed, bpm=prompt.clock_bpm, seconds=60.0)
        curve = estimators.onset_curve(piece.samples)
        length = piece.beat_samples / offline.SAMPLES_A_SECOND
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
    off = estimators.off_beat(positions) * beat_seconds
    phases = np.random.default_rng(0).uniform(0.0, 1.0, RANDOM_PHASES)
    floor = [np.median(np.abs(estimators.off_beat(positions + phase) * beat_seconds)) for phase in phases]
    return {
        "beats": len(positions),
        "median_ms": _milliseconds(np.median(np.abs(off))),
        "p90_ms": _milliseconds(np.percentile(np.abs(off), 90)),
        "median_signed_ms": _milliseconds(np.median(off)),
        "within_30_ms": round(float(np.mean(np.abs(off) <= WITHIN_SECONDS)), 3),
        "random_phase_median_ms": _milliseconds(np.mean(floor)),
    }


def _milliseconds(seconds: Any) -> float:
    return round(1000.0 * float(seconds), 2)


def _spread(values: list[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, (5, 50, 95))
    return {"p5": round(float(low), 3), "median": round(float(middle), 3), "p95": round(float(high), 3)}


if __name__ == "__main__":
    sys.exit(main())
