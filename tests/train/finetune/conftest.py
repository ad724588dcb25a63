"""A tiny bundle and token shards of its own codes, small enough to finetune in seconds."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py.bundle import Bundle, load_bundle
from magenta_rt_py.generators.tiny import save_tiny_bundle
from magenta_rt_py.lm.adapters import AdapterConfig
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.finetune.presets import tiny

FRAMES, PIECES, WINDOWS = 320, 6, 3
QUICK_COMPILES = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
"""Environment of programs of these tests: they compile for longer than they compute."""


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compiles):
    """The same in this process."""




def write_shard(path: Path, *, seed: int, style_dim: int) -> Path:
    """Pieces that repeat a beat of eight frames; two kinds of style."""
    random = np.random.default_rng(seed)
    loops = random.integers(0, 1024, (PIECES, 8, 16))
    kinds = np.arange(PIECES) % 2
    style = random.normal(0, 0.1, (PIECES, WINDOWS, style_dim)) + kinds[:, None, None]
    np.savez(
        path,
        codes=loops[:, np.arange(FRAMES) % 8].astype(np.int16),
        frames_per_beat=np.full(PIECES, 8.0),
        genre=kinds,
        style_audio=style.astype(np.float32),
        style_text=style[:, :2].astype(np.float32),
        style_audio_codes=random.integers(0, 1024, (PIECES, WINDOWS, 6)).astype(np.int16),
        style_text_codes=random.integers(0, 1024, (PIECES, 2, 6)).astype(np.int16),
    )
    return path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Bundle:
    return load_bundle(save_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture(scope="session")
def shards(tmp_path_factory, bundle) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    for number in range(2):
        write_shard(folder / f"shard-{number:05d}.npz", seed=number, style_dim=bundle.configs["style"]["dim"])
    return folder


def quick(method: str = "full", **fields) -> FinetuneConfig:
    """A run of a few steps on two crops; AdamW, because it compiles fastest."""
    fields = {"steps": 4, "batch_size": 2, "rehearsal_share": 0.0, "optimizer": "adamw", **fields}
    return dataclasses.replace(tiny(method), adapters=AdapterConfig(rank=2), **fields)
