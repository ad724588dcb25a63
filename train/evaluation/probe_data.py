"""Training rows of the probe: held-out renders and their codec round trips, described and kept.

Descriptors lie in the user's cache folder; the key is made of the studio's
source, the descriptor's source and the codec, so a stale file is never read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import descriptor
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.renders import HELD_OUT_SEED, CodecLike, Sound, render_sounds, round_trip

ROUND_TRIP_LEVELS = (16, 4)
"""Levels of the codec round trips that the probe also learns from."""

ROUND_TRIP_EVERY = 2
"""Every second piece also goes through the codec, which is the slowest part."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeData:
    """Training rows of the probe."""

    descriptors: Float[np.ndarray, "windows features"]
    genre_ids: np.ndarray
    """Index into the genres of each row."""


def _window_of(sound: Sound, index: int) -> Sound:
    """One window of a sound, another place for every piece."""
    cuts = descriptor.windows(sound.samples)
    return dataclasses.replace(sound, samples=cuts[index % len(cuts)])


def _describe_group(
    group: list[Sound], codec: CodecLike | None, first_index: int
) -> tuple[list[np.ndarray], list[str]]:
    """Descriptor rows of some pieces: all true windows, and one window through the codec.

    Pieces that go through the codec take turns in the number of levels.
    """
    rows, names = [], []
    for sound in group:
        described = descriptor.describe_all(sound.samples, hop_seconds=descriptor.WINDOW_SECONDS)
        rows.extend(described)
        names.extend([sound.genre] * len(described))
    if codec is None:
        return rows, names
    for turn, levels in enumerate(ROUND_TRIP_LEVELS):
        share = [
            _window_of(sound, first_index + position)
            for position, sound in enumerate(group)
            if position % (ROUND_TRIP_EVERY * len(ROUND_TRIP_LEVELS)) == ROUND_TRIP_EVERY * turn
        ]
        for sound in round_trip(codec, share, levels=levels) if share else []:
            rows.append(descriptor.describe(sound.samples))
            names.append(sound.genre)
    return rows, names


def make_probe_data(
    genres: tuple[str, ...],
    codec: CodecLike | None,
    *,
    pieces_per_genre: int = 40,
    seconds: float = 30.0,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> ProbeData:
    """Renders and describes the probe's training pieces (a few minutes on two cores)."""
    rows: list[np.ndarray] = []
    names: list[str] = []
    group: list[Sound] = []
    total = pieces_per_genre * len(genres)
    sounds = render_sounds(
        genres, first_seed=HELD_OUT_SEED, pieces_per_genre=pieces_per_genre, seconds=seconds, workers=workers
    )
    for done, sound in enumerate(sounds, start=1):
        group.append(sound)
        if len(group) == 16 or done == total:
            new_rows, new_names = _describe_group(group, codec, done)
            rows.extend(new_rows)
            names.extend(new_names)
            group = []
            progress(f"probe: {done}/{total} pieces described")
    ids = np.array([genres.index(name) for name in names])
    return ProbeData(descriptors=np.stack(rows).astype(np.float32), genre_ids=ids)


def cache_folder() -> pathlib.Path:
    """The user's cache folder for this project (XDG_CACHE_HOME or ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(base) / "magenta_rt_py" / "evaluation"


def _source_hash(files: Iterable[pathlib.Path]) -> str:
    """Hash over the contents of source files, in a fixed order."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def codec_fingerprint(codec: CodecLike | None) -> str:
    """Changes when the codec's codes or sound change: hash of one second through it."""
    if codec is None:
        return "none"
    seconds = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    chirp = 0.3 * np.sin(2 * np.pi * (100 + 2000 * seconds) * seconds)
    codes = codec.encode(np.stack([chirp, 0.5 * chirp], -1)[None].astype(np.float32))
    wave = np.asarray(codec.decode(codes), np.float32)
    # Rounded: the last bits may differ between two runs of the same codec.
    parts = (np.asarray(codes, np.int32), np.round(wave, 2).astype(np.float32))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def cached_probe_data(
    genres: tuple[str, ...],
    codec: CodecLike | None,
    *,
    pieces_per_genre: int = 40,
    seconds: float = 30.0,
    folder: pathlib.Path | None = None,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> ProbeData:
    """`make_probe_data`, read from the cache folder where it was made before."""
    from magenta_rt_py.train import studio

    studio_files = pathlib.Path(studio.__file__).parent.rglob("*.py")
    own_files = [
        pathlib.Path(__file__).with_name(name)
        for name in ("audio_metrics.py", "rhythm.py", "descriptor.py", "renders.py", "probe_data.py")
    ]
    text = "|".join(
        [
            _source_hash(studio_files),
            _source_hash(own_files),
            codec_fingerprint(codec),
            repr((genres, pieces_per_genre, seconds)),
        ]
    )
    file = (folder or cache_folder()) / f"probe-{hashlib.sha256(text.encode()).hexdigest()[:20]}.npz"
    if file.exists():
        with np.load(file, allow_pickle=False) as stored:
            return ProbeData(descriptors=stored["descriptors"], genre_ids=stored["genre_ids"])
    data = make_probe_data(
        genres,
        codec,
        pieces_per_genre=pieces_per_genre,
        seconds=seconds,
        workers=workers,
        progress=progress,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.stem}.{os.getpid()}.part.npz")
    np.savez(unfinished, descriptors=data.descriptors, genre_ids=data.genre_ids)
    unfinished.replace(file)
    return data
