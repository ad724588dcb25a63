"""Renders the studio's pieces into features; audio itself is never stored."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from magenta_rt_py import audio
from magenta_rt_py.codec import bands
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.style import spectrogram
from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.train import studio
from magenta_rt_py.train.starter.recipe import StarterRecipe


class Shard(NamedTuple):
    """One rendered shard, its arrays memory-mapped.

    Attributes:
      log_energies: float16 [pieces, frames, 4, 2, bands]; half the natural log of each band's energy.
      log_mels: float16 [pieces, windows, stft_frames, mel_bands]; the style tower's input, one 10 s window every 2 s.
      labels: one dictionary a piece, as PieceLabel holds it.
    """

    log_energies: np.ndarray
    log_mels: np.ndarray
    labels: list[dict]


def shard_path(directory: Path, index: int) -> Path:
    """Directory of shard `index`."""
    return directory / "render" / f"shard-{index:05d}"


def render_shard(
    directory: Path, index: int, recipe: StarterRecipe, codec_config: CompactCodecConfig, style_config: StyleConfig
) -> None:
    """Renders one shard unless it is there already; written under another name first, so it is whole or absent."""
    final = shard_path(directory, index)
    if final.exists():
        return
    partial = final.with_suffix(f".{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    first = index * recipe.pieces_per_shard
    numbers = range(first, min(first + recipe.pieces_per_shard, recipe.num_pieces))
    log_energies, log_mels, labels = [], [], []
    for number in numbers:
        genre = studio.STARTER_GENRES[number % len(studio.STARTER_GENRES)]
        piece = studio.make_piece(recipe.first_seed + number, genre=genre, seconds=recipe.piece_seconds)
        log_energies.append(bands.stored_features(bands.band_energies(codec_config, piece.samples[None])[0]))
        mono = audio.to_mono(piece.samples, codec_config.sample_rate, style_config.sample_rate_hz)
        log_mels.append(spectrogram.window_log_mels(mono, style_config).astype(np.float16))
        labels.append(piece.label.as_dict())
    np.save(partial / "log_energies.npy", np.stack(log_energies))
    np.save(partial / "log_mels.npy", np.stack(log_mels))
    (partial / "labels.json").write_text(json.dumps(labels))
    os.replace(partial, final)


def _render_job(job: tuple[Path, int, StarterRecipe, CompactCodecConfig, StyleConfig]) -> int:
    render_shard(*job)
    return job[1]


def render_shards(
    directory: Path,
    recipe: StarterRecipe,
    codec_config: CompactCodecConfig,
    style_config: StyleConfig,
    *,
    shards: int,
    workers: int,
    log: Callable[[str], None] = print,
) -> None:
    """Renders the missing ones of the first `shards` shards with `workers` processes."""
    missing = [index for index in range(shards) if not shard_path(directory, index).exists()]
    jobs = [(directory, index, recipe, codec_config, style_config) for index in missing]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for done, index in enumerate(pool.imap_unordered(_render_job, jobs), start=1):
            log(f"rendered shard {index}: {done}/{len(missing)}")


def load_shard(directory: Path, index: int) -> Shard:
    """Opens a rendered shard."""
    path = shard_path(directory, index)
    return Shard(
        log_energies=np.load(path / "log_energies.npy", mmap_mode="r"),
        log_mels=np.load(path / "log_mels.npy", mmap_mode="r"),
        labels=json.loads((path / "labels.json").read_text()),
    )
