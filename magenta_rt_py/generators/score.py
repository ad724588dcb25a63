"""Score: prompts and knobs that change over time, from a small JSON file.

    [
      {"at_seconds": 0,  "prompts": {"lofi hip hop": 1.0}, "bpm": 83.3},
      {"at_seconds": 12, "prompts": {"techno": 1.0}, "ramp_seconds": 6, "guidance": 2.0}
    ]

At `at_seconds` the mix starts to move from where it was to the entry's prompts and arrives `ramp_seconds` later (0: at
once). A knob holds from its entry on. A ramp must end before the next entry begins.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from magenta_rt_py.generators.controls import Controls

_KNOBS = {
    "bpm": "bpm",
    "temperature": "temperature",
    "top_k": "top_k",
    "guidance": "guidance_weight",
    "adapter_strength": "adapter_strength",
}
_FIELDS = {"at_seconds", "prompts", "ramp_seconds", *_KNOBS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cue:
    """One entry of a score."""

    at_seconds: float
    """When it starts, in seconds of the take."""
    prompts: tuple[tuple[str, float], ...]
    """Prompt and weight."""
    ramp_seconds: float = 0.0
    """How long the mix takes to get there."""
    controls: Controls = dataclasses.field(default_factory=Controls)
    """The knobs from here on, those of earlier entries included."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """Cues in order of time, the first at 0 seconds."""

    cues: tuple[Cue, ...]

    @property
    def prompts(self) -> tuple[str, ...]:
        """Every prompt of the score once, in order of appearance."""
        return tuple(dict.fromkeys(name for cue in self.cues for name, _ in cue.prompts))

    def weights(self, seconds: float) -> dict[str, float]:
        """The weight of every prompt of the score at a time of the take."""
        here = self._cue_index(seconds)
        cue, target = self.cues[here], dict(self.cues[here].prompts)
        before = dict(self.cues[here - 1].prompts) if here else target
        arrived = (seconds - cue.at_seconds) / cue.ramp_seconds if cue.ramp_seconds > 0 else 1.0
        part = min(max(arrived, 0.0), 1.0)
        return {name: (1.0 - part) * before.get(name, 0.0) + part * target.get(name, 0.0) for name in self.prompts}

    def controls(self, seconds: float) -> Controls:
        """The knobs at a time of the take."""
        return self.cues[self._cue_index(seconds)].controls

    def _cue_index(self, seconds: float) -> int:
        started = [index for index, cue in enumerate(self.cues) if cue.at_seconds <= seconds + 1e-9]
        return started[-1] if started else 0


def constant(prompts: list[tuple[str, float]], controls: Controls) -> Score:
    """A score of one cue: the same mix for the whole take."""
    return Score(cues=(Cue(at_seconds=0.0, prompts=tuple(prompts), controls=controls),))


def read_score(path: str | Path, controls: Controls) -> Score:
    """Reads and checks a whole score file.

    Args:
      path: a JSON file as in the module's docstring.
      controls: the knobs that hold until an entry sets its own.
    Raises:
      ValueError: naming the first entry that is wrong and what it should be.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"score {path} is not JSON ({error}); see examples/demo_score.json") from error
    return parse_score(entries, controls)


def parse_score(entries: Any, controls: Controls) -> Score:
    """Checks the entries of a score (see the module's docstring) and gives each the knobs that hold there.

    Raises:
      ValueError: naming the first entry that is wrong and what it should be.
    """
    if not isinstance(entries, list) or not entries:
        raise ValueError("a score is a JSON list with at least one entry; see examples/demo_score.json")
    cues: list[Cue] = []
    for index, entry in enumerate(entries):
        name = f"score entry {index + 1}"
        cue = _parse_cue(entry, name, controls)
        if not cues and cue.at_seconds != 0.0:
            raise ValueError(f"{name} starts at {cue.at_seconds:g} s; the first entry must start at 0")
        if cues and cue.at_seconds < cues[-1].at_seconds + max(cues[-1].ramp_seconds, 1e-9):
            raise ValueError(
                f"{name} starts at {cue.at_seconds:g} s, before entry {index} is over "
                f"({cues[-1].at_seconds:g} s + ramp {cues[-1].ramp_seconds:g} s); entries must follow one another"
            )
        cues.append(cue)
        controls = cue.controls
    return Score(cues=tuple(cues))


def _parse_cue(entry: Any, name: str, controls: Controls) -> Cue:
    if not isinstance(entry, dict):
        raise ValueError(f"{name} is {entry!r}; expected an object with at_seconds and prompts")
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ValueError(f"{name} has unknown fields {', '.join(unknown)}; known: {', '.join(sorted(_FIELDS))}")
    prompts = entry.get("prompts")
    if not isinstance(prompts, dict) or not prompts:
        raise ValueError(f'{name} needs "prompts": an object of prompt and weight, such as {{"techno": 1.0}}')
    try:
        weights = tuple((prompt, check_weight(prompt, weight)) for prompt, weight in prompts.items())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    chosen = _turn_knobs(controls, {field: entry[field] for field in _KNOBS if field in entry}, name)
    return Cue(
        at_seconds=_seconds(entry.get("at_seconds"), f"{name}: at_seconds"),
        prompts=weights,
        ramp_seconds=_seconds(entry.get("ramp_seconds", 0.0), f"{name}: ramp_seconds"),
        controls=chosen,
    )


def _turn_knobs(controls: Controls, knobs: dict[str, Any], name: str) -> Controls:
    for field, value in knobs.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number and not (field == "bpm" and value is None):
            raise ValueError(f"{name}: {field} is {value!r}; give a number")
        if field == "top_k" and not isinstance(value, int):
            raise ValueError(f"{name}: top_k is {value!r}; give a whole number")
    exact = {_KNOBS[field]: value if field == "top_k" or value is None else float(value) for field, value in knobs.items()}
    try:
        return dataclasses.replace(controls, **exact)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def check_weight(prompt: str, weight: Any) -> float:
    """A prompt's weight as a float; refuses what is not a number, NaN, infinity and negative weights."""
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
        raise ValueError(f"prompt {_short(prompt)!r} has weight {weight!r}; give a number that is 0 or more")
    return float(weight)


def _seconds(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value!r}; give seconds, 0 or more")
    return float(value)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
