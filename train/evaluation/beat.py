"""Is there a beat, and is it the one that was asked for? Takes beside true renders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from magenta_rt_py.train.evaluation import rhythm
from magenta_rt_py.train.evaluation.intervals import share_of
from magenta_rt_py.train.evaluation.prompts import EVALUATION_PROMPTS, EvaluationPrompt
from magenta_rt_py.train.evaluation.renders import Sound


def _mean(values: Sequence[float | None]) -> float:
    """Mean of the values that exist, rounded for a report; 0 for none."""
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 3) if known else 0.0


def summarise(sounds: Sequence[Sound]) -> dict[str, object]:
    """Pulse and tempo of a set of sounds, each against its own asked tempo."""
    found = [rhythm.analyse(sound.samples, asked_bpm=sound.bpm) for sound in sounds]
    pairs = list(zip(found, sounds, strict=True))
    return {
        "sounds": len(sounds),
        "pulse_clarity": _mean([one.pulse_clarity for one in found]),
        "asked_beat": _mean([one.asked_beat for one in found]),
        "control_lags": _mean([one.control for one in found]),
        "onset_strength": _mean([one.onset_strength for one in found]),
        "tempo_exact": share_of([rhythm.tempo_matches(one.bpm, sound.bpm) for one, sound in pairs]).to_json(),
        "tempo_or_octave": share_of(
            [rhythm.tempo_matches(one.bpm, sound.bpm, octaves=True) for one, sound in pairs]
        ).to_json(),
        "found_bpm": [round(one.bpm, 1) for one in found],
    }


def evaluate_beat(
    sets: dict[str, Sequence[Sound]],
    *,
    prompts: Sequence[EvaluationPrompt] = EVALUATION_PROMPTS,
) -> dict[str, object]:
    """Compares the beat of takes with that of true renders, beat-driven prompts only.

    Args:
      sets: by name; "takes" is compared with "true_renders".
    Returns:
      JSON-ready report with `pulse_ratio`: clarity of takes over true renders'.
    """
    driven = [prompt for prompt in prompts if prompt.beat_driven]
    genres = {prompt.genre for prompt in driven}
    kept = {name: [sound for sound in sounds if sound.genre in genres] for name, sounds in sets.items()}
    report: dict[str, object] = {name: summarise(sounds) for name, sounds in kept.items() if sounds}
    rows = []
    for prompt in driven:
        row: dict[str, object] = {"genre": prompt.genre, "asked_bpm": round(prompt.bpm, 1)}
        for name, sounds in kept.items():
            own = [sound for sound in sounds if sound.genre == prompt.genre]
            if own:
                row[name] = summarise(own)
        rows.append(row)
    report["per_prompt"] = rows
    takes, true_renders = report.get("takes"), report.get("true_renders")
    if isinstance(takes, dict) and isinstance(true_renders, dict):
        floor = max(float(true_renders["pulse_clarity"]), 1e-3)
        report["pulse_ratio"] = round(float(takes["pulse_clarity"]) / floor, 3)
    return report
