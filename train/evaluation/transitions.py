"""Does the music go from one prompt to another, and when? The paper's figure 2, both panels.

    style   A | .8A+.2B | .6A+.4B | .4A+.6B | .2A+.8B | B      six steps of 10 s
    heard   10 s windows every 2 s -> style tower -> cosine to A, to B, and to the blend that was asked for meanwhile

Source: Live Music Models, section 3.2.2, figure 2 and appendix G. What differs: the words are brought to the studio's
styles (`transition_words`), and beside the cosine to the moving target stands its fixed-prompt value: the cosine of takes
whose style never changes, at either end and halfway.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import features, pictures, units
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.descriptor import WINDOW_SECONDS, windows
from magenta_rt_py.train.evaluation.features import Embed
from magenta_rt_py.train.evaluation.intervals import mean_of, ratio_of, share_of
from magenta_rt_py.train.evaluation.pictures import Curve
from magenta_rt_py.train.evaluation.section import Section, Table, Verdict
from magenta_rt_py.train.evaluation.tables import estimate_text, share_text
from magenta_rt_py.train.evaluation.takes import CHUNK_SECONDS
from magenta_rt_py.train.evaluation.transition_words import GRADES, Style, styled_pairs
from magenta_rt_py.train.evaluation.workbench import Workbench

STEPS = 6
"""Of equal length; the first is all start, the last all end."""

HOP_SECONDS = 2.0
"""From one window to the next; a chunk, in which the style does not change."""

PICK_SEED = 0
"""Of which pairs are taken where not all are."""

TAKE_SEED = 100
"""Pair number p plays with this seed plus p."""

WANTED_RATIO = 0.8
WANTED_CROSSING_SECONDS = 15.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curves:
    """What was heard of one transition: a value each `HOP_SECONDS`, at the middles of windows."""

    seconds: Float[np.ndarray, " windows"]
    """Middles of the windows."""
    weight: Float[np.ndarray, " windows"]
    """Share of the end that was asked for, mean over the window, 0..1."""
    to_start: Float[np.ndarray, " windows"]
    """Cosine to the start's text."""
    to_end: Float[np.ndarray, " windows"]
    to_target: Float[np.ndarray, " windows"]
    """Cosine to the blend of both texts that was asked for meanwhile."""
    style: Float[np.ndarray, "windows dim"]
    """Directions of the windows' embeddings."""


def weight_at(seconds: float, total_seconds: float) -> float:
    """Share of the end that is asked for at a time: stepwise, 0 in the first step, 1 in the last."""
    step = min(STEPS - 1, int(seconds / total_seconds * STEPS))
    return step / (STEPS - 1)


def window_embeddings(
    samples: Float[np.ndarray, "samples 2"], embed: Embed
) -> tuple[Float[np.ndarray, " windows"], Float[np.ndarray, "windows dim"]]:
    """Middles of the windows in seconds, and the directions of their embeddings."""
    cuts = windows(samples, hop_seconds=HOP_SECONDS)
    vectors = [np.asarray(embed((cut, SAMPLE_RATE_HZ)), np.float64) for cut in cuts]
    return HOP_SECONDS * np.arange(len(cuts)) + WINDOW_SECONDS / 2, features.direction(np.stack(vectors))


def curves_of(
    seconds: Float[np.ndarray, " windows"],
    style: Float[np.ndarray, "windows dim"],
    start: Float[np.ndarray, " dim"],
    end: Float[np.ndarray, " dim"],
    *,
    total_seconds: float,
) -> Curves:
    """Cosines of a take's windows to both ends and to the moving target.

    Args:
      seconds: middles of the windows.
      style: directions of their embeddings.
      start: direction of the start's text.
      end: direction of the end's text.
      total_seconds: length of the take.
    """
    fine = np.arange(-WINDOW_SECONDS / 2, WINDOW_SECONDS / 2, 0.5)
    weight = np.array([np.mean([weight_at(max(at + one, 0.0), total_seconds) for one in fine]) for at in seconds])
    target = features.direction((1.0 - weight)[:, None] * start + weight[:, None] * end)
    return Curves(
        seconds=seconds,
        weight=weight,
        to_start=style @ start,
        to_end=style @ end,
        to_target=(style * target).sum(1),
        style=style,
    )


