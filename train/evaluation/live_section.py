"""The section of liveness: ten-minute takes beside true renders, and beside what must fail."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from magenta_rt_py.train.evaluation import pictures, renders, units
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.liveness import BARS, Liveness, LivenessMeter
from magenta_rt_py.train.evaluation.pictures import Curve
from magenta_rt_py.train.evaluation.prompts import EvaluationPrompt
from magenta_rt_py.train.evaluation.section import Section, Table, Verdict
from magenta_rt_py.train.evaluation.takes import CHUNK_SECONDS
from magenta_rt_py.train.evaluation.workbench import Workbench
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, FRAMES_PER_MINUTE

GENRES = ("techno", "lofi hip hop", "ambient", "rock", "solo piano", "jazz")
"""Of the prompts that are left on, in this order; the first three are those of the quick set."""

SEED = 21
TRUE_SECONDS = 180.0
"""Of a true render; longer ones would need gigabytes."""

FLOOR_SECONDS = 60.0
CHUNK_FRAMES = 50

WANTED_CLIPPING_MILLISECONDS = 5.0
WANTED_SILENCE_SECONDS = 1.0
WANTED_LOUDNESS_DB = 6.0
WANTED_DRIFT = 0.03
WANTED_REPEATS = 2

Piece = tuple[np.ndarray, np.ndarray | None]
"""Samples and codes of the same frames."""


def pieces_of_take(model: Any, prompt: EvaluationPrompt, *, seed: int, seconds: float) -> Iterator[Piece]:
    """A take chunk by chunk, with its codes."""
    stream = model.stream(model.mix({prompt.text: 1.0}), seed=seed, bpm=prompt.bpm)
    for _ in range(math.ceil(seconds / CHUNK_SECONDS)):
        samples = np.asarray(stream.next_chunk(), np.float32)
        yield samples, np.asarray(stream.state.context_codes[-CHUNK_FRAMES:])


def pieces_of_sound(samples: np.ndarray, codes: np.ndarray | None) -> Iterator[Piece]:
    """A sound in pieces of a chunk."""
    size = CHUNK_FRAMES * SAMPLE_RATE_HZ // 25
    for number in range(len(samples) // size):
        own = None if codes is None else codes[number * CHUNK_FRAMES : (number + 1) * CHUNK_FRAMES]
        yield samples[number * size : (number + 1) * size], own


def listen(pieces: Iterator[Piece], *, bpm: float | None) -> Liveness:
    """Feeds all pieces to a meter."""
    meter = LivenessMeter(bpm=bpm)
    for samples, codes in pieces:
        meter.feed(samples, codes)
    return meter.result()


def looped(samples: np.ndarray, codes: np.ndarray, *, bpm: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """A sound's first four bars again and again: what must be found to repeat."""
    frames = round(BARS * BEATS_PER_BAR * FRAMES_PER_MINUTE / bpm)
    wanted = round(seconds * 25)
    turns = -(-wanted // frames)
    cut = samples[: frames * SAMPLE_RATE_HZ // 25]
    return np.tile(cut, (turns, 1))[: wanted * SAMPLE_RATE_HZ // 25], np.tile(codes[:frames], (turns, 1))[:wanted]


def measure(bench: Workbench) -> Section:
    """Long takes of a few prompts, beside true renders of their genres."""
    by_genre = {prompt.genre: prompt for prompt in bench.prompts}
    chosen = [by_genre[genre] for genre in GENRES if genre in by_genre][: bench.sizes.live_takes]
    rows: list[dict[str, Any]] = []
    for number, prompt in enumerate(chosen):
        bench.say(f"liveness: {number + 1}/{len(chosen)} {bench.sizes.live_minutes:g} minutes of {prompt.text}")
        rows.append({"prompt": prompt.text, "genre": prompt.genre, "beat_driven": prompt.beat_driven})
        rows[-1]["take"] = _take(bench, prompt)
        rows[-1]["true_render"] = _true(bench, prompt)
    report = {"minutes": bench.sizes.live_minutes, "takes": rows, "floors": _floors(bench, chosen[0])}
    return Section(
        name="liveness",
        title="Liveness",
        report=report,
        tables=tables_of(report),
        verdicts=verdicts_of(report),
        pictures=(("liveness", lambda file: _draw(file, report)),),
    )


def _tempo_of(prompt: EvaluationPrompt) -> float | None:
    return prompt.bpm if prompt.beat_driven else None


def _take(bench: Workbench, prompt: EvaluationPrompt) -> dict[str, Any]:
    seconds = 60.0 * bench.sizes.live_minutes

    def make() -> units.Record:
        pieces = pieces_of_take(bench.model, prompt, seed=SEED, seconds=seconds)
        return listen(pieces, bpm=_tempo_of(prompt)).to_json()

    settings = {"text": prompt.text, "bpm": prompt.bpm, "seed": SEED, "seconds": seconds, "own": _own_sources()}
    return bench.units.get("live", settings, make)


def _true_sound(bench: Workbench, prompt: EvaluationPrompt) -> tuple[np.ndarray, np.ndarray, float]:
    """A long held-out render with its codes and its own tempo."""
    index = bench.genres.index(prompt.genre)
    # The last seed of the genre: no other part uses it.
    first = renders.PROBE_TEST_SEED + (index + 1) * renders.SEEDS_PER_GENRE - 1
    seconds = min(TRUE_SECONDS, 60.0 * bench.sizes.live_minutes)
    (sound,) = renders.render_sounds([prompt.genre], first_seed=first, pieces_per_genre=1, seconds=seconds, workers=1)
    return sound.samples, np.asarray(bench.codec.encode(sound.samples[None]))[0], sound.bpm


def _true(bench: Workbench, prompt: EvaluationPrompt) -> dict[str, Any]:
    def make() -> units.Record:
        samples, codes, bpm = _true_sound(bench, prompt)
        return listen(pieces_of_sound(samples, codes), bpm=bpm if prompt.beat_driven else None).to_json()

    settings = {"genre": prompt.genre, "minutes": bench.sizes.live_minutes, "studio": units.studio_sources()}
    return bench.units.get("live_true", settings | {"own": _own_sources()}, make)


def _floors(bench: Workbench, prompt: EvaluationPrompt) -> dict[str, Any]:
    """What must fail: four bars in a loop, noise beyond full scale, and silence."""
    seconds = min(FLOOR_SECONDS, 60.0 * bench.sizes.live_minutes)

    def make() -> units.Record:
        samples, codes, bpm = _true_sound(bench, prompt)
        loop = looped(samples, codes, bpm=bpm, seconds=seconds)
        (noise,) = renders.noise_sounds([prompt.genre], bpms=[bpm], seconds=seconds)
        loud = np.clip(20.0 * noise.samples, -1.0, 1.0)
        silence = np.zeros_like(loud)
        return {
            "four bars looped": listen(pieces_of_sound(*loop), bpm=bpm).to_json(),
            "noise, clipped": listen(pieces_of_sound(loud, None), bpm=bpm).to_json(),
            "silence": listen(pieces_of_sound(silence, None), bpm=None).to_json(),
        }

    settings = {"genre": prompt.genre, "seconds": seconds, "studio": units.studio_sources(), "own": _own_sources()}
    return bench.units.get("live_floors", settings, make)


def _own_sources() -> str:
    own = pathlib.Path(__file__)
    return units.source_hash([own, own.with_name("liveness.py")])


def verdicts_of(report: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """The worst take of each figure beside what is wanted."""
    takes = [row["take"] for row in report["takes"]]
    drifts = [row["take"]["tempo_drift"] for row in report["takes"] if row["beat_driven"]]
    known = [drift for drift in drifts if drift is not None]
    clipping = max(take["clipping_milliseconds"] for take in takes)
    silence = max(take["silence_seconds"] for take in takes)
    loudness = max(take["loudness_deviation_db"] for take in takes)
    repeats = max(take["repeats"] for take in takes)
    found = [
        ("longest clipping", f"{clipping:.2f} ms", "<= 5 ms", clipping <= WANTED_CLIPPING_MILLISECONDS),
        ("longest silence", f"{silence:.2f} s", "<= 1 s", silence <= WANTED_SILENCE_SECONDS),
        ("loudness from its median", f"{loudness:.1f} dB", "<= 6 dB", loudness <= WANTED_LOUDNESS_DB),
        ("four bars repeated verbatim in a row", f"{repeats} times", "<= 2 times", repeats <= WANTED_REPEATS),
    ]
    if drifts:
        # A take in which no beat is heard does not keep its tempo.
        drift = max(known, default=0.0)
        text = f"{drift:.1%}" if len(known) == len(drifts) else f"no beat heard in {len(drifts) - len(known)} takes"
        found.append(("tempo drift", text, "< 3 %", len(known) == len(drifts) and drift < WANTED_DRIFT))
    return tuple(
        Verdict(name=f"liveness: {name}, worst of {len(takes)} takes", measured=measured, wanted=wanted, is_met=is_met)
        for name, measured, wanted, is_met in found
    )


def tables_of(report: Mapping[str, Any]) -> tuple[Table, ...]:
    """A row for each take, its true render, and each floor."""
    rows = []
    for row in report["takes"]:
        rows.append((row["prompt"], row["take"]))
        rows.append((f"true {row['genre']} ({row['true_render']['seconds']:.0f} s)", row["true_render"]))
    rows += [(f"{name} (floor)", one) for name, one in report["floors"].items()]
    return (
        Table(
            title=f"Takes of {report['minutes']:g} minutes",
            note="Loudness: short-term, 3 s. Repeats: of four bars in a row, by the coarsest codes and by all. Entropy: "
            "of the coarsest codes, whole take and poorest minute, in nats.",
            header=(
                *("", "clipping, ms", "silence, s", "loudness, LUFS", "farthest, dB", "within 6 dB", "tempo drift"),
                *("beat heard", "repeats", "like 4 bars before", "entropy"),
            ),
            rows=tuple((name, *_cells(one)) for name, one in rows),
        ),
    )


def _cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    entropy = f"{one['entropy_nats'][0]:.2f}, {one['lowest_entropy_nats']:.2f}" if one["entropy_nats"] else "-"
    return (
        f"{one['clipping_milliseconds']:.2f}",
        f"{one['silence_seconds']:.2f}",
        f"{one['loudness_median_lufs']:.1f}",
        f"{one['loudness_deviation_db']:.1f}",
        f"{one['loudness_within_share']:.0%}",
        "-" if one["tempo_drift"] is None else f"{one['tempo_drift']:.1%}",
        f"{one['beat_share']:.0%}" if one["tempos"] else "-",
        f"{one['repeats']}, {one['exact_repeats']}",
        f"{one['share_alike']:.0%}" if one["entropy_nats"] else "-",
        entropy,
    )


def _draw(file: pathlib.Path, report: Mapping[str, Any]) -> None:
    """Loudness and tempo over the takes."""
    loudness, tempo = [], []
    for row in report["takes"]:
        values = np.asarray(row["take"]["loudness"], float)
        loudness.append(Curve(row["genre"], np.arange(len(values)) / 60.0, values))
        tempos = np.array([np.nan if one is None else one for one in row["take"]["tempos"]], float)
        if len(tempos):
            tempo.append(Curve(row["genre"], (np.arange(len(tempos)) + 0.5) / 2.0, tempos))
    drawn = [("loudness, LUFS", loudness)] + ([("tempo, bpm", tempo)] if tempo else [])
    pictures.rows(file, drawn, across="minutes")
