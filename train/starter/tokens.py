"""Rendered features to token shards: codec codes, style embeddings and style codes (format: train/data.py)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float16, Int

from magenta_rt_py.codec import bands, network
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn import quantizer
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.train import studio
from magenta_rt_py.train.starter.render import load_shard
from magenta_rt_py.train.starter.sections import sections_of, spread_captions

FeatureEncoder = Callable[
    [Float16[np.ndarray, "batch frames stft_frames channels bands"]], Int[np.ndarray, "batch frames levels"]
]
"""Stored features of whole pieces -> their codes."""


def token_path(directory: Path, index: int) -> Path:
    """File of token shard `index`: what the language model reads."""
    return directory / "tokens" / f"shard-{index:05d}.npz"


def codes_path(directory: Path, index: int) -> Path:
    """File of shard `index`'s codes, made as soon as there is a codec."""
    return directory / "codes" / f"shard-{index:05d}.npy"


def load_codec(config: CompactCodecConfig, tensors: Mapping[str, np.ndarray]) -> FeatureEncoder:
    """The codec's encoder, starting from stored features in place of audio."""
    scaling = network.statistics(
        config, jnp.asarray(tensors["statistics/mean"]), jnp.asarray(tensors["statistics/deviation"])
    )
    params, codebooks = network.unflatten(tensors, "encoder"), jnp.asarray(tensors["quantizer/codebooks"])

    @jax.jit
    def encode(stored):
        features = bands.features_of_energies(config, bands.energies_of_stored(stored))
        return quantizer.encode(codebooks, network.Encoder(config).apply({"params": params}, features, scaling))

    return lambda stored: np.asarray(encode(jnp.asarray(stored)))


def write_codes(directory: Path, index: int, encode: FeatureEncoder) -> None:
    """Writes the codes of one rendered shard, whole or not at all."""
    shard = load_shard(directory, index)
    codes = np.concatenate([encode(piece[None]) for piece in shard.log_energies]).astype(np.int16)
    path = codes_path(directory, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npy")
    np.save(partial, codes)
    os.replace(partial, path)


def write_tokens(directory: Path, index: int, style: StyleModel, *, captions: int) -> None:
    """Writes one token shard from a rendered shard and its codes, whole or not at all."""
    shard, codes = load_shard(directory, index), np.load(codes_path(directory, index))
    windows = shard.log_mels.reshape(-1, *shard.log_mels.shape[2:])
    audio = style.embed_log_mels(np.asarray(windows, np.float32)).reshape(*shard.log_mels.shape[:2], -1)
    sections = [sections_of(label, codes.shape[1]) for label in shard.labels]
    texts, caption_sections = zip(*(spread_captions(own, captions) for own in sections), strict=True)
    text = style.embed_text([caption for row in texts for caption in row]).reshape(len(texts), captions, -1)
    begins = np.full((len(sections), max(map(len, sections))), -1, np.int32)
    for row, own in enumerate(sections):
        begins[row, : len(own)] = [section.first_frame for section in own]
    genres = list(studio.STARTER_GENRES)
    path = token_path(directory, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.partial.npz")
    np.savez(
        partial,
        codes=codes,
        frames_per_beat=np.array([label["frames_per_beat"] for label in shard.labels]),
        style_audio=audio.astype(np.float32),
        style_text=text.astype(np.float32),
        style_audio_codes=style.quantize(audio).astype(np.int16),
        style_text_codes=style.quantize(text).astype(np.int16),
        genre=np.array([genres.index(label["genre"]) for label in shard.labels]),
        section_frames=begins,
        caption_sections=np.stack(caption_sections).astype(np.int8),
    )
    os.replace(partial, path)
