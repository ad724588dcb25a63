"""Do prompts steer? Two judges name every take; ceilings and floors stand beside them.

Judge 1 is the probe (never saw the style tower), judge 2 the style tower itself:
it ranks the ten prompts by the cosine to the take's audio embedding. Beside the
takes stand true renders of the same genres, their codec round trip, and the same
takes judged against a wrong prompt.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import descriptor
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.intervals import share_of
from magenta_rt_py.train.evaluation.probe import Probe
from magenta_rt_py.train.evaluation.prompts import EVALUATION_PROMPTS, EvaluationPrompt
from magenta_rt_py.train.evaluation.renders import Sound

WRONG_PROMPT_SHIFT = 3
"""Takes are also judged against the prompt this many places further: must be near chance."""


Embed = Callable[[Any], Any]
"""Brings a prompt into the style space, as `MusicModel.embed` does: text, or a pair of samples and
their rate in Hz, to a vector."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgement:
    """What both judges say about one sound."""

    genre: str
    """What it should be."""
    seed: int
    probe_ranking: tuple[str, ...]
    """Genres, the probe's most probable first."""
    probe_probability: float
    """Probability the probe gives to what it should be."""
    style_ranking: tuple[str, ...]
    """Genres of the prompts, the nearest text first; empty without a style model."""


class Judges:
    """Both judges with the prompts' text embeddings at hand."""

    def __init__(
        self,
        probe: Probe,
        embed: Embed | None,
        prompts: Sequence[EvaluationPrompt] = EVALUATION_PROMPTS,
    ) -> None:
        self._probe = probe
        self._embed = embed
        self._genres = tuple(prompt.genre for prompt in prompts)
        self._texts: np.ndarray | None = None
        if embed is not None:
            self._texts = _unit(np.stack([np.asarray(embed(prompt.text)) for prompt in prompts]))

    def judge(self, sound: Sound) -> Judgement:
        """Asks both judges about one sound."""
        probabilities = self._probe.probabilities(descriptor.describe_all(sound.samples))
        order = np.argsort(-probabilities, kind="stable")
        return Judgement(
            genre=sound.genre,
            seed=sound.seed,
            probe_ranking=tuple(self._probe.genres[index] for index in order),
            probe_probability=float(probabilities[self._probe.genres.index(sound.genre)]),
            style_ranking=self._rank_by_style(sound.samples),
        )

    def _rank_by_style(self, samples: Float[np.ndarray, "samples 2"]) -> tuple[str, ...]:
        """Genres of the prompts by cosine between the sound's and the text's embedding."""
        if self._embed is None or self._texts is None:
            return ()
        embedding = _unit(np.asarray(self._embed((samples, SAMPLE_RATE_HZ))))
        order = np.argsort(-(self._texts @ embedding), kind="stable")
        return tuple(self._genres[index] for index in order)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1 along the last axis."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def _wrong_genre(genre: str, genres: tuple[str, ...]) -> str:
    return genres[(genres.index(genre) + WRONG_PROMPT_SHIFT) % len(genres)]


def summarise(judgements: Sequence[Judgement], genres: tuple[str, ...]) -> dict[str, object]:
    """Shares of sounds named rightly by both judges, and against a wrong prompt."""
    probe_first = [judged.probe_ranking[0] for judged in judgements]
    summary: dict[str, object] = {
        "sounds": len(judgements),
        "probe_top1": share_of(
            [first == judged.genre for first, judged in zip(probe_first, judgements, strict=True)]
        ).to_json(),
        "probe_top2": share_of([judged.genre in judged.probe_ranking[:2] for judged in judgements]).to_json(),
        "probe_wrong_prompt": share_of(
            [first == _wrong_genre(judged.genre, genres) for first, judged in zip(probe_first, judgements, strict=True)]
        ).to_json(),
    }
    ranked = [judged for judged in judgements if judged.style_ranking]
    if ranked:
        summary["style_rank1"] = share_of([judged.style_ranking[0] == judged.genre for judged in ranked]).to_json()
        summary["style_mean_rank"] = round(
            float(np.mean([judged.style_ranking.index(judged.genre) + 1 for judged in ranked])), 2
        )
        summary["style_wrong_prompt"] = share_of(
            [judged.style_ranking[0] == _wrong_genre(judged.genre, genres) for judged in ranked]
        ).to_json()
    return summary


def per_prompt(judgements: Sequence[Judgement], prompts: Sequence[EvaluationPrompt]) -> list[dict[str, object]]:
    """One row a prompt: how many of its takes each judge names rightly, and what else it named."""
    rows = []
    for prompt in prompts:
        own = [judged for judged in judgements if judged.genre == prompt.genre]
        rows.append(
            {
                "prompt": prompt.text,
                "genre": prompt.genre,
                "takes": len(own),
                "probe_right": sum(judged.probe_ranking[0] == prompt.genre for judged in own),
                "style_right": sum(judged.style_ranking[:1] == (prompt.genre,) for judged in own),
                "probe_named": [judged.probe_ranking[0] for judged in own],
                "style_named": [judged.style_ranking[0] for judged in own if judged.style_ranking],
                "probe_probability": round(float(np.mean([judged.probe_probability for judged in own] or [0.0])), 3),
            }
        )
    return rows


def confusions(judgements: Sequence[Judgement]) -> list[dict[str, object]]:
    """What was taken for what by the probe, most frequent first."""
    pairs = collections.Counter(
        (judged.genre, judged.probe_ranking[0]) for judged in judgements if judged.genre != judged.probe_ranking[0]
    )
    return [{"asked": asked, "named": named, "count": count} for (asked, named), count in pairs.most_common()]


def evaluate_steering(
    judges: Judges,
    sets: dict[str, Sequence[Sound]],
    *,
    prompts: Sequence[EvaluationPrompt] = EVALUATION_PROMPTS,
) -> dict[str, object]:
    """Judges several sets of sounds alike.

    Args:
      sets: by name; "takes" is the set that counts, the others ("true_renders",
        "round_trip", "style_masked") are its ceilings and floors.
    Returns:
      JSON-ready report: a summary for every set, and for the takes the table by
      prompt and the list of confusions.
    """
    genres = tuple(prompt.genre for prompt in prompts)
    judged = {name: [judges.judge(sound) for sound in sounds] for name, sounds in sets.items()}
    report: dict[str, object] = {
        name: summarise(judgements, genres) for name, judgements in judged.items() if judgements
    }
    report["chance"] = round(1.0 / len(genres), 3)
    if judged.get("takes"):
        report["per_prompt"] = per_prompt(judged["takes"], prompts)
        report["confusions"] = confusions(judged["takes"])
    return report
