"""Held-out studio pieces: the yardstick beside every number about takes.

Their seeds lie far from all training seeds, and those that train the probe far
from those that are judged.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ

HELD_OUT_SEED = 900_000_000
"""First seed of the pieces that train the probe; training seeds stay below."""

PROBE_TEST_SEED = 950_000_000
"""First seed of the pieces that test the probe and stand beside the takes."""

SEEDS_PER_GENRE = 1_000
"""Distance between the seeds of two genres."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sound:
    """A take or a render with what it should be."""

    samples: Float[np.ndarray, "samples 2"]
    """48 kHz stereo."""
    genre: str
    """The genre asked for, or the genre it was rendered as."""
    bpm: float
    """The tempo asked for, or the tempo it was rendered at."""
    seed: int
    """Seed of the take or of the piece."""
    instruments: tuple[str, ...] = ()
    """Of a render: instruments and kit that play, by the studio's names."""


@runtime_checkable
class CodecLike(Protocol):
    """What is needed of a codec here."""

    def encode(self, samples: np.ndarray) -> np.ndarray: ...

    def decode(self, codes: np.ndarray) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Request:
    """One piece to render; small, so that it travels to a worker process."""

    seed: int
    genre: str
    seconds: float


def _render(request: _Request) -> Sound:
    """Renders one piece at its true level, 48 kHz stereo."""
    # Imported here: a worker needs the studio only, and tests replace it.
    from magenta_rt_py.train import studio

    piece = studio.make_piece(request.seed, genre=request.genre, seconds=request.seconds)
    size = int(request.seconds * SAMPLE_RATE_HZ)
    samples = np.zeros((size, 2), np.float32)
    made = np.asarray(piece.samples[:size], np.float32)
    samples[: len(made)] = made
    label = piece.label
    return Sound(
        samples=samples,
        genre=request.genre,
        bpm=float(label.bpm),
        seed=request.seed,
        instruments=tuple(label.instruments),
    )


def render_sounds(
    genres: Sequence[str],
    *,
    first_seed: int,
    pieces_per_genre: int,
    seconds: float,
    workers: int | None = None,
) -> Iterable[Sound]:
    """Renders held-out pieces, genre by genre.

    Args:
      genres: names the studio knows.
      first_seed: HELD_OUT_SEED or PROBE_TEST_SEED.
      pieces_per_genre: 1 .. SEEDS_PER_GENRE.
      seconds: length of every piece.
      workers: processes; None means one a core, 1 renders in this process.
    Raises:
      ValueError: if pieces_per_genre is out of range.
    """
    if not 1 <= pieces_per_genre <= SEEDS_PER_GENRE:
        raise ValueError(
            f"got {pieces_per_genre} pieces a genre, expected 1..{SEEDS_PER_GENRE}; "
            "more would reuse the seeds of the next genre"
        )
    requests = [
        _Request(seed=first_seed + index * SEEDS_PER_GENRE + piece, genre=genre, seconds=seconds)
        for index, genre in enumerate(genres)
        for piece in range(pieces_per_genre)
    ]
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from map(_render, requests)
        return
    # Spawned, not forked: JAX's threads do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_render, requests)


def noise_sounds(genres: Sequence[str], *, bpms: Sequence[float], seconds: float) -> list[Sound]:
    """Pink noise, one sound a genre: what no judge should take for music."""
    sounds = []
    for number, (genre, bpm) in enumerate(zip(genres, bpms, strict=True)):
        white = np.random.default_rng(number).standard_normal((int(seconds * SAMPLE_RATE_HZ), 2))
        spectrum = np.fft.rfft(white, axis=0)
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0))[:, None]
        pink = np.fft.irfft(spectrum, len(white), axis=0)
        samples = (0.1 * pink / pink.std()).astype(np.float32)
        sounds.append(Sound(samples=samples, genre=genre, bpm=bpm, seed=number))
    return sounds


def round_trip(codec: CodecLike, sounds: Sequence[Sound], *, levels: int, batch: int = 8) -> list[Sound]:
    """Encodes and decodes sounds of equal length with the first `levels` levels."""
    decoded = []
    for start in range(0, len(sounds), batch):
        group = sounds[start : start + batch]
        codes = codec.encode(np.stack([sound.samples for sound in group]))
        waves = np.asarray(codec.decode(codes[..., :levels]), np.float32)
        for sound, wave in zip(group, waves, strict=True):
            decoded.append(dataclasses.replace(sound, samples=wave[: len(sound.samples)]))
    return decoded
