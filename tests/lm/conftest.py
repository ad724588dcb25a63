"""Tiny models, the golden files, and the released code's numbers where they are at hand."""

import json
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm.config import LMConfig

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"


class Case(NamedTuple):
    """A model with known results.

    Attributes:
      config: its sizes.
      params: its parameters.
      data: inputs and results by name.
    """

    config: LMConfig
    params: dict
    data: dict


def golden_config(*, starter: bool) -> LMConfig:
    """Sizes of make_lm_golden.py."""
    ours = {"codec_code_dim": 5, "style_code_dim": 4} if starter else {}
    for name in ("factorised", "clock", "summary_at_every_level", "continue_context", "bar_recall", "style_at_every_frame"):
        ours[name] = starter
    return LMConfig(
        dim=12,
        num_heads=2,
        head_dim=6,
        mlp_dim=20,
        encoder_layers=1,
        temporal_layers=2,
        depth_layers=1,
        temporal_buckets=32,
        depth_buckets=4,
        num_levels=3,
        context_levels=2,
        codebook_size=24,
        style_levels=2,
        reserved_tokens=6,
        unused_tokens=0,
        context_frames=6,
        chunk_frames=24,
        context_positions_per_frame=1 if starter else 2,
        **ours,
    )


def read_case(path: Path, config: LMConfig) -> Case:
    """Parameters and arrays of an .npz file."""
    with np.load(path) as stored:
        arrays = dict(stored)
    params = {name.removeprefix("param:"): value for name, value in arrays.items() if name.startswith("param:")}
    data = {name: value for name, value in arrays.items() if not name.startswith("param:")}
    return Case(config, lm.load(params, config), data)


@pytest.fixture(scope="session")
def plain_case() -> Case:
    """The released form, numbers of make_lm_golden.py."""
    return read_case(GOLDEN / "lm_plain.npz", golden_config(starter=False))


@pytest.fixture(scope="session")
def starter_case() -> Case:
    """The starter's form, numbers of make_lm_golden.py."""
    return read_case(GOLDEN / "lm_starter.npz", golden_config(starter=True))


@pytest.fixture(scope="session")
def starter_vectors(starter_case) -> lm.CodeVectors:
    """The code vectors of starter_case."""
    data = starter_case.data
    return lm.CodeVectors(jnp.asarray(data["codec_vectors"]), jnp.asarray(data["style_vectors"]))


def oracle_config(folder: Path, name: str) -> LMConfig:
    """Sizes of one of the released code's toy models."""
    stored = json.loads((folder / f"{name}.json").read_text())["config"]
    sizes = {
        "dim": stored["EMBED_DIM"],
        "num_heads": stored["NUM_HEADS"],
        "head_dim": stored["HEAD_DIM"],
        "mlp_dim": stored["MLP_DIM"],
        "encoder_layers": stored["NUM_ENCODER_LAYERS"],
        "temporal_layers": stored["NUM_TEMPORAL_LAYERS"],
        "depth_layers": stored["NUM_DEPTH_LAYERS"],
        "num_levels": stored["NUM_LEVELS"],
        "depth_buckets": stored["NUM_LEVELS"],
        "activation_dtype": "bfloat16" if name.endswith("bf16") else "float32",
    }
    if name.startswith("tiny"):  # 30 encoder tokens and 300 ids without the real layout
        sizes |= {"context_frames": 6, "codebook_size": 16, "reserved_tokens": 0, "unused_tokens": 300 - 2 - 64 - 96}
    return LMConfig(**sizes)


@pytest.fixture(scope="session")
def oracle_cases(oracle_folder) -> dict[str, Case]:
    """The released code's toy models by name; empty where its numbers are not at hand.

    The golden files, which are always there, hold the same equations; these tests prove them against the source.
    """
    if oracle_folder is None:
        return {}
    folder = oracle_folder
    names = ("tiny_f32", "geom_f32", "tiny_bf16")
    return {name: read_case(folder / f"{name}.npz", oracle_config(folder, name)) for name in names}


@pytest.fixture(scope="session")
def oracle_trees(oracle_folder) -> dict:
    """Parameter names and shapes of the released models; empty where they are not at hand."""
    return json.loads((oracle_folder / "param_tree.json").read_text()) if oracle_folder else {}
