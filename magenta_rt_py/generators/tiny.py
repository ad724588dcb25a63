"""A tiny bundle of random weights: every part present, real time geometry, milliseconds a request. For tests.

It makes noise, not music. Plug-ins may test against it too.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import sentencepiece
from jaxtyping import UInt8

from magenta_rt_py.bundle import save_bundle
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.codec import network
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm import model, refinement
from magenta_rt_py.lm.refinement import RefinementConfig
from magenta_rt_py.style import config as style_config
from magenta_rt_py.style.embedder import tensor_shapes

WORDS = (
    "lofi hip hop with mellow keys and dusty drums", "driving techno with a four on the floor kick",
    "solo piano, slow and quiet", "ambient pads without drums", "funky disco bass and bright strings",
)  # fmt: skip


def save_tiny_bundle(directory: str | os.PathLike[str], *, seed: int = 0) -> Path:
    """Writes a bundle of random weights.

    Args:
      directory: made if need be.
      seed: of the weights.
    """
    codec, style = codec_config.tiny(), tiny_style()
    language = tiny_lm(codec.latent_dim, style.dim)
    fine = RefinementConfig(codec_code_dim=codec.latent_dim, width=16, blocks=1)
    generator = np.random.default_rng(seed)
    return save_bundle(
        directory,
        parts={
            "codec": (dataclasses.asdict(codec), random_codec_tensors(codec, generator)),
            "style": (style.to_dict(), random_style_tensors(style, generator)),
            "lm": (dataclasses.asdict(language), random_tensors(model.parameter_shapes(language), generator)),
            "refinement": (dataclasses.asdict(fine), random_tensors(refinement.parameter_shapes(fine), generator)),
        },
        record={"defaults": {"temperature": 1.0, "top_k": 40, "guidance_weight": 1.5, "bpm": 120.0}},
    )


def tiny_style() -> style_config.StyleConfig:
    """The tiny style model with the style codes that a language model reads: 1024 a level."""
    return dataclasses.replace(style_config.tiny(), num_levels=6, codebook_size=1024)


def tiny_lm(codec_code_dim: int, style_code_dim: int) -> lm_config.LMConfig:
    """The starter's geometry in time and levels, as narrow as can be."""
    starter = lm_config.starter(codec_code_dim=codec_code_dim, style_code_dim=style_code_dim)
    return dataclasses.replace(
        starter, dim=16, num_heads=2, head_dim=8, mlp_dim=24, encoder_layers=1, temporal_layers=1, depth_layers=1
    )


def random_codec_tensors(config: codec_config.CompactCodecConfig, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Codec tensors that make audible noise."""
    tensors = {}
    for name, shape in network.tensor_shapes(config).items():
        fan_in = shape[-2] if len(shape) > 1 else 1
        tensors[name] = generator.normal(0.0, fan_in**-0.5, shape).astype(np.float32)
    tensors["quantizer/codebooks"] = generator.normal(0.0, 0.3, tensors["quantizer/codebooks"].shape).astype(np.float32)
    tensors["statistics/mean"] = np.full_like(tensors["statistics/mean"], -7.0)
    tensors["statistics/deviation"] = np.full_like(tensors["statistics/deviation"], 1.0)
    return tensors


def random_style_tensors(config: style_config.StyleConfig, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Style tensors that tell prompts apart, with a tokenizer fitted to a few words."""
    tensors = {name: generator.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in tensor_shapes(config).items()}
    tensors["front_end/std"] = np.ones_like(tensors["front_end/std"])
    tensors["tokenizer/model"] = tokenizer_model()
    return tensors


def tokenizer_model() -> UInt8[np.ndarray, "bytes"]:
    """A tokenizer fitted to a few words, as a bundle keeps it."""
    packed = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(WORDS), model_writer=packed, vocab_size=60, pad_id=0, bos_id=1, unk_id=2, eos_id=-1,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return np.frombuffer(packed.getvalue(), np.uint8)


def random_tensors(shapes: Mapping[str, tuple[int, ...]], generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Parameters that hear every input, the clock too, and have opinions about what comes next."""
    flat = {}
    for name, shape in shapes.items():
        deviation = 1.0 if "special" in name or len(shape) < 2 else shape[-2] ** -0.5
        flat[name] = generator.normal(0.0, deviation, shape).astype(np.float32)
        if name.endswith("scale"):
            flat[name] = np.ones(shape, np.float32)
    return flat
