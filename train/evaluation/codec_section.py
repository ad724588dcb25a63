"""The codec's section: held-out renders of every genre of the starter, and real recordings of a folder."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.evaluation import codec_report, pictures, recordings, renders, units
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.codec_report import LEVELS, METRICS
from magenta_rt_py.train.evaluation.intervals import ratio_of
from magenta_rt_py.train.evaluation.section import Section, Table, Verdict
from magenta_rt_py.train.evaluation.tables import estimate_text
from magenta_rt_py.train.evaluation.workbench import Workbench

WANTED_MEL_DB = 2.5
"""Trained on a CPU; 2.0 where a GPU has trained it."""

WANTED_MEL_GPU_DB = 2.0
WANTED_ONSETS = 0.7
WANTED_RECORDINGS_RATIO = 1.7
BLOCKS_A_FILE = 6
"""Of a recording, spread evenly over it."""

MOST_LEVELS = str(max(LEVELS))


def measure(bench: Workbench, *, folder: pathlib.Path | None = None, trained_on_gpu: bool = False) -> Section:
    """The codec's round trip.

    Args:
      bench: gives codec and sizes.
      folder: real recordings; None leaves them out.
      trained_on_gpu: which mel distance is wanted.
    """
    from magenta_rt_py.train import studio

    files = recordings.audio_files(folder) if folder else []
    parts = []
    for number, genre in enumerate(studio.STARTER_GENRES):
        parts.append(_studio_part(bench, number, genre))
        bench.say(f"codec: {number + 1}/{len(studio.STARTER_GENRES)} {genre}")
    rows = {levels: [row for part in parts for row in part["rows"][levels]] for levels in map(str, LEVELS)}
    codes = np.concatenate([part["codes"].reshape(-1, part["codes"].shape[-1]) for part in parts])
    mels = {
        genre: round(float(np.mean([row["mel_distance_db"] for row in part["rows"][MOST_LEVELS]])), 2)
        for genre, part in zip(studio.STARTER_GENRES, parts)
    }
    sound = _first_sound(bench)
    report: dict[str, Any] = {
        "sounds": len(rows[MOST_LEVELS]),
        **{f"levels_{levels}": codec_report.summarise(of_levels) for levels, of_levels in rows.items()},
        "ceiling": codec_report.summarise([codec_report.measure_pair(sound, sound)]),
        "floor": codec_report.summarise([row for part in parts for row in part["floor"]]),
        "mel_distance_by_genre": mels,
        "code_use": codec_report.code_use(codes),
        "streaming": codec_report.streaming_difference(bench.codec, sound.samples[: 4 * SAMPLE_RATE_HZ]),
        "speed": codec_report.real_time_factors(bench.codec, sound.samples),
    }
    if files:
        report["recordings"] = _recordings(bench, files, [row["mel_distance_db"] for row in rows[MOST_LEVELS]])
    wanted_db = WANTED_MEL_GPU_DB if trained_on_gpu else WANTED_MEL_DB
    return Section(
        name="codec",
        title="Codec round trip",
        report=report,
        tables=tables_of(report),
        verdicts=verdicts_of(report, wanted_db),
        pictures=(("codec", lambda file: _draw(file, report)),),
    )


def _studio_part(bench: Workbench, number: int, genre: str) -> units.Record:
    """Round trips of one genre's held-out pieces."""
    sizes = bench.sizes
    pieces = sizes.codec_pieces

    def make() -> units.Record:
        sounds = renders.render_sounds(
            [genre],
            # Beyond the seeds of the renders beside takes, which reach as far as there are prompts.
            first_seed=renders.PROBE_TEST_SEED + (500 + number) * renders.SEEDS_PER_GENRE,
            pieces_per_genre=pieces,
            seconds=sizes.codec_seconds,
            workers=1,
        )
        return codec_report.measure_sounds(bench.codec, list(sounds))

    settings = {"genre": genre, "number": number, "pieces": pieces, "seconds": sizes.codec_seconds}
    settings |= {"studio": units.studio_sources(), "measured": _measured_by()}
    return bench.units.get("codec", settings, make)


def _first_sound(bench: Workbench) -> renders.Sound:
    """A sound for what is measured once: ceiling, streaming, speed."""
    (sound,) = renders.render_sounds(
        ["techno"], first_seed=renders.PROBE_TEST_SEED, pieces_per_genre=1, seconds=bench.sizes.codec_seconds, workers=1
    )
    return sound


def _recordings(bench: Workbench, files: Sequence[pathlib.Path], studio_mels: Sequence[float]) -> dict[str, Any]:
    """Every file's round trip at 16 levels; files that cannot be read are named and left out."""
    rows: list[dict[str, float]] = []
    per_file: list[dict[str, Any]] = []
    unread: list[str] = []
    for number, file in enumerate(files):
        bench.say(f"codec: recording {number + 1}/{len(files)} {file.name}")
        try:
            own = _recording_rows(bench, file)
        except AudioFormatError as error:
            unread.append(str(error))
            continue
        if own:
            rows += own
            mel = round(float(np.mean([row["mel_distance_db"] for row in own])), 2)
            per_file.append({"file": file.name, "blocks": len(own), "mel_distance_db": mel})
        else:
            unread.append(f"{file.name}: silent, or shorter than 2 s")
    if not rows:
        raise AudioFormatError(f"{files[0].parent}: none of {len(files)} files could be measured; {unread[0]}")
    ratio = ratio_of([row["mel_distance_db"] for row in rows], studio_mels)
    return {
        "files": len(per_file),
        "blocks": len(rows),
        "summary": codec_report.summarise(rows),
        "ratio_to_studio": ratio.to_json(),
        "per_file": per_file,
        "left_out": unread,
    }


