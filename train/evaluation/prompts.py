"""The prompts by which steering is judged, fixed before any training.

The texts are the studio's held-out ones (`studio/held_out.py`): no training caption equals one of them (a test samples
the studio's captions and checks it). Here each gets the tempo it is asked with.
"""

from __future__ import annotations

import dataclasses

from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.held_out import EVALUATION_TEXTS
from magenta_rt_py.train.studio.score import FRAMES_PER_MINUTE


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
    """True if the genre's drums keep a beat, so that it is judged too."""

    @property
    def bpm(self) -> float:
        """Tempo asked for, beats per minute."""
        return FRAMES_PER_MINUTE / self.frames_per_beat


_ASKED_FRAMES_PER_BEAT = {
    "techno": 12,
    "lofi hip hop": 20,
    "drum and bass": 18,
    "rock": 12,
    "disco": 12,
    "trap": 10,
    "solo piano": 18,
    "ambient": 20,
    "chiptune": 10,
    "cinematic": 18,
}
"""Tempos of the first ten prompts, fixed before the others came; a genre that is not here is asked for at the middle
one of its tempos."""

WITHOUT_A_BEAT = ("cinematic",)
"""Genres whose drums are no beat: rolls and hits of an orchestra."""


def prompt_of(text: str, genre: str) -> EvaluationPrompt:
    """A prompt with its genre's tempo.

    Args:
      text: what is asked.
      genre: a key of the studio's GENRES.
    """
    spec = GENRES[genre]
    tempos = sorted(spec.frames_per_beat)
    frames_per_beat = _ASKED_FRAMES_PER_BEAT.get(genre, tempos[len(tempos) // 2])
    beat_driven = spec.kit is not None and genre not in WITHOUT_A_BEAT
    return EvaluationPrompt(text=text, genre=genre, frames_per_beat=frames_per_beat, beat_driven=beat_driven)


EVALUATION_PROMPTS: tuple[EvaluationPrompt, ...] = tuple(
    prompt_of(text, genre) for text, genre in EVALUATION_TEXTS if genre in GENRES
)
"""Order is fixed: reports and seeds refer to it. A genre that the studio does not have cannot be judged."""

EVALUATION_SEEDS: tuple[int, ...] = (11, 12, 13)
"""Random seeds of the takes of every prompt; all takes are counted."""

TAKE_SECONDS = 20.0
"""Length of a judged take."""