def crossing_seconds(
    seconds: Float[np.ndarray, " windows"],
    to_start: Float[np.ndarray, " windows"],
    to_end: Float[np.ndarray, " windows"],
) -> float | None:
    """When the curve to the end rises above that to the start for good; None if it is not above at the last window."""
    gap = to_end - to_start
    below = np.flatnonzero(gap <= 0.0)
    if not len(below):
        return float(seconds[0])
    last = int(below[-1])
    if last + 1 == len(gap):
        return None
    share = -gap[last] / (gap[last + 1] - gap[last])
    return float(seconds[last] + share * (seconds[last + 1] - seconds[last]))


def play(
    model: Any, start: str, end: str, *, seed: int, seconds: float, fixed_weight: float | None = None
) -> Float[np.ndarray, "samples 2"]:
    """One take whose style goes from one prompt to the other in `STEPS` steps; no tempo is asked for.

    Args:
      model: as `takes.ModelLike`, with `embed` and `style_from`.
      start: text of the first prompt.
      end: text of the last.
      seed: of the take.
      seconds: its length.
      fixed_weight: share of the end all the time, instead of steps.
    """
    ends = [model.embed(start), model.embed(end)]
    stream, chunks = None, []
    for number in range(round(seconds / CHUNK_SECONDS)):
        weight = weight_at(number * CHUNK_SECONDS, seconds) if fixed_weight is None else fixed_weight
        style = model.style_from([(ends[0], 1.0 - weight), (ends[1], weight)])
        if stream is None:
            stream = model.stream(style, seed=seed)
        stream.set_style(style)
        chunks.append(np.asarray(stream.next_chunk(), np.float32))
    return np.concatenate(chunks)


def known_styles(bundle: Any) -> frozenset[str]:
    """Genres that a bundle says it was trained on (all of the starter's, if it says nothing), and all instruments."""
    from magenta_rt_py.train import studio
    from magenta_rt_py.train.studio.instruments import INSTRUMENTS

    trained = [name for name in bundle.record.get("genres", ()) if name in studio.GENRES]
    return frozenset(trained or studio.STARTER_GENRES) | frozenset(INSTRUMENTS)


def chosen_pairs(pairs: Sequence[tuple[Style, Style]], count: int) -> list[tuple[int, Style, Style]]:
    """`count` of the pairs, always the same ones, in order, each with its number.

    Raises:
      ValueError: if there are not so many.
    """
    if not 1 <= count <= len(pairs):
        raise ValueError(f"got {count} pairs, expected 1..{len(pairs)}; give --pairs in that range")
    # The first of one shuffled order: 32 pairs are among the 64, so that more pairs never repeat work.
    order = np.random.default_rng(PICK_SEED).permutation(len(pairs))[:count]
    return [(int(number), *pairs[number]) for number in sorted(order)]


def measure(bench: Workbench) -> Section:
    """Transitions of the chosen pairs, and the fixed takes of their ends."""
    pairs = chosen_pairs(styled_pairs(known_styles(bench.bundle)), bench.sizes.transition_pairs)
    names = sorted({style.name for _, *ends in pairs for style in ends})
    texts = dict(zip(names, bench.embed_texts(names), strict=True))
    fixed: dict[str, float] = {}
    for number, name in enumerate(names):
        fixed[name] = float(np.mean(_fixed_take(bench, name, name) @ texts[name]))
        bench.say(f"transitions: {name} alone, {number + 1}/{len(names)}")
    curves, halfway = [], []
    for turn, (number, start, end) in enumerate(pairs):
        curves.append(_transition(bench, number, texts, start.name, end.name))
        both = features.direction(texts[start.name] + texts[end.name])
        halfway.append(float(np.mean(_fixed_take(bench, start.name, end.name) @ both)))
        bench.say(f"transitions: {turn + 1}/{len(pairs)} {start.word} to {end.word}")
    report = evaluate(pairs, curves, fixed, halfway, texts, total_seconds=bench.sizes.transition_seconds)
    return Section(
        name="transitions",
        title="Transitions",
        report=report,
        tables=tables_of(report),
        verdicts=verdicts_of(report),
        pictures=(("transitions", lambda file: _draw(file, report)),),
    )


