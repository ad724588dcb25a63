"""Do prompts steer? Two judges name every take; ceilings and floors stand beside them.

Judge 1 is the probe (never saw the style tower), judge 2 the style tower itself: it ranks the prompts by the cosine to
the take's audio embedding. A third figure asks for less: is the genre, or an instrument that the prompt names, heard?
Beside the takes stand true renders of the same genres, their codec round trip, takes without a style, noise, and the
same takes judged against a wrong prompt.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import features, pictures
from magenta_rt_py.train.evaluation.features import Heard
from magenta_rt_py.train.evaluation.intervals import mean_of, share_of
from magenta_rt_py.train.evaluation.named_instruments import Detector, named_in, train_detector
from magenta_rt_py.train.evaluation.probe import Probe
from magenta_rt_py.train.evaluation.prompts import EvaluationPrompt
from magenta_rt_py.train.evaluation.section import Section, Table, Verdict
from magenta_rt_py.train.evaluation.tables import estimate_text, sets_in, share_text
from magenta_rt_py.train.evaluation.workbench import Workbench

WRONG_PROMPT_SHIFT = 3
"""Sounds are also judged against the prompt this many places further: must be near chance."""

WANTED_PROBE = 0.55
WANTED_STYLE = 0.70
WANTED_NAMED = 0.60
"""Shares of takes that are wanted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the judges say about one sound."""

    genre: str
    """What it should be."""
    probe_ranking: tuple[str, ...]
    """Genres, the probe's most probable first."""
    probe_probability: float
    """Probability the probe gives to what it should be."""
    style_ranking: tuple[str, ...]
    """Genres of the prompts, the nearest text first; empty without a style model."""
    cosines: Mapping[str, float]
    """To the text of each genre's prompt; empty without a style model."""
    instruments_heard: frozenset[str]
    """Genres whose prompt names an instrument that is heard."""


class Judges:
    """All judges, with the prompts' text embeddings and instruments at hand."""

    def __init__(
        self,
        probe: Probe,
        texts: Float[np.ndarray, "prompts dim"] | None,
        prompts: Sequence[EvaluationPrompt],
        detectors: Mapping[str, Detector] | None = None,
    ) -> None:
        """Keeps them.

        Args:
          probe: of the genres of the prompts.
          texts: directions of the prompts' texts; None without a style model.
          prompts: in the order of `texts`.
          detectors: by genre: of the instruments that its prompt names, where it names any.
        """
        self._probe = probe
        self._texts = texts
        self._detectors = dict(detectors or {})
        self._genres = tuple(prompt.genre for prompt in prompts)

    def judge(self, heard: Heard) -> Judgement:
        """Asks all judges about one sound."""
        probabilities = self._probe.probabilities(heard.descriptors)
        order = np.argsort(-probabilities, kind="stable")
        style = features.style_of(heard)
        cosines: dict[str, float] = {}
        if self._texts is not None and style is not None:
            cosines = dict(zip(self._genres, (float(value) for value in self._texts @ style), strict=True))
        return Judgement(
            genre=heard.genre,
            probe_ranking=tuple(self._probe.genres[index] for index in order),
            probe_probability=float(probabilities[self._probe.genres.index(heard.genre)]),
            style_ranking=tuple(sorted(cosines, key=lambda genre: -cosines[genre])),
            cosines=cosines,
            instruments_heard=frozenset(
                genre for genre, detector in self._detectors.items() if detector.hears(heard.descriptors)
            ),
        )


def wrong_genre(genre: str, genres: Sequence[str]) -> str:
    """The genre of the prompt that a sound is wrongly judged against."""
    return genres[(list(genres).index(genre) + WRONG_PROMPT_SHIFT) % len(genres)]


def summarise(judgements: Sequence[Judgement], genres: tuple[str, ...]) -> dict[str, object]:
    """Shares of sounds named rightly by the judges, and against a wrong prompt."""
    right = [judged.genre for judged in judgements]
    wrong = [wrong_genre(genre, genres) for genre in right]
    summary: dict[str, object] = {
        "sounds": len(judgements),
        "probe_top1": _named_first(judgements, right),
        "probe_top2": share_of([judged.genre in judged.probe_ranking[:2] for judged in judgements]).to_json(),
        "probe_wrong_prompt": _named_first(judgements, wrong),
        "genre_or_instrument": _genre_or_instrument(judgements, right),
        "genre_or_instrument_wrong_prompt": _genre_or_instrument(judgements, wrong),
    }
    ranked = [judged for judged in judgements if judged.style_ranking]
    if ranked:
        ranks = [judged.style_ranking.index(judged.genre) + 1 for judged in ranked]
        matched = [judged.cosines[judged.genre] for judged in ranked]
        shuffled = [float(np.mean([judged.cosines[g] for g in genres if g != judged.genre])) for judged in ranked]
        summary |= {
            "style_rank1": share_of([rank == 1 for rank in ranks]).to_json(),
            "style_mean_rank": round(float(np.mean(ranks)), 2),
            "style_wrong_prompt": share_of(
                [judged.style_ranking[0] == wrong_genre(judged.genre, genres) for judged in ranked]
            ).to_json(),
            "cosine_matched": mean_of(matched).to_json(),
            "cosine_shuffled": mean_of(shuffled).to_json(),
            "text_audio_score": mean_of([own - other for own, other in zip(matched, shuffled)]).to_json(),
        }
    return summary


def _named_first(judgements: Sequence[Judgement], wanted: Sequence[str]) -> dict[str, object]:
    return share_of([judged.probe_ranking[0] == genre for judged, genre in zip(judgements, wanted)]).to_json()


