"""Is there a beat, and is it the one that was asked for? Takes beside true renders and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from magenta_rt_py.train.evaluation import pictures, rhythm
from magenta_rt_py.train.evaluation.features import Heard
from magenta_rt_py.train.evaluation.intervals import mean_of, ratio_of, share_of
from magenta_rt_py.train.evaluation.prompts import EvaluationPrompt
from magenta_rt_py.train.evaluation.section import Section, Table, Verdict
from magenta_rt_py.train.evaluation.tables import estimate_text, sets_in, share_text, title_of
from magenta_rt_py.train.evaluation.workbench import Workbench

WANTED_RATIO = 0.8
WANTED_TEMPO = 0.8


def _mean(values: Sequence[float | None]) -> float:
    """Mean of the values that exist, rounded for a report; 0 for none."""
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 3) if known else 0.0


def summarise(sounds: Sequence[Heard]) -> dict[str, object]:
    """Pulse and tempo of a set of sounds, each against its own asked tempo."""
    found = [heard.rhythm for heard in sounds]
    pairs = list(zip(found, sounds, strict=True))
    return {
        "sounds": len(sounds),
        "pulse_clarity": mean_of([one.pulse_clarity for one in found]).to_json(),
        "asked_beat": _mean([one.asked_beat for one in found]),
        "control_lags": _mean([one.control for one in found]),
        "onset_strength": _mean([one.onset_strength for one in found]),
        "tempo_exact": share_of([rhythm.tempo_matches(one.bpm, heard.bpm) for one, heard in pairs]).to_json(),
        "tempo_or_octave": share_of(
            [rhythm.tempo_matches(one.bpm, heard.bpm, octaves=True) for one, heard in pairs]
        ).to_json(),
        "found_bpm": [round(one.bpm, 1) for one in found],
    }


def evaluate_beat(sets: Mapping[str, Sequence[Heard]], *, prompts: Sequence[EvaluationPrompt]) -> dict[str, object]:
    """Compares the beat of takes with that of true renders, beat-driven prompts only.

    Args:
      sets: by name; "takes" is compared with "true_renders".
      prompts: those that are not beat-driven are left out here.
    Returns:
      JSON-ready report with `pulse_ratio`: clarity of takes over true renders'.
    """
    driven = [prompt for prompt in prompts if prompt.beat_driven]
    genres = {prompt.genre for prompt in driven}
    kept = {name: [heard for heard in sounds if heard.genre in genres] for name, sounds in sets.items()}
    kept = {name: sounds for name, sounds in kept.items() if sounds}
    report: dict[str, object] = {name: summarise(sounds) for name, sounds in kept.items()}
    rows = []
    for prompt in driven:
        row: dict[str, object] = {"genre": prompt.genre, "asked_bpm": round(prompt.bpm, 1)}
        for name, sounds in kept.items():
            own = [heard for heard in sounds if heard.genre == prompt.genre]
            if own:
                row[name] = summarise(own)
        rows.append(row)
    report["per_prompt"] = rows
    if {"takes", "true_renders"} <= kept.keys():
        clarity = {name: [max(heard.rhythm.pulse_clarity, 0.0) for heard in kept[name]] for name in kept}
        report["pulse_ratio"] = ratio_of(clarity["takes"], [max(one, 1e-3) for one in clarity["true_renders"]]).to_json()
    return report


def measure(bench: Workbench) -> Section:
    """Pulse and tempo of the beat-driven prompts' takes."""
    driven = [prompt for prompt in bench.prompts if prompt.beat_driven]
    report = evaluate_beat(bench.sets(driven), prompts=driven)
    return Section(
        name="beat",
        title="Beat",
        report=report,
        tables=tables_of(report),
        verdicts=verdicts_of(report),
        pictures=(("beat", lambda file: _draw(file, report)),),
    )


def verdicts_of(report: dict) -> tuple[Verdict, ...]:
    """Pulse and tempo beside what is wanted."""
    ratio, tempo = report["pulse_ratio"], report["takes"]["tempo_exact"]
    return (
        Verdict(
            name="beat: pulse clarity of takes over true renders'",
            measured=estimate_text(ratio),
            wanted=f">= {WANTED_RATIO}",
            is_met=ratio["value"] >= WANTED_RATIO,
        ),
        Verdict(
            name="beat: tempo asked for found within 4 %",
            measured=share_text(tempo),
            wanted=f">= {WANTED_TEMPO:.0%}",
            is_met=tempo["share"] >= WANTED_TEMPO,
        ),
    )


def tables_of(report: dict) -> tuple[Table, ...]:
    """Sets side by side, then by prompt."""
    sets = Table(
        title="Pulse and tempo",
        note="Beat-driven prompts only. The control is the pulse where none should be.",
        header=("", "pulse", "at asked beat", "control", "onsets", "tempo within 4 %", "or octave"),
        rows=tuple(
            (
                title,
                estimate_text(one["pulse_clarity"]),
                *(f"{one[key]:.2f}" for key in ("asked_beat", "control_lags", "onset_strength")),
                share_text(one["tempo_exact"]),
                share_text(one["tempo_or_octave"]),
            )
            for title, one in sets_in(report).items()
        ),
    )
    prompts = Table(
        title="By prompt",
        header=("genre", "asked bpm", "set", "pulse", "tempo exact", "found bpm"),
        rows=tuple(
            (
                row["genre"],
                "own" if name == "true_renders" else f"{row['asked_bpm']:.0f}",
                title_of(name),
                f"{row[name]['pulse_clarity']['value']:.2f}",
                f"{row[name]['tempo_exact']['hits']}/{row[name]['tempo_exact']['trials']}",
                " ".join(f"{bpm:.0f}" for bpm in row[name]["found_bpm"]),
            )
            for row in report["per_prompt"]
            for name in ("takes", "true_renders")
            if name in row
        ),
    )
    return (sets, prompts)


def _draw(file, report: dict) -> None:
    bars = {
        title: [
            (one["pulse_clarity"]["value"], *one["pulse_clarity"]["interval_95"]),
            *((one[key]["share"], *one[key]["wilson_95"]) for key in ("tempo_exact", "tempo_or_octave")),
        ]
        for title, one in sets_in(report).items()
    }
    true_pulse = report.get("true_renders", {}).get("pulse_clarity", {}).get("value", 0.0)
    wanted = (WANTED_RATIO * true_pulse, WANTED_TEMPO, None)
    pictures.bars(file, ("pulse clarity", "tempo within 4 %", "or an octave off"), bars, title="Beat", wanted=wanted)
