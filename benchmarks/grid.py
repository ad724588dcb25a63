"""Measures whether the music keeps to the transport: after a change of tempo, and slaved to a MIDI clock. Prints JSON.

    python benchmarks/grid.py [tempo] [clock] [--prompts techno house] [--seeds 2] [--minutes 5] [--bundle DIR] [--out FILE]

Sessions run offline (cli/evaluate_offline.py): what is measured is the music, not the machine.

tempo: the knob `bpm` is turned in a running session, up and down in turn. For each bar of the new tempo, counted from the
first frame that is made by it: do the onsets fall on the new grid rather than on the old one, gone on with? A change is
followed after the fewest bars n such that the three bars after them all do. Beside it the same judgement of true renders:
at the new tempo from that frame on (ceiling), and still at the old one (floor).

clock: what `mrtpy eval clock` measures, for five minutes: sessions slaved to a MIDI clock whose pulses jitter and whose
tempo drifts, beside true renders with known beats (ceiling) and the same beats at a random phase (floor).
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

import numpy as np
import stream
from jaxtyping import Float

from magenta_rt_py.cli import evaluate_offline as offline
from magenta_rt_py.cli.evaluate_clock import RENDER_SEED, ClockPrompt, measure_clock
from magenta_rt_py.live.transport import TempoPoint, Transport
from magenta_rt_py.train.evaluation import beat_tracking as estimators
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
        slaved = {
            name: ClockPrompt(prompt.text, prompt.genre, prompt.clock_bpm)
            for name, prompt in chosen.items()
            if name not in WITHOUT_CLOCK
        }
        report["clock"] = measure_clock(band, slaved, seconds=60.0 * arguments.minutes, say=stream.say)
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
    matches = [rhythm.tempo_matches(change.found_bpm, bpm, octaves=True) for change, bpm in zip(changes, asked, strict=True)]
    return {
        "bars_to_follow": bars,
        "median_bars": None if math.isinf(middle) else middle,
        "within_two_bars": share_of([each is not None and each <= WITHIN_BARS for each in bars]).to_json(),
        "tempo_or_octave_found": share_of(matches).to_json(),
    }


def _by_bar(scores: list[list[float]]) -> list[float]:
    longest = max(map(len, scores))
    return [round(float(np.mean([each[bar] for each in scores if bar < len(each)])), 3) for bar in range(longest)]


def _spread(values: list[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, (5, 50, 95))
    return {"p5": round(float(low), 3), "median": round(float(middle), 3), "p95": round(float(high), 3)}


if __name__ == "__main__":
    sys.exit(main())
