"""Training rows of the probe: held-out renders and their codec round trips, described and kept.

Descriptors lie in the user's cache folder; the key is made of the studio's
source, the descriptor's source and the codec, so a stale file is never read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import descriptor
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.renders import HELD_OUT_SEED, CodecLike, Sound, render_sounds, round_trip
from magenta_rt_py.train.evaluation.units import Record, Units, cache_folder, source_hash, studio_sources

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
    piece_ids: np.ndarray
    """Number of the piece that each row is from."""
    instruments: tuple[str, ...]
    """Names that any piece's label has, sorted."""
    playing: np.ndarray
    """Bool [windows, instruments]: what plays in the row's piece, though not always in its window."""


def _window_of(sound: Sound, index: int) -> Sound:
    """One window of a sound, another place for every piece."""
    cuts = descriptor.windows(sound.samples)
    return dataclasses.replace(sound, samples=cuts[index % len(cuts)])


def _describe_group(
    group: list[Sound], codec: CodecLike | None, first_index: int
) -> list[tuple[Float[np.ndarray, " features"], Sound]]:
    """Descriptor rows of some pieces, each with its piece: all true windows, and one window through the codec.

    Pieces that go through the codec take turns in the number of levels.
    """
    rows = []
    for sound in group:
        described = descriptor.describe_all(sound.samples, hop_seconds=descriptor.WINDOW_SECONDS)
        rows.extend((row, sound) for row in described)
    if codec is None:
        return rows
    for turn, levels in enumerate(ROUND_TRIP_LEVELS):
        share = [
            _window_of(sound, first_index + position)
            for position, sound in enumerate(group)
            if position % (ROUND_TRIP_EVERY * len(ROUND_TRIP_LEVELS)) == ROUND_TRIP_EVERY * turn
        ]
        for sound in round_trip(codec, share, levels=levels) if share else []:
            rows.append((descriptor.describe(sound.samples), sound))
    return rows


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
    pieces: list[tuple[str, int, tuple[str, ...]]] = []
    group: list[Sound] = []
    total = pieces_per_genre * len(genres)
    sounds = render_sounds(
        genres, first_seed=HELD_OUT_SEED, pieces_per_genre=pieces_per_genre, seconds=seconds, workers=workers
    )
    for done, sound in enumerate(sounds, start=1):
        group.append(sound)
        if len(group) == 16 or done == total:
            for row, piece in _describe_group(group, codec, done):
                rows.append(row)
                pieces.append((piece.genre, piece.seed, piece.instruments))
            group = []
            progress(f"probe: {done}/{total} pieces described")
    instruments = tuple(sorted({name for _, _, names in pieces for name in names}))
    return ProbeData(
        descriptors=np.stack(rows).astype(np.float32),
        genre_ids=np.array([genres.index(genre) for genre, _, _ in pieces]),
        piece_ids=np.array([seed for _, seed, _ in pieces]),
        instruments=instruments,
        playing=np.array([[name in names for name in instruments] for _, _, names in pieces], bool).reshape(
            len(pieces), len(instruments)
        ),
    )


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
    own = pathlib.Path(__file__)
    names = ("audio_metrics.py", "rhythm.py", "descriptor.py", "renders.py", "probe_data.py")
    own_files = [own.parent.parent / "mel.py", *(own.with_name(name) for name in names)]
    key = f"{studio_sources()} {source_hash(own_files)} {codec_fingerprint(codec)}"

    def make() -> Record:
        data = make_probe_data(
            genres, codec, pieces_per_genre=pieces_per_genre, seconds=seconds, workers=workers, progress=progress
        )
        return dataclasses.asdict(data)

    settings = {"genres": list(genres), "pieces": pieces_per_genre, "seconds": seconds}
    record = Units(folder or cache_folder(), key=key).get("probe", settings, make)
    return ProbeData(**{**record, "instruments": tuple(record["instruments"])})