def _fixed_take(bench: Workbench, start: str, end: str) -> Float[np.ndarray, "windows dim"]:
    """Window embeddings of a take of one style that never changes: half of each of two names, or one name alone."""

    def make() -> units.Record:
        samples = play(bench.model, start, end, seed=TAKE_SEED, seconds=bench.sizes.fixed_seconds, fixed_weight=0.5)
        return {"style": window_embeddings(samples, bench.model.embed)[1]}

    settings = {"start": start, "end": end, "seconds": bench.sizes.fixed_seconds, "own": _own_source()}
    return bench.units.get("fixed", settings, make)["style"]


def _transition(bench: Workbench, number: int, texts: Mapping[str, np.ndarray], start: str, end: str) -> Curves:
    total = bench.sizes.transition_seconds

    def make() -> units.Record:
        samples = play(bench.model, start, end, seed=TAKE_SEED + number, seconds=total)
        seconds, style = window_embeddings(samples, bench.model.embed)
        return {"seconds": seconds, "style": style}

    settings = {"number": number, "start": start, "end": end, "seconds": total, "own": _own_source()}
    record = bench.units.get("transition", settings, make)
    return curves_of(record["seconds"], record["style"], texts[start], texts[end], total_seconds=total)


def _own_source() -> str:
    return units.source_hash([pathlib.Path(__file__)])


def evaluate(
    pairs: Sequence[tuple[int, Style, Style]],
    curves: Sequence[Curves],
    fixed: Mapping[str, float],
    halfway: Sequence[float],
    texts: Mapping[str, np.ndarray],
    *,
    total_seconds: float,
) -> dict[str, Any]:
    """All figures of some transitions.

    Args:
      pairs: number, start and end of each.
      curves: what was heard of each.
      fixed: cosine of fixed takes to their own text, by style.
      halfway: cosine of takes of half of both styles to that blend, a pair.
      texts: directions of the texts, by style.
      total_seconds: length of a transition.
    Returns:
      JSON-ready report. `target_ratio` is the mean cosine to the moving target over the mean fixed-prompt value;
      `shuffled_target` the same cosine to other pairs' targets: the floor.
    """
    targets = [float(one.to_target.mean()) for one in curves]
    # What takes of the same blend reach that never change: at both ends and halfway, straight lines between.
    moving = [
        np.interp(one.weight, (0.0, 0.5, 1.0), (fixed[start.name], middle_value, fixed[end.name]))
        for (_, start, end), one, middle_value in zip(pairs, curves, halfway, strict=True)
    ]
    values = [float(one.mean()) for one in moving]
    floor = [_other_target(number, pairs, curves, texts) for number in range(len(pairs))] if len(pairs) > 1 else []
    mean = {name: np.mean([getattr(one, name) for one in curves], axis=0) for name in ("to_start", "to_end", "to_target")}
    spread = {name: np.std([getattr(one, name) for one in curves], axis=0) for name in mean}
    seconds, middle = curves[0].seconds, total_seconds / 2
    crossing = crossing_seconds(seconds, mean["to_start"], mean["to_end"])
    own = [crossing_seconds(one.seconds, one.to_start, one.to_end) for one in curves]
    grades = collections.Counter(style.grade for _, *ends in pairs for style in ends)
    near = [one is not None and abs(one - middle) <= WANTED_CROSSING_SECONDS for one in own]
    return {
        "pairs": len(pairs),
        "seconds": total_seconds,
        "words": {grade: grades[grade] for grade in GRADES},
        "cosine_to_target": mean_of(targets).to_json(),
        "fixed_prompt_value": mean_of(values).to_json(),
        "shuffled_target": mean_of(floor).to_json() if floor else None,
        "target_ratio": ratio_of(targets, values).to_json() if float(np.mean(values)) > 0.0 else None,
        "crossing_seconds": crossing,
        "crossing_from_midpoint_seconds": None if crossing is None else crossing - middle,
        "pairs_crossing_near_midpoint": share_of(near).to_json(),
        "curves": {
            "seconds": seconds,
            **mean,
            "fixed": np.mean(moving, axis=0),
            **{f"{name}_deviation": value for name, value in spread.items()},
        },
        "per_pair": [
            {
                "words": [start.word, end.word],
                "styles": [start.name, end.name],
                "grades": [start.grade, end.grade],
                "cosine_to_target": round(target, 3),
                "fixed_prompt_value": round(value, 3),
                "crossing_seconds": at,
            }
            for (_, start, end), target, value, at in zip(pairs, targets, values, own, strict=True)
        ],
    }


