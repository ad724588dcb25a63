"""The released finetune's features: read into a prepared folder, and written from one.

One example a clip of at most 30 s: `acoustic_tokens` int32 [frames, levels] (codes, no vocabulary offset), `style_tokens`
int32 [windows, style levels] and `style_embeddings` float32 [windows, dim], a window every 10 s. Source: the finetuning
notebook of magenta-realtime, whose file is called `<task>_examples.recordio`. It has no captions: a clip's mean style stands
in for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.errors import PreparedDataError
from magenta_rt_py.generators.state import FRAME_RATE_HZ
from magenta_rt_py.train.data import WINDOW_FRAMES, WINDOW_HOP_FRAMES, count_windows
from magenta_rt_py.train.disk import write_whole, writing_whole
from magenta_rt_py.train.prepare.config import PrepareConfig
from magenta_rt_py.train.prepare.index import PreparedIndex, ShardEntry, UsedFile
from magenta_rt_py.train.prepare.measured import STEP_SECONDS, UNKNOWN
from magenta_rt_py.train.prepare.pieces import Encoders, FilePieces
from magenta_rt_py.train.prepare.run import claim, load_encoders
from magenta_rt_py.train.prepare.shards import FOLDER, pack, remove_others
from magenta_rt_py.train.prepare.tfrecord import read_records, write_records

FEATURES = ("acoustic_tokens", "style_tokens", "style_embeddings")
CLIP_FRAMES = 750
"""Frames of the longest clip, 30 s."""

CLIPS_PER_SHARD = 30
WINDOW_RATIO = WINDOW_FRAMES // WINDOW_HOP_FRAMES
"""Our windows begin so many times as often."""


def export_features(out: Path, index: PreparedIndex) -> Path:
    """Writes all pieces of a prepared folder, held-out ones too, as the notebook's feature file.

    The released model needs the released codec's 64 levels and MusicCoCa's embeddings: prepare with a bundle that has them.

    Args:
      out: the prepared folder.
      index: its index.
    Returns:
      the file, in that folder.
    Raises:
      OSError: the disk does not take it; nothing is left half written.
    """
    path = out / f"{out.resolve().name}_examples.recordio"
    with writing_whole(path) as file:
        write_records(file, _examples(out, index))
    return path


def _examples(out: Path, index: PreparedIndex) -> Iterator[dict[str, np.ndarray]]:
    for shard in index.shards:
        with np.load(out / shard.name, allow_pickle=False) as file:
            codes, lengths = file["codes"], file["lengths"]
            tokens, embeddings = file["style_audio_codes"], file["style_audio"]
        for piece, length in enumerate(lengths):
            count = max(-(-int(length) // WINDOW_FRAMES), 1)
            windows = np.minimum(np.arange(count) * WINDOW_RATIO, count_windows(int(length)) - 1)
            yield {
                "acoustic_tokens": codes[piece, :length].astype(np.int32),
                "style_tokens": tokens[piece, windows].astype(np.int32),
                "style_embeddings": embeddings[piece, windows].astype(np.float32),
            }


def import_features(path: Path, out: Path, bundle: Bundle) -> PreparedIndex:
    """Reads a feature file of the notebook into a prepared folder.

    Nothing in such a file says whose codes it holds: whoever gives the bundle vouches for it, and only numbers and sizes
    can be checked. Which clips belong to one recording is not said either; the last tenth of the clips is held out.

    Args:
      path: the feature file.
      out: the prepared folder to write.
      bundle: with the codec and the style model that the features were made with.
    Raises:
      PreparedDataError: the file is damaged or does not fit the bundle, or `out` is not ours.
      OSError: a file cannot be read or written.
    """
    total = sum(1 for _ in read_records(path))
    if not total:
        raise PreparedDataError(f"{path} holds no clip; export the features again")
    claim(out, bundle)
    encoders = load_encoders(bundle)
    apart = total // 10
    shards: list[ShardEntry] = []
    rows: list[FilePieces] = []
    for number, example in enumerate(read_records(path)):
        rows.append(_pieces(path, number, example, encoders))
        last_of_its_kind = number in (total - apart - 1, total - 1)
        if len(rows) == CLIPS_PER_SHARD or last_of_its_kind:
            shards.append(_write_shard(out, rows, held_out=number >= total - apart))
            rows = []
    seconds = sum(shard.seconds for shard in shards)
    source = UsedFile(path=path.name, held_out=False, pieces=total, seconds=seconds, bpm=None, has_clock=False, notes=[])
    index = PreparedIndex(
        codec=bundle.part_fingerprint("codec"),
        style=bundle.part_fingerprint("style"),
        settings={"features": path.name},
        shards=shards,
        used=[source],
        skipped=[],
    )
    index.write(out)
    remove_others(out, (shard.name for shard in shards))
    return index


def _write_shard(out: Path, rows: list[FilePieces], *, held_out: bool) -> ShardEntry:
    content = pack(rows)
    digest = hashlib.sha256(content).hexdigest()
    name = f"{FOLDER}/{'held_out' if held_out else 'train'}-{digest[:16]}.npz"
    write_whole(out / name, content)
    seconds = sum(float(row.lengths.sum()) for row in rows) / FRAME_RATE_HZ
    return ShardEntry(name=name, held_out=held_out, num_bytes=len(content), sha256=digest, pieces=len(rows), seconds=seconds)


def _pieces(path: Path, number: int, example: dict[str, np.ndarray], encoders: Encoders) -> FilePieces:
    """One clip as a piece."""
    _check(path, number, example, encoders)
    codes, tokens, embeddings = (example[name] for name in FEATURES)
    frames, windows = min(len(codes), CLIP_FRAMES), count_windows(CLIP_FRAMES)
    padded = np.zeros((CLIP_FRAMES, codes.shape[1]), np.int16)
    padded[:frames] = codes[:frames]
    # Of the windows of 10 s, one every 10 s, the one that overlaps ours most.
    nearest = np.minimum(np.round(np.arange(windows) / WINDOW_RATIO).astype(int), len(tokens) - 1)
    mean = embeddings.mean(0, dtype=np.float64).astype(np.float32)[None]
    captions = PrepareConfig().captions_per_piece
    steps = CLIP_FRAMES // FRAME_RATE_HZ // STEP_SECONDS
    return FilePieces(
        codes=padded[None],
        lengths=np.array([frames], np.int32),
        frames_per_beat=np.zeros(1),
        style_audio=embeddings[nearest][None].astype(np.float32),
        style_audio_codes=tokens[nearest][None].astype(np.int16),
        style_text=np.repeat(mean, captions, axis=0)[None],
        style_text_codes=np.repeat(encoders.style.quantize(mean), captions, axis=0)[None].astype(np.int16),
        descriptors=np.full((1, steps, 4), UNKNOWN, np.float32),
        genre=np.zeros(1, np.int32),
    )


def _check(path: Path, number: int, example: dict[str, np.ndarray], encoders: Encoders) -> None:
    """Refuses what cannot be of this bundle."""
    missing = [name for name in FEATURES if name not in example or example[name].ndim != 2 or not len(example[name])]
    if missing:
        raise PreparedDataError(f"{path}: clip {number} has no {missing[0]} of two axes; export the features again")
    codec, style = encoders.codec, encoders.style.config
    codes, tokens, embeddings = (example[name] for name in FEATURES)
    wanted = (
        ("acoustic_tokens", codes, codec.num_levels, codec.codebook_size),
        ("style_tokens", tokens, style.num_levels, style.codebook_size),
    )
    for name, found, levels, size in wanted:
        if found.shape[1] != levels or found.min() < 0 or found.max() >= size:
            raise PreparedDataError(
                f"{path}: clip {number} has {name} of {found.shape[1]} levels from {found.min()} to {found.max()}; the "
                f"bundle has {levels} levels of 0..{size - 1}: give --bundle the model that the features were made with"
            )
    if embeddings.shape != (len(tokens), style.dim):
        raise PreparedDataError(
            f"{path}: clip {number} has style embeddings {embeddings.shape}, the bundle's are ({len(tokens)}, {style.dim}); "
            "give --bundle the model that the features were made with"
        )
