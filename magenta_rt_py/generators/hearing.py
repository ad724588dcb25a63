"""Hearing: what the model hears when a performer plays along, as the codes its encoder reads.

    mix          | s s s s s s s s | p p p p p p |          s: settled, p: provisional (live.injection)
    codec        encoded once ->   state  -> encoded from a copy of the state, again with every mix
    codes final  | f f f f f f f w |                        w: waits for the look-ahead to settle
    context      ... own own mixed mixed own mixed          encoded where something was mixed in, own elsewhere

The codes of a frame depend on `encode_lookahead_samples` of sound after its end. So the last settled frames, the
*pending* ones, keep only their own codes until the frames after them have settled, and are encoded with the provisional
ones until then. After the end of the mix the codec hears silence, as it does at the end of a recording.

While nobody plays the codec does not run: once nothing was mixed in for `WARM_UP_FRAMES`, its state is dropped, and
the next mixed frame begins with that much of the sound before it. That is more than any codec here remembers, so the
codes are those of a codec that never paused; and when it runs depends on the settled frames alone, so that they are the
same however the stream was cut into mixes.

Pure: every state may be kept and gone back to.
Source: Live Music Models, section 4.2 and Appendix E. What differs: requests of any length, sound encoded only once,
and own codes kept where nothing was mixed in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.state import FRAME_SAMPLES
from magenta_rt_py.live import heard, injection
from magenta_rt_py.lm import vocabulary
from magenta_rt_py.lm.config import LMConfig

WARM_UP_FRAMES = 25
"""Sound that the codec hears before its codes count: 1 s. The compact codec remembers 13 frames (ours)."""


class HearingState(NamedTuple):
    """What is carried from mix to mix."""

    encode_state: Any
    """The codec's state after the settled sound; None while nobody plays."""
    heard: heard.Heard
    """The final codes; they end `pending` frames before the settled sound."""
    pending_codes: Int[np.ndarray, "pending levels"]
    """The model's own codes of the settled frames whose look-ahead has not settled."""
    pending_is_mixed: Bool[np.ndarray, "pending"]
    """Whether something was mixed into them."""
    recent_samples: Float[np.ndarray, "samples 2"]
    """The last `WARM_UP_FRAMES` of settled sound."""
    quiet_frames: int
    """Settled frames since something was mixed in; counted up to `WARM_UP_FRAMES`."""

    @property
    def settled_frame(self) -> int:
        """Stream frame after the last settled one: where the next mix has to begin."""
        return self.heard.end_frame + len(self.pending_codes)


def init_state(
    models: Models,
    context_codes: Int[np.ndarray, "context levels"],
    *,
    end_frame: int,
    recent_samples: Float[np.ndarray, "samples 2"] | None = None,
) -> HearingState:
    """The model has heard itself, up to `end_frame`.

    Args:
      models: the loaded models; of them the codec hears.
      context_codes: of the model's own context, -1 where nothing was played; at least the levels that the encoder reads.
      end_frame: stream frame after the context's last one; there the first mix has to begin.
      recent_samples: what was played up to there, 48 kHz, any length; the last second counts. None is silence.
    Raises:
      ValueError: a context of another length, or with fewer levels than the encoder reads.
    """
    config = models.lm_config
    frames, levels = context_codes.shape
    if frames != config.context_frames or levels < config.context_levels:
        raise ValueError(
            f"got a context of {frames} frames x {levels} levels, expected {config.context_frames} frames x at least "
            f"{config.context_levels} levels: pass LiveState.context_codes"
        )
    pending = _pending_frames(models)
    before = np.concatenate([np.full((pending, levels), heard.MISSING), context_codes])[:frames]
    return HearingState(
        encode_state=None,
        heard=heard.init_state(before, end_frame=end_frame - pending),
        pending_codes=context_codes[frames - pending :].astype(np.int32),
        pending_is_mixed=np.zeros(pending, bool),
        recent_samples=_last_second(np.zeros((0, 2), np.float32) if recent_samples is None else recent_samples),
        quiet_frames=WARM_UP_FRAMES,
    )


def step(
    models: Models, state: HearingState, mix: injection.Mix, own_codes: Int[np.ndarray, "frames own_levels"]
) -> tuple[HearingState, Int[np.ndarray, "context levels"]]:
    """Hears a mix.

    Args:
      models: the loaded models.
      state: what was heard before.
      mix: of performer and model; it begins where the last one was settled.
      own_codes: the model's own codes of exactly the mix's frames, at least as many levels as the context has; -1 where
        nothing was played. They belong to the frame in which they sound: a codec that decodes
        `decode_latency_frames` late plays the codes of its frame f in stream frame f + 1.
    Returns:
      the next state, and the context that ends with the mix: -1 where nobody was heard, as many levels as
      `init_state` was given.
    Raises:
      ValueError: the mix does not begin where the last one was settled, or the codes do not fit it.
    """
    own_codes = _checked(state, mix, own_codes)
    settled = mix.settled_frames
    cut, pending = settled * FRAME_SAMPLES, len(state.pending_codes)
    levels = own_codes.shape[1]

    # Final: what is settled goes through the codec once, and its codes come out `pending` frames later.
    own = np.concatenate([state.pending_codes, own_codes])
    is_mixed = np.concatenate([state.pending_is_mixed, mix.is_mixed])
    after, encoded = _listen(models, state, mix.samples[:cut], mix.is_mixed[:settled])
    final = heard.choose_codes(encoded[:, :levels], own[:settled], is_mixed[:settled])

    # Provisional: the rest, and silence after it for the look-ahead, from the same state.
    own_after, mixed_after = own[settled:], is_mixed[settled:]
    provisional = own_after
    if mixed_after.any():
        silence = np.zeros((pending * FRAME_SAMPLES, 2), np.float32)
        rest = np.concatenate([mix.samples[cut:], silence])
        _, encoded = _listen(models, after, rest, np.concatenate([mix.is_mixed[settled:], np.zeros(pending, bool)]))
        provisional = heard.choose_codes(encoded[:, :levels], own_after, mixed_after)

    start_frame = state.heard.end_frame
    kept, context = heard.step(state.heard, start_frame, np.concatenate([final, provisional]), settled)
    following = after._replace(heard=kept, pending_codes=own_after[:pending], pending_is_mixed=mixed_after[:pending])
    return following, context


