"""Does the style space make sense? Blends, unseen wordings, audio prompts, and real recordings.

    blends    embed("techno") + embed("flute"): how near is embed("techno flute") among the names of other pairs?
    wordings  a sentence that was never trained: is the genre that it means the nearest name, and the nearest sound?
    audio     a held-out render: is its genre's name the nearest?

Source: Live Music Models, section 4.1 ("embedding arithmetic").
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.train.evaluation import features, pictures, recordings, renders, units
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.intervals import mean_of, share_of
from magenta_rt_py.train.evaluation.section import Section, Table, Verdict
from magenta_rt_py.train.evaluation.tables import estimate_text, share_text
from magenta_rt_py.train.evaluation.transitions import known_styles
from magenta_rt_py.train.evaluation.workbench import Workbench

NEIGHBOURS = 3
"""Names that are printed of each recording."""

BLOCK_SECONDS = 10.0
BLOCKS_A_FILE = 3

WANTED_BLEND_MEDIAN_RANK = 3
"""Of the pair's own name among all pairs' names: near. Chosen here, where nothing else names a number."""


def ranks(
    queries: Float[np.ndarray, "queries dim"], names: Float[np.ndarray, "names dim"], own: Sequence[int]
) -> Int[np.ndarray, " queries"]:
    """Rank, from 1, of each query's own name by cosine; all rows are directions.

    Args:
      queries: what is looked up.
      names: what it may be.
      own: index of the right name of each query.
    """
    cosines = queries @ names.T
    right = cosines[np.arange(len(queries)), np.asarray(own)]
    return 1 + (cosines > right[:, None]).sum(1)


def rank_figures(found: Int[np.ndarray, " queries"], candidates: int) -> dict[str, Any]:
    """Share ranked first, median and mean rank, and what chance would give."""
    return {
        "first": share_of([rank == 1 for rank in found.tolist()]).to_json(),
        "within_three": share_of([rank <= 3 for rank in found.tolist()]).to_json(),
        "median_rank": float(np.median(found)),
        "mean_rank": round(float(np.mean(found)), 2),
        "candidates": candidates,
        "chance": round(1.0 / candidates, 4),
    }


def measure(bench: Workbench, *, folder: pathlib.Path | None = None) -> Section:
    """All figures of the style space.

    Args:
      bench: gives the model and sizes.
      folder: real recordings; None leaves them out.
    """
    from magenta_rt_py.train import studio

    known = known_styles(bench.bundle)
    genres = [genre for genre in studio.GENRES if genre in known]
    names = bench.embed_texts(genres)
    bench.say("style: blends and wordings")
    report: dict[str, Any] = {"genres": len(genres), "blends": _blends(bench, known)}
    sounds = _render_styles(bench, genres)
    report |= {"wordings": _wordings(bench, genres, names, sounds), "audio": _audio(genres, names, sounds)}
    if folder:
        report["recordings"] = _recordings(bench, recordings.audio_files(folder), genres, names)
    return Section(
        name="style",
        title="Style",
        report=report,
        tables=tables_of(report),
        verdicts=verdicts_of(report),
        pictures=(("style", lambda file: _draw(file, report)),),
    )


def _blends(bench: Workbench, known: frozenset[str]) -> dict[str, Any]:
    """Sums of a genre and an instrument among the names of all held-out pairs, and shuffled."""
    from magenta_rt_py.train.studio.held_out import HELD_OUT_PAIRS

    pairs = sorted(pair for pair in HELD_OUT_PAIRS if set(pair) <= known)
    together = bench.embed_texts([f"{genre} {instrument}" for genre, instrument in pairs])
    other = bench.embed_texts([f"{genre} with {instrument}" for genre, instrument in pairs])
    genres = bench.embed_texts([genre for genre, _ in pairs])
    instruments = bench.embed_texts([instrument for _, instrument in pairs])
    sums = features.direction(genres + instruments)
    own = list(range(len(pairs)))
    found = ranks(sums, together, own)
    # Distractors share the genre or the instrument with nobody else's pair, so these are added: half of the name alone.
    crowd = np.concatenate([together, genres, instruments])
    return {
        "pairs": len(pairs),
        "sum": rank_figures(found, len(pairs)),
        "sum_among_halves": rank_figures(ranks(sums, crowd, own), len(crowd)),
        "other_wording": rank_figures(ranks(other, together, own), len(pairs)),
        "shuffled": rank_figures(ranks(np.roll(sums, 1, axis=0), together, own), len(pairs)),
        "cosine": mean_of((sums * together).sum(1).tolist()).to_json(),
        "cosine_shuffled": mean_of((np.roll(sums, 1, axis=0) * together).sum(1).tolist()).to_json(),
        "per_pair": [{"pair": list(pair), "rank": int(rank)} for pair, rank in zip(pairs, found, strict=True)],
    }


def _render_styles(bench: Workbench, genres: Sequence[str]) -> Float[np.ndarray, "genres pieces dim"]:
    """Directions of held-out renders of every genre."""
    found = []
    for number, genre in enumerate(genres):
        # Beyond the codec's seeds, so that no number depends on another section's size.
        first = renders.PROBE_TEST_SEED + (700 + number) * renders.SEEDS_PER_GENRE
        pieces = bench.sizes.style_pieces

        def make(genre: str = genre, first: int = first, pieces: int = pieces) -> units.Record:
            sounds = renders.render_sounds(
                [genre], first_seed=first, pieces_per_genre=pieces, seconds=BLOCK_SECONDS, workers=1
            )
            return {"style": np.stack([bench.model.embed((sound.samples, SAMPLE_RATE_HZ)) for sound in sounds])}

        settings = {"genre": genre, "number": number, "pieces": pieces, "studio": units.studio_sources()}
        found.append(features.direction(bench.units.get("style", settings, make)["style"].astype(np.float64)))
        bench.say(f"style: renders {number + 1}/{len(genres)} {genre}")
    return np.stack(found)


def _wordings(
    bench: Workbench,
    genres: Sequence[str],
    names: Float[np.ndarray, "genres dim"],
    sounds: Float[np.ndarray, "genres pieces dim"],
) -> dict[str, Any]:
    """Sentences that were never trained against genre names and genre sounds."""
    from magenta_rt_py.train.studio.held_out import EVALUATION_TEXTS, MORE_TEXTS

    texts = [(text, genre) for text, genre in (*EVALUATION_TEXTS, *MORE_TEXTS) if genre in genres]
    embedded = bench.embed_texts([text for text, _ in texts])
    own = [genres.index(genre) for _, genre in texts]
    by_name = ranks(embedded, names, own)
    by_sound = ranks(embedded, features.direction(sounds.mean(1)), own)
    shuffled = ranks(embedded, names, np.roll(own, 1).tolist())
    nearest = (embedded @ names.T).argmax(1)
    return {
        "texts": len(texts),
        "nearest_name": rank_figures(by_name, len(genres)),
        "nearest_sound": rank_figures(by_sound, len(genres)),
        "shuffled": rank_figures(shuffled, len(genres)),
        "per_text": [
            {"text": text, "genre": genre, "nearest": genres[near], "rank": int(rank), "rank_by_sound": int(other)}
            for (text, genre), near, rank, other in zip(texts, nearest, by_name, by_sound, strict=True)
        ],
    }


def _audio(
    genres: Sequence[str], names: Float[np.ndarray, "genres dim"], sounds: Float[np.ndarray, "genres pieces dim"]
) -> dict[str, Any]:
    """Held-out renders as audio prompts against genre names."""
    pieces = sounds.shape[1]
    own = np.repeat(np.arange(len(genres)), pieces)
    flat = sounds.reshape(-1, sounds.shape[-1])
    return {
        "renders": len(flat),
        "nearest_name": rank_figures(ranks(flat, names, own.tolist()), len(genres)),
        "shuffled": rank_figures(ranks(flat, names, np.roll(own, pieces).tolist()), len(genres)),
    }


def _recordings(
    bench: Workbench, files: Sequence[pathlib.Path], genres: Sequence[str], names: Float[np.ndarray, "genres dim"]
) -> list[dict[str, Any]]:
    """Nearest genre names of each recording: for a person to judge."""
    from magenta_rt_py.errors import AudioFormatError

    rows = []
    for number, file in enumerate(files):
        bench.say(f"style: recording {number + 1}/{len(files)} {file.name}")
        try:
            blocks = list(recordings.blocks(file, seconds=BLOCK_SECONDS, most=BLOCKS_A_FILE))
        except AudioFormatError:
            continue
        if blocks:
            embedded = [bench.model.embed((sound.samples, SAMPLE_RATE_HZ)) for sound in blocks]
            cosines = names @ features.direction(np.mean(features.direction(np.stack(embedded)), axis=0))
            order = np.argsort(-cosines)[:NEIGHBOURS]
            rows.append({"file": file.name, "nearest": [[genres[at], round(float(cosines[at]), 2)] for at in order]})
    return rows


def verdicts_of(report: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Blends beside what is wanted; nothing is wanted of the rest."""
    blends = report["blends"]["sum"]
    return (
        Verdict(
            name=f"style: median rank of the pair's name among {blends['candidates']}, for the sum of its halves",
            measured=f"{blends['median_rank']:g} (first: {share_text(blends['first'])})",
            wanted=f"<= {WANTED_BLEND_MEDIAN_RANK}",
            is_met=blends["median_rank"] <= WANTED_BLEND_MEDIAN_RANK,
        ),
    )


