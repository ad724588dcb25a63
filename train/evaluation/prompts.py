"""The ten prompts by which steering is judged, fixed before any training.

The texts are never used in training: no caption of the studio contains one
of them word for word (a test samples the studio's captions and checks it).
"""

from __future__ import annotations

import dataclasses

FRAMES_PER_MINUTE = 1500
"""Codec frames (25 Hz) in a minute: bpm = FRAMES_PER_MINUTE / frames_per_beat."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationPrompt:
    """One prompt with the genre a judge must name and the tempo asked for."""

    text: str
    """What is asked of the model."""
    genre: str
    """The studio's name of the genre that the text means."""
    frames_per_beat: int
    """Length of a beat in codec frames of 40 ms; the tempo that is asked for."""
    beat_driven: bool
    """True if the genre has drums, so that its beat is judged too."""

    @property
    def bpm(self) -> float:
        """Tempo asked for, beats per minute."""
        return FRAMES_PER_MINUTE / self.frames_per_beat


def _prompt(text: str, genre: str, frames_per_beat: int, beat_driven: bool) -> EvaluationPrompt:
    return EvaluationPrompt(text=text, genre=genre, frames_per_beat=frames_per_beat, beat_driven=beat_driven)


EVALUATION_PROMPTS: tuple[EvaluationPrompt, ...] = (
    _prompt("warehouse techno at night", "techno", 12, True),
    _prompt("dusty lofi beat to study to", "lofi hip hop", 20, True),
    _prompt("fast jungle breakbeats with deep bass", "drum and bass", 18, True),
    _prompt("loud electric guitar rock band", "rock", 12, True),
    _prompt("glittery disco dance floor with strings", "disco", 12, True),
    _prompt("trap beat with booming 808", "trap", 10, True),
    _prompt("gentle piano piece, nobody else playing", "solo piano", 18, False),
    _prompt("calm floating ambient drones", "ambient", 20, False),
    _prompt("8-bit video game music", "chiptune", 10, True),
    _prompt("epic orchestral film score", "cinematic", 18, False),
)
"""Order is fixed: reports and seeds refer to it."""

EVALUATION_SEEDS: tuple[int, ...] = (11, 12, 13)
"""Random seeds of the takes of every prompt; all takes are counted."""

TAKE_SECONDS = 20.0
"""Length of a judged take."""
