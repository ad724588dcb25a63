"""Sizes to train from nothing or to plan for, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from magenta_rt_py.generators.tiny import tiny_lm
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.train.finetune.config import FinetuneConfig, released, starter

CODEC_DIM, STYLE_DIM = 96, 128
"""Widths of the starter's code vectors, for plans without a bundle."""

SIZES: dict[str, Callable[[int, int], LMConfig]] = {
    "tiny": tiny_lm,
    "starter": lambda codec, style: lm_config.starter(codec_code_dim=codec, style_code_dim=style),
    "base": lambda codec, style: lm_config.base(),
    "large": lambda codec, style: lm_config.large(),
}
"""Name -> (width of codec code vectors, of style code vectors) -> sizes."""


def size(name: str, codec_dim: int = CODEC_DIM, style_dim: int = STYLE_DIM) -> LMConfig:
    """The language model of that name.

    Raises:
      ValueError: there is none.
    """
    if name not in SIZES:
        raise ValueError(f"got preset {name!r}, expected one of {', '.join(SIZES)}")
    return SIZES[name](codec_dim, style_dim)


def tiny(method: str = "full") -> FinetuneConfig:
    """A run of seconds, for tests."""
    return dataclasses.replace(
        starter(method),
        steps=6,
        batch_size=4,
        target_frames=20,
        depth_frames=5,
        checkpoint_every_steps=2,
        eval_every_steps=None,
        eval_crops=4,
        log_every_steps=1,
        warmup_steps=1,
    )


def training(name: str, method: str = "full") -> FinetuneConfig:
    """How a model of that size is finetuned."""
    return {"tiny": tiny, "starter": starter}.get(name, released)(method)


def from_nothing(name: str) -> FinetuneConfig:
    """How a model of that size is trained from nothing: more steps, a higher rate, nothing to rehearse.

    Base and Large follow the paper's inverse square root of the step: 1 / sqrt(step) after 10,000 steps. In these it
    rises linearly here, where the paper's stays at its peak.
    """
    config = dataclasses.replace(training(name), rehearsal_share=0.0, style_dropout=0.1, step_offset=0)
    if name in ("base", "large"):
        return dataclasses.replace(config, learning_rate=1.0, warmup_steps=10_000, steps=1_860_000, batch_size=512)
    return dataclasses.replace(config, learning_rate=1.5e-3, steps=config.steps if name == "tiny" else 6_000)
