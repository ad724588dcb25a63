"""The one place where codes (per level, 0..codebook_size-1) and tokens (ids of the model's vocabulary) meet.

    0 PAD | 1 MASK | codec 2 + 1024*level + code | reserved | style 17410 + 1024*level + code | unused

The numbers are the released model's; other sizes follow the same layout from their configuration.
Context arrays hold -1 for a frame that is not there: it becomes MASK, never PAD.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Array, Int

from magenta_rt_py.lm.config import MASK, NUM_SPECIAL, LMConfig

MISSING = -1
"""Marks a code that is not there, in arrays of codes."""

AnyArray: TypeAlias = np.ndarray | Array


def codec_offset(level: int, config: LMConfig) -> int:
    """Id of code 0 of a codec level."""
    if not 0 <= level < config.num_levels:
        raise ValueError(f"got level {level}, expected 0..{config.num_levels - 1}")
    return NUM_SPECIAL + level * config.codebook_size


def codes_to_tokens(codes: Int[np.ndarray, "*batch levels"], config: LMConfig) -> Int[np.ndarray, "*batch levels"]:
    """Ids of codec codes; the last axis is the level, from level 0.

    Raises:
      ValueError: for a code outside [0, codebook_size) or more levels than the vocabulary has.
    """
    _check_codes(codes, config.num_levels, config, missing_allowed=False)
    return _shift(codes, NUM_SPECIAL, config)


def tokens_to_codes(tokens: Int[np.ndarray, "*batch levels"], config: LMConfig) -> Int[np.ndarray, "*batch levels"]:
    """Codes of codec ids; refuses an id that is not of its column's level.

    Raises:
      ValueError: for an id outside its level.
    """
    codes = np.asarray(tokens, np.int32) - NUM_SPECIAL - _level_steps(tokens.shape[-1], config)
    _check_codes(codes, config.num_levels, config, missing_allowed=False)
    return codes


def wrap_tokens_to_codes(tokens: Int[AnyArray, "*batch levels"], config: LMConfig) -> Int[AnyArray, "*batch levels"]:
    """Codes of codec ids as the released system reads them: an id of another level is taken modulo the codebook size.

    Only for reproducing the released system; generation with the level mask never needs it. Works inside jit.
    """
    return (tokens - NUM_SPECIAL).clip(0) % config.codebook_size


def style_codes_to_tokens(codes: Int[np.ndarray, "batch levels"], config: LMConfig) -> Int[np.ndarray, "batch used"]:
    """Ids of the first `style_levels` style codes; -1 becomes MASK.

    Raises:
      ValueError: for too few levels or a code outside [-1, codebook_size).
    """
    if codes.shape[-1] < config.style_levels:
        raise ValueError(f"got {codes.shape[-1]} style levels, expected at least {config.style_levels}")
    codes = codes[:, : config.style_levels]
    _check_codes(codes, config.style_levels, config, missing_allowed=True)
    return _shift(codes, config.style_offset, config)


def encoder_inputs(
    context_codes: Int[np.ndarray, "batch frames levels"],
    style_codes: Int[np.ndarray, "batch style_levels"] | None,
    config: LMConfig,
) -> Int[np.ndarray, "batch tokens"]:
    """What the encoder reads: the context frame by frame, coarsest level first, then the style.

    Args:
      context_codes: exactly `context_frames` frames, oldest first, with at least `context_levels`
        levels; -1 is missing.
      style_codes: at least `style_levels` levels, -1 is masked; None masks the whole style.
    Raises:
      ValueError: for a wrong number of frames or levels, or a code out of range.
    Source: Live Music Models, section 2.4; the released models use 6 style levels, so 1006 tokens.
    """
    batch, frames, levels = context_codes.shape
    if frames != config.context_frames or levels < config.context_levels:
        raise ValueError(
            f"got context of {frames} frames x {levels} levels, expected {config.context_frames} frames x at least "
            f"{config.context_levels} levels: pad missing frames with -1 at the front"
        )
    context = np.asarray(context_codes[:, :, : config.context_levels])
    _check_codes(context, config.context_levels, config, missing_allowed=True)
    context_tokens = _shift(context, NUM_SPECIAL, config).reshape(batch, -1)
    if style_codes is None:
        style_tokens = np.full((batch, config.style_levels), MASK, np.int32)
    else:
        style_tokens = style_codes_to_tokens(style_codes, config)
    return np.concatenate([context_tokens, style_tokens], axis=1)


def _level_steps(levels: int, config: LMConfig) -> Int[np.ndarray, "levels"]:
    return np.arange(levels, dtype=np.int32) * config.codebook_size


def _shift(codes: Int[np.ndarray, "*batch levels"], offset: int, config: LMConfig) -> Int[np.ndarray, "*batch levels"]:
    """Ids of codes counted from `offset`, with MASK where a code is missing."""
    tokens = np.asarray(codes, np.int32) + np.int32(offset) + _level_steps(codes.shape[-1], config)
    return np.where(codes == MISSING, np.int32(MASK), tokens)


def _check_codes(
    codes: Int[np.ndarray, "*batch levels"], most_levels: int, config: LMConfig, *, missing_allowed: bool
) -> None:
    if codes.shape[-1] > most_levels:
        raise ValueError(f"got {codes.shape[-1]} levels on the last axis, expected at most {most_levels}")
    lowest = MISSING if missing_allowed else 0
    if codes.size and (codes.min() < lowest or codes.max() >= config.codebook_size):
        raise ValueError(
            f"got codes from {codes.min()} to {codes.max()}, expected {lowest}..{config.codebook_size - 1}: "
            "check that codes and tokens have not been mixed up"
        )
