"""A tiny bundle in the released layout: SpectroStream, MusicCoCa and the plain language model. For tests.

Time geometry, levels, vocabulary and names are the released ones; everything is as narrow as can be. It makes noise.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from magenta_rt_py.bundle import save_bundle
from magenta_rt_py.codec import spectrostream_config, spectrostream_network
from magenta_rt_py.generators.tiny import random_tensors, tokenizer_model
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm import model
from magenta_rt_py.style import musiccoca_config
from magenta_rt_py.style.musiccoca_network import network_shapes

__all__ = ["save_tiny_released_bundle", "tiny_released_lm"]

LM_LEVELS = 16
"""Levels that the language model makes; the codec knows 64."""


def save_tiny_released_bundle(directory: str | os.PathLike[str], *, seed: int = 0) -> Path:
    """Writes such a bundle.

    Args:
      directory: made if need be.
      seed: of the weights.
    """
    generator = np.random.default_rng(seed)
    codec, language = spectrostream_config.tiny(), tiny_released_lm()
    style = dataclasses.replace(musiccoca_config.tiny(), codebook_size=language.codebook_size)
    style_tensors = random_tensors(network_shapes(style), generator)
    style_tensors["quantizer/code_vectors"] = generator.normal(
        0.0, 0.3, (style.num_levels, style.codebook_size, style.dim)
    ).astype(np.float32)
    return save_bundle(
        directory,
        parts={
            "codec": (codec.to_dict(), spectrostream_network.random_tensors(codec, seed=seed)),
            "style": (style.to_dict(), {**style_tensors, "tokenizer/model": tokenizer_model()}),
            "lm": (dataclasses.asdict(language), random_tensors(model.parameter_shapes(language), generator)),
        },
        record={"name": "tiny released", "defaults": {"temperature": 1.1, "top_k": 40, "guidance_weight": 5.0}},
    )


def tiny_released_lm() -> lm_config.LMConfig:
    """The released language model's tokens and layers' kinds, as narrow as can be."""
    return dataclasses.replace(
        lm_config.base(), dim=16, num_heads=2, head_dim=8, mlp_dim=24, encoder_layers=1, temporal_layers=1, depth_layers=1
    )
