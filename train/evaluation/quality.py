"""Does it sound like the music it learned from? Frechet distances, divergence of labels, and hooks for the paper's own.

Two spaces of our own: the style model's embeddings, which know music but were trained with the model, and random
features (`random_features`), which know nothing and were trained by nobody. The true renders are cut into two halves with
as many sounds a genre as there are takes: one is what everything is compared with, the other shows how near true music
comes. Live Music Models, table 1, has the same figures with OpenL3, PaSST and CLAP: see `outside`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import features, pictures
from magenta_rt_py.train.evaluation.features import Heard
from magenta_rt_py.train.evaluation.frechet import divergence, grouped_distance
from magenta_rt_py.train.evaluation.intervals import mean_of
from magenta_rt_py.train.evaluation.outside import Hook, TextHook
from magenta_rt_py.train.evaluation.probe import Probe
from magenta_rt_py.train.evaluation.section import Section, Table
from magenta_rt_py.train.evaluation.steering import wrong_genre
from magenta_rt_py.train.evaluation.tables import SETS, estimate_text, title_of
from magenta_rt_py.train.evaluation.workbench import Workbench

Rows = Callable[[Heard], np.ndarray | None]
"""A sound's vectors in some space, one row a window."""


def halves(sounds: Sequence[Heard]) -> tuple[list[Heard], list[Heard]]:
    """Every genre's sounds in turn to one half and the other."""
    turns: dict[str, int] = {}
    parts: tuple[list[Heard], list[Heard]] = ([], [])
    for heard in sounds:
        turn = turns.get(heard.genre, 0)
        parts[turn % 2].append(heard)
        turns[heard.genre] = turn + 1
    return parts


def _stacked(sounds: Sequence[Heard], rows: Rows) -> tuple[Float[np.ndarray, "rows dim"], list[str]]:
    """All rows of some sounds, and the genre of each."""
    found = [(np.asarray(rows(heard), np.float64), heard.genre) for heard in sounds]
    return np.concatenate([each for each, _ in found]), [genre for each, genre in found for _ in each]


def distances(reference: Sequence[Heard], sets: Mapping[str, Sequence[Heard]], rows: Rows) -> dict[str, dict[str, object]]:
    """Frechet distance of every set from the reference in one space; jackknife intervals over the genres."""
    base, base_genres = _stacked(reference, rows)
    found: dict[str, dict[str, object]] = {}
    for name, sounds in sets.items():
        if sounds:
            own, genres = _stacked(sounds, rows)
            if len(own) < 2:
                continue
            found[name] = {**grouped_distance(own, genres, base, base_genres).to_json(), "rows": len(own)}
    return found


Labels = Callable[[Heard], np.ndarray]
"""A sound's label probabilities."""


def divergences(
    reference: Sequence[Heard], sets: Mapping[str, Sequence[Heard]], labels: Labels, genres: tuple[str, ...]
) -> dict[str, dict[str, object]]:
    """Mean over the genres of the divergence of a set's labels from the reference's.

    "wrong_prompt" compares each genre's takes with another genre's reference: the floor.
    """
    wanted = {genre: _mean_labels(reference, genre, labels) for genre in genres}
    found: dict[str, dict[str, object]] = {}
    for name, sounds in sets.items():
        own = {genre: _mean_labels(sounds, genre, labels) for genre in genres if any(s.genre == genre for s in sounds)}
        if not own:
            continue
        found[name] = mean_of([divergence(wanted[genre], chances) for genre, chances in own.items()]).to_json()
        if name == "takes":
            wrong = [divergence(wanted[wrong_genre(genre, genres)], chances) for genre, chances in own.items()]
            found["wrong_prompt"] = mean_of(wrong).to_json()
    return found


def _mean_labels(sounds: Sequence[Heard], genre: str, labels: Labels) -> Float[np.ndarray, " labels"]:
    return np.mean([labels(heard) for heard in sounds if heard.genre == genre], axis=0)


def text_scores(
    sets: Mapping[str, Sequence[Heard]], hook: TextHook, texts: Mapping[str, str]
) -> dict[str, dict[str, object]]:
    """Cosine of a hook's audio and text embeddings, matched, and matched less the mean of all others.

    Args:
      sets: by name.
      hook: of kind "text_audio"; its rows are in the sounds.
      texts: prompt of each genre.
    """
    genres = list(texts)
    embedded = features.direction(np.stack([hook.embed_text(text) for text in texts.values()]))
    found: dict[str, dict[str, object]] = {}
    for name, sounds in sets.items():
        pairs = []
        for heard in sounds:
            cosines = embedded @ features.direction(heard.others[hook.name].mean(0))
            own = float(cosines[genres.index(heard.genre)])
            pairs.append((own, own - float((cosines.sum() - own) / max(len(genres) - 1, 1))))
        if pairs:
            found[name] = {
                "matched": mean_of([own for own, _ in pairs]).to_json(),
                "matched_less_shuffled": mean_of([gap for _, gap in pairs]).to_json(),
            }
    return found


