"""Batches of a finetune: crops of the new music, some of them replaced by crops of music the model knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.train.data import CropConfig, Crops, CropSampler, Quantizer, TokenDataset
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.lm import crop_config


class RehearsedCrops:
    """`sampler(step)` as of a CropSampler; every crop comes from the rehearsal set with the given probability."""

    def __init__(self, new: CropSampler, known: CropSampler, *, share: float, seed: int) -> None:
        """Both samplers give batches of one size; `share` is 0..1."""
        self._new, self._known = new, known
        self._share, self._seed = share, seed

    def __call__(self, step: int) -> Crops:
        """The batch of `step`, by seed and step alone."""
        new, known = self._new(step), self._known(step)
        rehearsed = np.random.default_rng((self._seed, step, 2)).random(len(new.style_codes)) < self._share
        return Crops(*(_pick(rehearsed, theirs, ours) for ours, theirs in zip(new, known, strict=True)))


def make_sampler(
    config: FinetuneConfig,
    lm_config: LMConfig,
    dataset: TokenDataset,
    rehearsal: TokenDataset | None,
    quantize: Quantizer | None,
) -> CropSampler | RehearsedCrops:
    """The crops of a finetune.

    Args:
      config: batch size, share of rehearsal, style dropout, variable context.
      lm_config: the model's sizes.
      dataset: the new music.
      rehearsal: music that the model knows; None rehearses nothing.
      quantize: the style model's, for blends of captions.
    """
    sizes = crops_of(config, lm_config)
    new = CropSampler(dataset, sizes, batch_size=config.batch_size, seed=config.seed, quantize=quantize)
    if rehearsal is None or config.rehearsal_share == 0:
        return new
    known = CropSampler(rehearsal, sizes, batch_size=config.batch_size, seed=config.seed + 1, quantize=quantize)
    return RehearsedCrops(new, known, share=config.rehearsal_share, seed=config.seed)


def crops_of(config: FinetuneConfig, lm_config: LMConfig) -> CropConfig:
    """Sizes and augmentations of the crops."""
    return replace(
        crop_config(lm_config),
        target_frames=config.target_frames or lm_config.chunk_frames,
        style_dropout=config.style_dropout,
        hidden_past_probability=config.hidden_past_probability,
    )


def _pick(chosen: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    return np.where(chosen.reshape(-1, *(1,) * (ours.ndim - 1)), theirs, ours)