def tables_of(report: Mapping[str, Any]) -> tuple[Table, ...]:
    """Ranks with ceilings and floors, texts, recordings."""
    blends, words, audio = report["blends"], report["wordings"], report["audio"]
    rows = (
        ("genre + instrument, to the pair's name", blends["sum"]),
        ("  with the halves' own names beside", blends["sum_among_halves"]),
        ("  the pair in other words (ceiling)", blends["other_wording"]),
        ("  another pair's sum (floor)", blends["shuffled"]),
        ("unseen sentence, to the genre's name", words["nearest_name"]),
        ("unseen sentence, to the genre's renders", words["nearest_sound"]),
        ("  another sentence's genre (floor)", words["shuffled"]),
        ("held-out render, to the genre's name", audio["nearest_name"]),
        ("  another genre's render (floor)", audio["shuffled"]),
    )
    found = Table(
        title=f"What is nearest ({report['genres']} genres, {blends['pairs']} held-out pairs, {words['texts']} sentences)",
        note=f"Cosine of a pair's sum and name {estimate_text(blends['cosine'])}, of another's "
        f"{estimate_text(blends['cosine_shuffled'])}.",
        header=("", "first", "within three", "median rank", "of"),
        rows=tuple(
            (
                name,
                share_text(one["first"]),
                share_text(one["within_three"]),
                f"{one['median_rank']:g}",
                str(one["candidates"]),
            )
            for name, one in rows
        ),
    )
    texts = Table(
        title="Sentences that do not find their genre",
        header=("sentence", "means", "nearest", "rank by name", "by sound"),
        rows=tuple(
            (row["text"], row["genre"], row["nearest"], str(row["rank"]), str(row["rank_by_sound"]))
            for row in words["per_text"]
            if row["rank"] > 1
        ),
    )
    tables = [found, texts]
    if "recordings" in report:
        tables.append(
            Table(
                title="Recordings and their nearest genres",
                note="For a person to judge: nobody has labelled them.",
                header=("recording", "nearest"),
                rows=tuple(
                    (row["file"], ", ".join(f"{name} {cosine:.2f}" for name, cosine in row["nearest"]))
                    for row in report["recordings"]
                ),
            )
        )
    return tuple(tables)


def _draw(file: pathlib.Path, report: Mapping[str, Any]) -> None:
    groups = ("blend", "sentence to name", "sentence to sound", "render to name")
    found = (
        (report["blends"]["sum"], report["blends"]["shuffled"]),
        (report["wordings"]["nearest_name"], report["wordings"]["shuffled"]),
        (report["wordings"]["nearest_sound"], report["wordings"]["shuffled"]),
        (report["audio"]["nearest_name"], report["audio"]["shuffled"]),
    )
    bars = {
        title: [(one[part]["first"]["share"], *one[part]["first"]["wilson_95"]) for one in found]
        for part, title in enumerate(("ranked first", "shuffled"))
    }
    pictures.bars(file, groups, bars, title="Style: share ranked first")
