"""Heard: the codes of what the model believes it has heard, and the context that is made of them.

    frames      ... s s s s s s s s | p p p p p p |        s: settled, kept; p: provisional, of this request alone
    context         |<------------- 250 --------->|        -1 where nothing was heard yet

Pure, and every array that comes out is new: the context of the model's own codes, which guidance sets against this one,
is never written to.
Source: Live Music Models, Appendix E (context of the mix against context of the output alone).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

__all__ = ["MISSING", "Heard", "choose_codes", "init_state", "step"]

MISSING = -1
"""Code of a frame that nobody heard."""


class Heard(NamedTuple):
    """Settled codes, by stream frame."""

    codes: Int[np.ndarray, "context levels"]
    """The last settled frames, newest last; -1 where there are none."""
    end_frame: int
    """Stream frame after the last of them."""


def init_state(
    context_codes: Int[np.ndarray, "context levels"] | None = None,
    *,
    end_frame: int = 0,
    context_frames: int = 250,
    levels: int = 4,
) -> Heard:
    """What was heard before injection begins: the model's own context (copied), or nothing.

    Args:
      context_codes: the model's context at `end_frame`; None for nothing.
      end_frame: stream frame after its last one.
      context_frames: its length, if there is none.
      levels: its levels, if there is none.
    """
    if context_codes is None:
        return Heard(np.full((context_frames, levels), MISSING, np.int32), end_frame)
    return Heard(context_codes.astype(np.int32, copy=True), end_frame)


def step(
    state: Heard, start_frame: int, codes: Int[np.ndarray, "frames levels"], settled_frames: int
) -> tuple[Heard, Int[np.ndarray, "context levels"]]:
    """Adds the codes of a mix.

    Args:
      state: what was heard before.
      start_frame: stream frame of the first code; the end of what was settled before.
      codes: of the mix, as many levels as the context has.
      settled_frames: so many of the first are kept.
    Returns:
      the next state, and the context that ends with the last of `codes`.
    Raises:
      ValueError: the codes do not go on where the settled ones end, or have another number of levels.
    """
    if start_frame != state.end_frame:
        raise ValueError(f"codes from frame {start_frame} on, expected {state.end_frame}; encode from the settled frame")
    if codes.shape[1] != state.codes.shape[1]:
        raise ValueError(f"codes of {codes.shape[1]} levels, the context has {state.codes.shape[1]}; cut them to that")
    if not 0 <= settled_frames <= len(codes):
        raise ValueError(f"{settled_frames} settled frames of {len(codes)}; give 0 to {len(codes)}")
    length = len(state.codes)
    whole = np.concatenate([state.codes, codes.astype(np.int32)])
    settled = whole[settled_frames : settled_frames + length].copy()
    return Heard(settled, start_frame + settled_frames), whole[len(whole) - length :].copy()


def choose_codes(
    encoded: Int[np.ndarray, "frames levels"], own: Int[np.ndarray, "frames levels"], is_mixed: Bool[np.ndarray, "frames"]
) -> Int[np.ndarray, "frames levels"]:
    """The codes of a mix: encoded where something was mixed in, the model's own where it is just what was played.

    Encoding what was decoded does not give the same codes again; keeping the own ones keeps the model on its own ground.
    """
    return np.where(is_mixed[:, None], encoded, own)