def _genre_or_instrument(judgements: Sequence[Judgement], wanted: Sequence[str]) -> dict[str, object]:
    found = [
        judged.probe_ranking[0] == genre or genre in judged.instruments_heard for judged, genre in zip(judgements, wanted)
    ]
    return share_of(found).to_json()


def per_prompt(judgements: Sequence[Judgement], prompts: Sequence[EvaluationPrompt]) -> list[dict[str, object]]:
    """One row a prompt: how many of its takes each judge names rightly, and what else it named."""
    rows = []
    for prompt in prompts:
        own = [judged for judged in judgements if judged.genre == prompt.genre]
        rows.append(
            {
                "prompt": prompt.text,
                "genre": prompt.genre,
                "instruments": list(named_in(prompt.text)),
                "takes": len(own),
                "probe_right": sum(judged.probe_ranking[0] == prompt.genre for judged in own),
                "style_right": sum(judged.style_ranking[:1] == (prompt.genre,) for judged in own),
                "instrument_heard": sum(prompt.genre in judged.instruments_heard for judged in own),
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
    judges: Judges, sets: Mapping[str, Sequence[Heard]], *, prompts: Sequence[EvaluationPrompt]
) -> dict[str, object]:
    """Judges several sets of sounds alike.

    Args:
      judges: of these prompts.
      sets: by name; "takes" is the set that counts, the others ("true_renders", "round_trip", "style_masked", "noise")
        are its ceilings and floors.
      prompts: all of them.
    Returns:
      JSON-ready report: a summary for every set, and for the takes the table by prompt and the list of confusions.
    """
    genres = tuple(prompt.genre for prompt in prompts)
    judged = {name: [judges.judge(heard) for heard in sounds] for name, sounds in sets.items()}
    report: dict[str, object] = {name: summarise(judgements, genres) for name, judgements in judged.items() if judgements}
    report["chance"] = round(1.0 / len(genres), 3)
    if judged.get("takes"):
        report["per_prompt"] = per_prompt(judged["takes"], prompts)
        report["confusions"] = confusions(judged["takes"])
    return report


def measure(bench: Workbench) -> Section:
    """Steering of all prompts with all seeds, its ceilings and floors."""
    sets = bench.sets()
    bench.say("steering: judging")
    named = {prompt.genre: named_in(prompt.text) for prompt in bench.prompts}
    detectors = {
        genre: detector
        for genre, names in named.items()
        if (detector := train_detector(bench.probe_rows, names)) is not None
    }
    texts = bench.embed_texts([prompt.text for prompt in bench.prompts])
    judges = Judges(bench.probe, texts, bench.prompts, detectors)
    report = evaluate_steering(judges, sets, prompts=bench.prompts)
    return Section(
        name="steering",
        title="Steering",
        report=report,
        tables=tables_of(report),
        verdicts=verdicts_of(report),
        pictures=(
            ("steering", lambda file: _draw(file, report)),
            ("takes", lambda file: pictures.contact_sheet(file, sets["takes"])),
        ),
    )


def verdicts_of(report: dict) -> tuple[Verdict, ...]:
    """The three shares beside what is wanted."""
    takes = report["takes"]
    rows = (
        ("steering: right prompt named by the probe", "probe_top1", WANTED_PROBE),
        ("steering: right prompt ranked first by the style tower", "style_rank1", WANTED_STYLE),
        ("steering: genre or named instrument found", "genre_or_instrument", WANTED_NAMED),
    )
    return tuple(
        Verdict(name=name, measured=share_text(takes[key]), wanted=f">= {wanted:.0%}", is_met=takes[key]["share"] >= wanted)
        for name, key, wanted in rows
        if key in takes
    )


def tables_of(report: dict) -> tuple[Table, ...]:
    """Sets side by side, then the takes by prompt."""
    sets = Table(
        title="Judges",
        note=f"95 % Wilson intervals; chance {report['chance']:.2f}. Wrong: judged against another prompt, the floor.",
        header=(
            *("", "probe first", "style first", "genre or instrument", "text-audio score"),
            *("probe, wrong", "style, wrong", "either, wrong"),
        ),
        rows=tuple(
            (
                title,
                share_text(one["probe_top1"]),
                share_text(one.get("style_rank1")),
                share_text(one["genre_or_instrument"]),
                estimate_text(one.get("text_audio_score")),
                share_text(one["probe_wrong_prompt"]),
                share_text(one.get("style_wrong_prompt")),
                share_text(one["genre_or_instrument_wrong_prompt"]),
            )
            for title, one in sets_in(report).items()
        ),
    )
    prompts = Table(
        title="By prompt",
        header=("prompt", "probe", "style", "instrument", "probe named", "style named"),
        rows=tuple(
            (
                row["prompt"],
                f"{row['probe_right']}/{row['takes']}",
                f"{row['style_right']}/{row['takes']}",
                f"{row['instrument_heard']}/{row['takes']}" if row["instruments"] else "-",
                ", ".join(row["probe_named"]),
                ", ".join(row["style_named"]),
            )
            for row in report.get("per_prompt", [])
        ),
    )
    return (sets, prompts)


def _draw(file: pathlib.Path, report: dict) -> None:
    """Bars of the three shares for every set, with their intervals."""
    keys = {"probe_top1": "probe first", "style_rank1": "style first", "genre_or_instrument": "genre or instrument"}
    bars = {
        title: [(one[key]["share"], *one[key]["wilson_95"]) if key in one else (0.0, 0.0, 0.0) for key in keys]
        for title, one in sets_in(report).items()
    }
    lines = (WANTED_PROBE, WANTED_STYLE, WANTED_NAMED)
    pictures.bars(file, tuple(keys.values()), bars, title="Steering: share of sounds", wanted=lines)