def _other_target(
    number: int, pairs: Sequence[tuple[int, Style, Style]], curves: Sequence[Curves], texts: Mapping[str, np.ndarray]
) -> float:
    """Cosine of a take to the moving target of the next pair that shares no style with it."""
    _, start, end = pairs[number]
    others = [pairs[(number + step) % len(pairs)] for step in range(1, len(pairs))]
    apart = [one for one in others if not {one[1].name, one[2].name} & {start.name, end.name}] or others
    heard = curves[number]
    first, last = texts[apart[0][1].name], texts[apart[0][2].name]
    target = features.direction((1.0 - heard.weight)[:, None] * first + heard.weight[:, None] * last)
    return float((heard.style * target).sum(1).mean())


def verdicts_of(report: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """The ratio and the crossing beside what is wanted."""
    ratio, crossing = report["target_ratio"], report["crossing_from_midpoint_seconds"]
    return (
        Verdict(
            name="transitions: cosine to the moving target over its fixed-prompt value",
            measured=estimate_text(ratio),
            wanted=f">= {WANTED_RATIO}",
            is_met=ratio is not None and ratio["value"] >= WANTED_RATIO,
        ),
        Verdict(
            name="transitions: the mean curves cross, from the midpoint",
            measured="never" if crossing is None else f"{crossing:+.1f} s",
            wanted=f"within {WANTED_CROSSING_SECONDS:.0f} s",
            is_met=crossing is not None and abs(crossing) <= WANTED_CROSSING_SECONDS,
        ),
    )


def tables_of(report: Mapping[str, Any]) -> tuple[Table, ...]:
    """The figures, and each pair."""
    words = ", ".join(f"{count} {grade}" for grade, count in report["words"].items())
    figures = Table(
        title=f"{report['pairs']} transitions of {report['seconds']:.0f} s",
        note=f"Words of the paper brought to the studio's: {words}.",
        header=("", "mean and 95 % interval"),
        rows=(
            ("cosine to the moving target", estimate_text(report["cosine_to_target"])),
            ("its fixed-prompt value (ceiling)", estimate_text(report["fixed_prompt_value"])),
            ("cosine to another pair's target (floor)", estimate_text(report["shuffled_target"])),
            ("target over fixed-prompt value", estimate_text(report["target_ratio"])),
            ("pairs whose own curves cross within 15 s", share_text(report["pairs_crossing_near_midpoint"])),
        ),
    )
    pairs = Table(
        title="By pair",
        header=("from", "to", "styles", "words", "to target", "fixed", "crossing, s"),
        rows=tuple(
            (
                *row["words"],
                " > ".join(row["styles"]),
                ", ".join(row["grades"]),
                f"{row['cosine_to_target']:.2f}",
                f"{row['fixed_prompt_value']:.2f}",
                "never" if row["crossing_seconds"] is None else f"{row['crossing_seconds']:.0f}",
            )
            for row in report["per_pair"]
        ),
    )
    return (figures, pairs)


def _draw(file: pathlib.Path, report: Mapping[str, Any]) -> None:
    """The paper's figure 2: to both ends at the left, to the moving target at the right."""
    found = {name: np.asarray(values) for name, values in report["curves"].items()}
    seconds = found["seconds"]
    ends = tuple(
        Curve(title, seconds, found[name], found[f"{name}_deviation"], colour)
        for name, title, colour in (("to_start", "to the first prompt", "tab:blue"), ("to_end", "to the last", "tab:red"))
    )
    target = (
        Curve("to the blend asked for", seconds, found["to_target"], found["to_target_deviation"], "tab:purple"),
        Curve("takes of a fixed prompt", seconds, found["fixed"], None, "black"),
    )
    drawn = (("to both ends", ends), ("to the moving target", target))
    pictures.panels(file, drawn, across="seconds", up="cosine", line_at=report["seconds"] / 2)