def _recording_rows(bench: Workbench, file: pathlib.Path) -> list[dict[str, float]]:
    """Metrics of a recording's blocks, kept by the file's content."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(1 << 20):
            digest.update(piece)
    seconds = bench.sizes.codec_seconds

    def make() -> units.Record:
        rows = []
        for sound in recordings.blocks(file, seconds=seconds, most=BLOCKS_A_FILE):
            rows += codec_report.measure_sounds(bench.codec, [sound], (max(LEVELS),))["rows"][MOST_LEVELS]
        return {"rows": rows}

    settings = {"file": digest.hexdigest(), "seconds": seconds, "most": BLOCKS_A_FILE, "measured": _measured_by()}
    return bench.units.get("recording", settings, make)["rows"]


def _measured_by() -> str:
    """Hash of the sources that measure here; those of the metrics are in every unit's key."""
    own = pathlib.Path(__file__)
    return units.source_hash([own.with_name("codec_report.py"), own.with_name("recordings.py")])


def verdicts_of(report: Mapping[str, Any], wanted_db: float) -> tuple[Verdict, ...]:
    """Mel distance, onsets and recordings beside what is wanted."""
    most = report[f"levels_{MOST_LEVELS}"]
    mel, onsets = most["mel_distance_db"], most["onset_correlation"]
    found = [
        Verdict(
            name="codec: mel distance of held-out renders, 16 levels",
            measured=f"{estimate_text(mel)} dB",
            wanted=f"<= {wanted_db} dB",
            is_met=mel["value"] <= wanted_db,
        ),
        Verdict(
            name="codec: onset correlation, 16 levels",
            measured=estimate_text(onsets),
            wanted=f">= {WANTED_ONSETS}",
            is_met=onsets["value"] >= WANTED_ONSETS,
        ),
    ]
    if "recordings" in report:
        ratio = report["recordings"]["ratio_to_studio"]
        found.append(
            Verdict(
                name="codec: mel distance of real recordings over held-out renders'",
                measured=estimate_text(ratio),
                wanted=f"<= {WANTED_RECORDINGS_RATIO}",
                is_met=ratio["value"] <= WANTED_RECORDINGS_RATIO,
            )
        )
    return tuple(found)


def tables_of(report: Mapping[str, Any]) -> tuple[Table, ...]:
    """Metrics by levels, use of the codes, genres, and the recordings."""
    names = list(METRICS)
    rows = [(f"{levels} levels", report[f"levels_{levels}"]) for levels in LEVELS]
    rows += [("itself (ceiling)", report["ceiling"]), ("another's round trip (floor)", report["floor"])]
    if "recordings" in report:
        rows.append((f"real recordings, {MOST_LEVELS} levels", report["recordings"]["summary"]))
    streaming, speed = report["streaming"], report["speed"]
    sound = Table(
        title=f"Round trip of {report['sounds']} held-out renders",
        note="Means with 95 % intervals. SI-SDR is left out (-) where the codec does not follow the waveform. Streamed "
        f"against whole: {100 * streaming['codes_differ']:.3f} % of codes differ, waveform within "
        f"{streaming['waveform_largest_difference']:.1e}. Encoder {speed['encode_rtf']}x, decoder {speed['decode_rtf']}x.",
        header=("", *(name.replace("_", " ") for name in names)),
        rows=tuple((title, *(estimate_text(one[name]) for name in names)) for title, one in rows),
    )
    use = Table(
        title="Use of the 1024 codes of each level",
        header=("level", *(str(one["level"]) for one in report["code_use"])),
        rows=(
            ("perplexity", *(f"{one['perplexity']:.0f}" for one in report["code_use"])),
            ("never used", *(str(one["unused"]) for one in report["code_use"])),
        ),
    )
    ordered = sorted(report["mel_distance_by_genre"].items(), key=lambda pair: -pair[1])
    genres = Table(
        title="Mel distance by genre, dB",
        header=("genre", "16 levels"),
        rows=tuple((name, f"{db:.2f}") for name, db in ordered),
    )
    found = [sound, use, genres]
    if "recordings" in report:
        own = report["recordings"]
        found.append(
            Table(
                title=f"Real recordings: {own['files']} files, {own['blocks']} blocks",
                note=f"Mel distance over held-out renders': {estimate_text(own['ratio_to_studio'])}. "
                f"Left out: {'; '.join(own['left_out']) or 'none'}.",
                header=("file", "blocks", "mel distance, dB"),
                rows=tuple((one["file"], str(one["blocks"]), f"{one['mel_distance_db']:.2f}") for one in own["per_file"]),
            )
        )
    return tuple(found)


def _draw(file: pathlib.Path, report: Mapping[str, Any]) -> None:
    levels = np.arange(len(report["code_use"]))
    perplexity = np.array([one["perplexity"] for one in report["code_use"]])
    used = np.array([1024.0 - one["unused"] for one in report["code_use"]])
    mels = np.array([report[f"levels_{count}"]["mel_distance_db"]["value"] for count in LEVELS])
    pictures.panels(
        file,
        (
            ("mel distance, dB", (pictures.Curve("held-out renders", np.array(LEVELS, float), mels),)),
            (
                "use of codes",
                (pictures.Curve("perplexity", levels, perplexity), pictures.Curve("ever used", levels, used)),
            ),
        ),
        across="level (right), levels decoded (left)",
        up="",
    )
