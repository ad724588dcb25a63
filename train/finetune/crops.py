"""Batches of a finetune: crops of the new music, some of them replaced by crops of music the model knows.

Where music is rehearsed, only its crops lose their style, and most of those lose their clock too. That is what the masked
row of guidance is asked: music of any kind. Were it taught the new music, guidance would push away from that and, in
known styles, to nowhere (docs/finetuning.md, the masked row).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.train.data import MISSING, CropConfig, Crops, CropSampler, Quantizer, TokenDataset
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.lm import crop_config

MASKED_WITHOUT_CLOCK = 0.75
"""Of the rehearsed crops without a style, share without a clock; the others are for who plays on a beat without a prompt."""


class RehearsedCrops:
    """`sampler(step)` as of a CropSampler; a share of each batch, at its head, comes from the rehearsal set."""

    def __init__(self, new: CropSampler, known: CropSampler, *, share: float, seed: int) -> None:
        """Both samplers give batches of one size; `share` is 0..1."""
        self._new, self._known = new, known
        self._share, self._seed = share, seed

    def rehearsed(self, step: int) -> np.ndarray:
        """Which crops of the batch of `step` are rehearsed: the first ones.

        Where the share is no whole number of crops, some batches have one more than others.
        """
        wanted = self._share * self._new.batch_size
        count = int(wanted + np.random.default_rng((self._seed, step, 2)).random())
        return np.arange(self._new.batch_size) < count

    def __call__(self, step: int) -> Crops:
        """The batch of `step`, by seed and step alone."""
        new, known = self._new(step), self._known(step)
        rehearsed = self.rehearsed(step)
        draws = np.random.default_rng((self._seed, step, 3)).random(len(rehearsed))
        known = _without_clock(known, is_masked(known) & (draws < MASKED_WITHOUT_CLOCK))
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
    sizes, share, batch = crops_of(config, lm_config), config.rehearsal_share, config.batch_size
    if rehearsal is None or share == 0:
        return CropSampler(dataset, sizes, batch_size=batch, seed=config.seed, quantize=quantize)
    styled = replace(sizes, style_dropout=0.0)
    masked = replace(sizes, style_dropout=min(config.style_dropout / share, 1.0))
    new = CropSampler(dataset, styled, batch_size=batch, seed=config.seed, quantize=quantize)
    known = CropSampler(rehearsal, masked, batch_size=batch, seed=config.seed + 1, quantize=quantize)
    return RehearsedCrops(new, known, share=share, seed=config.seed)


def crops_of(config: FinetuneConfig, lm_config: LMConfig) -> CropConfig:
    """Sizes and augmentations of the crops."""
    return replace(
        crop_config(lm_config),
        target_frames=config.target_frames or lm_config.chunk_frames,
        style_dropout=config.style_dropout,
        hidden_past_probability=config.hidden_past_probability,
    )


def is_masked(crops: Crops) -> np.ndarray:
    """Which crops have no style."""
    return (crops.style_codes == MISSING).all(axis=1)


def _without_clock(crops: Crops, chosen: np.ndarray) -> Crops:
    """The crops, the chosen ones with their clocks unset."""
    kept = ~chosen[:, None, None]
    return crops._replace(context_clock=crops.context_clock * kept, target_clock=crops.target_clock * kept)


def _pick(chosen: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    return np.where(chosen.reshape(-1, *(1,) * (ours.ndim - 1)), theirs, ours)