def evaluate_quality(
    sets: Mapping[str, Sequence[Heard]],
    *,
    probe: Probe,
    genres: tuple[str, ...],
    texts: Mapping[str, str],
    hooks: Sequence[Hook] = (),
) -> dict[str, Any]:
    """All figures of the sets.

    Args:
      sets: by name; "true_renders" is halved: the first half is the reference, the second stands for it, and "round_trip"
        should hold that second half alone.
      probe: whose labels are compared.
      genres: of the prompts, in order.
      texts: prompt of each genre.
      hooks: other programs' models, already asked about every sound.
    """
    first, second = halves(sets["true_renders"])
    compared = {**sets, "true_renders": second}
    report: dict[str, Any] = {
        "reference_sounds": len(first),
        "frechet_random": distances(first, compared, lambda heard: heard.random),
        "label_divergence": divergences(first, compared, lambda heard: probe.probabilities(heard.descriptors), genres),
    }
    if all(heard.style is not None for heard in first):
        report["frechet_style"] = distances(first, compared, lambda heard: heard.style)
    for hook in hooks:
        name = hook.name
        if hook.kind == "labels":
            report[f"label_divergence_{name}"] = divergences(
                first, compared, lambda heard, name=name: heard.others[name].mean(0), genres
            )
        else:
            report[f"frechet_{name}"] = distances(first, compared, lambda heard, name=name: heard.others[name])
        if isinstance(hook, TextHook) and hook.kind == "text_audio":
            report[f"text_audio_{name}"] = text_scores(compared, hook, texts)
    return report


def measure(bench: Workbench) -> Section:
    """Distances and divergences of the takes, their ceilings and floors."""
    sets = bench.sets()
    bench.say("quality: distances")
    texts = {prompt.genre: prompt.text for prompt in bench.prompts}
    report = evaluate_quality(sets, probe=bench.probe, genres=bench.genres, texts=texts, hooks=bench.hooks)
    return Section(
        name="quality",
        title="Quality",
        report=report,
        tables=(table_of(report),),
        pictures=(("quality", lambda file: _draw(file, report)),),
    )


_TITLES = {
    "frechet_style": "Frechet, style space",
    "frechet_random": "Frechet, random features",
    "label_divergence": "label divergence (nats)",
}


def _figures(report: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """The report's columns: those that hold an estimate for each set."""
    return {name: one for name, one in report.items() if name.startswith(("frechet_", "label_divergence"))}


def table_of(report: Mapping[str, Any]) -> Table:
    """Sets in rows, figures in columns."""
    columns = _figures(report)
    texts = {name: one for name, one in report.items() if name.startswith("text_audio_")}
    names = [name for name in (*SETS, "wrong_prompt") if any(name in one for one in columns.values())]
    rows = []
    for name in names:
        cells = [estimate_text(one.get(name)) for one in columns.values()]
        cells += [estimate_text(one.get(name, {}).get("matched")) for one in texts.values()]
        rows.append((title_of(name), *cells))
    return Table(
        title="Distance from true renders",
        note=f"From one half of the true renders ({report['reference_sounds']} sounds); the row of true renders is the "
        "other half, the least that can be hoped for. Lower is nearer. A distance grows as a set gets smaller: style masked "
        "and noise are smaller sets.",
        header=("", *(_TITLES.get(name, title_of(name)) for name in columns), *texts),
        rows=tuple(rows),
    )


def _draw(file: pathlib.Path, report: Mapping[str, Any]) -> None:
    columns = _figures(report)
    bars: dict[str, list[tuple[float, float, float]]] = {}
    for name in ("takes", "true_renders", "round_trip", "style_masked"):
        if all(name in one for one in columns.values()):
            # Relative to the takes, so that figures of different units fit one axis.
            scales = [max(float(one["takes"]["value"]), 1e-9) for one in columns.values()]
            bars[title_of(name)] = [
                tuple(float(value) / scale for value in (one[name]["value"], *one[name]["interval_95"]))
                for one, scale in zip(columns.values(), scales)
            ]
    titles = [_TITLES.get(name, name) for name in columns]
    pictures.bars(file, titles, bars, title="Distance from true renders, takes = 1")
