"""Renders the studio's pieces into features; audio itself is never stored."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from magenta_rt_py import audio
from magenta_rt_py.codec import bands
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.style import spectrogram
from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.train import studio
from magenta_rt_py.train.augmentation import augment, is_changed
from magenta_rt_py.train.starter.recipe import StarterRecipe


class Shard(NamedTuple):
    """One rendered shard, its arrays memory-mapped.

    Attributes:
      log_energies: float16 [pieces, frames, 4, 2, bands]; half the natural log of each band's energy.
      log_mels: float16 [pieces, windows, stft_frames, mel_bands]; the style tower's input, one 10 s window every 2 s.
      labels: one dictionary a piece, as PieceLabel holds it.
      recorded_energies: as log_energies, of those pieces of the codec's shards that were made to sound recorded.
    """

    log_energies: np.ndarray
    log_mels: np.ndarray
    labels: list[dict]
    recorded_energies: np.ndarray


def shard_path(directory: Path, index: int) -> Path:
    """Directory of shard `index`."""
    return directory / "render" / f"shard-{index:05d}"


def pieces_of_shard(recipe: StarterRecipe, index: int) -> range:
    """Numbers of the pieces in shard `index`."""
    first = index * recipe.pieces_per_shard
    return range(first, min(first + recipe.pieces_per_shard, recipe.num_pieces))


def render_shard(
    directory: Path, index: int, recipe: StarterRecipe, codec_config: CompactCodecConfig, style_config: StyleConfig
) -> bool:
    """Renders one shard unless it is there already; written under another name first, so it is whole or absent.

    Returns:
      whether it was rendered here: False where another process has it, or was quicker.
    """
    final = shard_path(directory, index)
    if final.exists():
        return False
    partial = final.with_suffix(f".{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    log_energies, log_mels, labels, recorded = [], [], [], []
    for number in pieces_of_shard(recipe, index):
        genre = studio.STARTER_GENRES[number % len(studio.STARTER_GENRES)]
        seed = recipe.first_seed + number
        piece = studio.draw_piece(seed, genre=genre, seconds=recipe.piece_seconds)
        log_energies.append(_energies(codec_config, piece.samples))
        if index < recipe.codec_shards and is_changed(seed):
            recorded.append(_energies(codec_config, augment(piece.samples, seed=seed)))
        mono = audio.to_mono(np.asarray(piece.samples), codec_config.sample_rate, style_config.sample_rate_hz)
        log_mels.append(spectrogram.window_log_mels(mono, style_config).astype(np.float16))
        labels.append(piece.label.as_dict())
    np.save(partial / "log_energies.npy", np.stack(log_energies))
    np.save(partial / "log_mels.npy", np.stack(log_mels))
    np.save(partial / "recorded_energies.npy", np.stack(recorded) if recorded else log_energies[0][None][:0])
    (partial / "labels.json").write_text(json.dumps(labels))
    try:
        os.replace(partial, final)
    except OSError:  # the other process that renders, from the other end, has just finished the same one
        shutil.rmtree(partial)
        return False
    return True


def _energies(config: CompactCodecConfig, samples: np.ndarray) -> np.ndarray:
    """What is stored of a piece's sound: float16 [frames, 4, 2, bands]."""
    return bands.stored_features(bands.band_energies(config, samples[None])[0])


def _render_job(job: tuple[Path, int, StarterRecipe, CompactCodecConfig, StyleConfig]) -> tuple[int, bool, float]:
    started = time.monotonic()
    rendered = render_shard(*job)
    return job[1], rendered, time.monotonic() - started


def render_shards(
    directory: Path,
    recipe: StarterRecipe,
    codec_config: CompactCodecConfig,
    style_config: StyleConfig,
    *,
    shards: Sequence[int],
    workers: int,
    rendered: Callable[[int, float], None],
) -> None:
    """Renders the missing ones of some shards.

    Args:
      directory: work directory.
      recipe: what is rendered.
      codec_config, style_config: whose features are kept.
      shards: numbers of the shards, in the order in which they are begun.
      workers: processes; 1 works in this one.
      rendered: called with the number of each shard that was rendered here, and the seconds it took.
    """
    jobs = [(directory, index, recipe, codec_config, style_config) for index in shards]
    jobs = [job for job in jobs if not shard_path(directory, job[1]).exists()]
    if workers <= 1 or len(jobs) <= 1:
        _report(map(_render_job, jobs), rendered)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
        _report(pool.imap_unordered(_render_job, jobs), rendered)


def _report(results: Iterable[tuple[int, bool, float]], rendered: Callable[[int, float], None]) -> None:
    for index, here, seconds in results:
        if here:
            rendered(index, seconds)


def remove_leftovers(directory: Path) -> None:
    """Removes what processes that were killed left half written. Call it while nothing renders."""
    for partial in (directory / "render").glob("*.partial"):
        shutil.rmtree(partial)


def load_shard(directory: Path, index: int) -> Shard:
    """Opens a rendered shard."""
    path = shard_path(directory, index)
    return Shard(
        log_energies=np.load(path / "log_energies.npy", mmap_mode="r"),
        log_mels=np.load(path / "log_mels.npy", mmap_mode="r"),
        labels=json.loads((path / "labels.json").read_text()),
        recorded_energies=np.load(path / "recorded_energies.npy", mmap_mode="r"),
    )