def three_rows(
    context_mixed: Int[np.ndarray, "context levels"],
    context_own: Int[np.ndarray, "context levels"],
    style_codes: Int[np.ndarray, "style_levels"] | None,
    config: LMConfig,
) -> Int[np.ndarray, "3 tokens"]:
    """What `lm.decode.generate` reads when both guidances are on: mix with style, mix without, own with style.

    Args:
      context_mixed: what the model hears, from `step`.
      context_own: its own context alone.
      style_codes: codes of the style's first levels; None masks the style in every row.
      config: of the language model.
    Raises:
      ValueError: for a wrong number of frames or levels, or a code out of range.
    """
    style = None if style_codes is None else style_codes[None]
    conditioned = vocabulary.encoder_inputs(context_mixed[None], style, config)
    masked_style = vocabulary.encoder_inputs(context_mixed[None], None, config)
    own_context = vocabulary.encoder_inputs(context_own[None], style, config)
    return np.concatenate([conditioned, masked_style, own_context])


def _listen(
    models: Models, state: HearingState, samples: Float[np.ndarray, "samples 2"], is_mixed: Bool[np.ndarray, "frames"]
) -> tuple[HearingState, Int[np.ndarray, "frames all_levels"]]:
    """The codec hears the next frames; codes come out `pending` frames late, -1 where it did not have to run."""
    first, pieces = 0, [np.zeros((0, models.codec.num_levels), np.int32)]
    while first < len(is_mixed):
        rest = is_mixed[first:]
        if state.encode_state is None:
            count = int(rest.argmax()) if rest.any() else len(rest)
            codes = np.full((count, models.codec.num_levels), heard.MISSING, np.int32)
            state = _remember(state, samples[first * FRAME_SAMPLES : (first + count) * FRAME_SAMPLES])
            if count < len(rest):
                state = _wake(models, state)
        else:
            count, quiet = _until_quiet(state.quiet_frames, rest)
            piece = samples[first * FRAME_SAMPLES : (first + count) * FRAME_SAMPLES]
            encode_state, batch = models.codec.encode_step(state.encode_state, piece[None])
            codes = batch[0]
            encode_state = None if quiet >= WARM_UP_FRAMES else encode_state
            state = _remember(state._replace(encode_state=encode_state, quiet_frames=quiet), piece)
        pieces.append(codes)
        first += count
    return state, np.concatenate(pieces)


def _wake(models: Models, state: HearingState) -> HearingState:
    """The codec after the last second, about to hear a frame that something is mixed into."""
    fresh = models.codec.init_encode_state(1)
    encode_state, _ = models.codec.encode_step(fresh, state.recent_samples[None])
    return state._replace(encode_state=encode_state, quiet_frames=0)


def _until_quiet(quiet_frames: int, is_mixed: Bool[np.ndarray, "frames"]) -> tuple[int, int]:
    """How many of the frames come before the codec may pause, and the quiet ones at their end."""
    for frame, mixed in enumerate(is_mixed):
        quiet_frames = 0 if mixed else quiet_frames + 1
        if quiet_frames >= WARM_UP_FRAMES:
            return frame + 1, quiet_frames
    return len(is_mixed), quiet_frames


def _remember(state: HearingState, samples: Float[np.ndarray, "samples 2"]) -> HearingState:
    if not len(samples):
        return state
    return state._replace(recent_samples=_last_second(np.concatenate([state.recent_samples, samples])))


def _last_second(samples: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "kept 2"]:
    """The end of the sound, with silence before it where it is too short; a copy."""
    kept = np.zeros((WARM_UP_FRAMES * FRAME_SAMPLES, 2), np.float32)
    last = samples[-len(kept) :]
    kept[len(kept) - len(last) :] = last
    return kept


def _pending_frames(models: Models) -> int:
    return -(-models.codec.encode_lookahead_samples // FRAME_SAMPLES)


def _checked(
    state: HearingState, mix: injection.Mix, own_codes: Int[np.ndarray, "frames own_levels"]
) -> Int[np.ndarray, "frames levels"]:
    """The own codes, cut to the context's levels."""
    frames, levels = len(mix.is_mixed), state.heard.codes.shape[1]
    if mix.start_frame != state.settled_frame:
        raise ValueError(
            f"a mix from frame {mix.start_frame} on, expected {state.settled_frame}; keep the HearingState together with "
            "the InjectionState"
        )
    if len(mix.samples) != frames * FRAME_SAMPLES or not 0 <= mix.settled_frames <= frames:
        raise ValueError(f"a mix of {len(mix.samples)} samples, {mix.settled_frames} frames settled and {frames} in all")
    if len(own_codes) != frames or own_codes.shape[1] < levels:
        raise ValueError(
            f"own codes of {own_codes.shape[0]} frames x {own_codes.shape[1]} levels, expected {frames} frames x at least "
            f"{levels} levels: give those of the mix's frames, -1 where nothing was played"
        )
    return own_codes[:, :levels].astype(np.int32)
