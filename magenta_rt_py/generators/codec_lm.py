"""The codec language model as a live generator: from ten seconds of context and a style to the next chunk.

    context (250 frames)                            request
    ... | o o o o o o o o o o o o o o o o o o o o | n n n n n n n n |
          coarse codes + style -> encoder             temporal, depth -> codes -> refinement -> codec -> sound

Source: Live Music Models, section 2.3 (chunk-based autoregression with coarse context). What differs: requests of 1 to
50 frames, so that a new control is heard sooner; the codec's state is carried, so that nothing has to be crossfaded
(continuity="crossfade" is the released way); and the transport's clock. `exact.py` has the released program's ways together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.state import CHUNK_FRAMES, FRAME_RATE_HZ, FRAME_SAMPLES, MISSING, LiveState, filled_frames
from magenta_rt_py.lm import clock as metrical_clock
from magenta_rt_py.lm import decode, refinement, vocabulary

CONTINUITIES = ("stream", "crossfade")
PURPOSES = ("language model", "refinement")
"""What draws at random; a place in this list must not change, or seeds change their meaning."""


class GeneratedChunk(NamedTuple):
    """What one request made."""

    codes: Int[np.ndarray, "frames levels"]
    """Codes of the new frames, all generated levels."""
    samples: Float[np.ndarray, "samples 2"]
    """frames * 1920 samples at 48 kHz; they lag the codes by one frame. Not guarded against peaks."""


def init_state(models: Models, *, seed: int, continuity: str = "stream") -> LiveState:
    """The state of a stream that has not begun: no context, beat 0, silence.

    Args:
      models: what will make the stream.
      seed: 0 .. 2**32 - 1.
      continuity: "stream" carries the codec's state from chunk to chunk; "crossfade" decodes every chunk anew with the
        frame before it and fades over that frame, as the released system does.
    """
    check_seed(seed)
    if continuity not in CONTINUITIES:
        raise ValueError(f"continuity is {continuity!r}; use one of {', '.join(CONTINUITIES)}")
    if models.is_exact and continuity != "crossfade":
        raise ValueError(f"continuity is {continuity!r}; the released program joins chunks by crossfade")
    streamed = continuity == "stream"
    context_frames = models.lm_config.context_frames
    return LiveState(
        context_codes=np.full((context_frames, models.num_levels), MISSING, np.int32),
        context_clock=metrical_clock.unset_clock(context_frames),
        beat=np.array(0.0),
        codec_state=models.codec.init_decode_state(1) if streamed else None,
        crossfade_tail=None if streamed else np.zeros((FRAME_SAMPLES, 2), np.float32),
        refinement_state=_fresh_refinement(models),
        frame_index=np.array(0, np.int64),
        seed=np.array(seed, np.int64),
    )


def check_seed(seed: int) -> None:
    """Refuses a seed that is no 32-bit number.

    Raises:
      ValueError: unless 0 <= seed < 2**32.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; give a whole number from 0 to {2**32 - 1}")


def generate_chunk(
    models: Models,
    state: LiveState,
    style_codes: Int[np.ndarray, "style_levels"] | None,
    controls: Controls,
    *,
    frames: int = CHUNK_FRAMES,
) -> tuple[LiveState, GeneratedChunk]:
    """Continues a stream by one request. Pure: the same arguments give the same chunk, and `state` is left alone.

    Args:
      models: the loaded models.
      state: of the stream; `init_state` makes the first.
      style_codes: codes of the style's first levels; None masks the style.
      controls: the knobs of this request.
      frames: 1 .. 50; must be 50 until ten seconds of context are full, as in training.
    Returns:
      the next state, and the chunk.
    Raises:
      ValueError: if frames is out of range.
    Source: Live Music Models, section 2.3.1: Chunk_i ~ P(. | Coarse_{i-H:i}, c_i).
    """
    check_request(models, state, frames)
    # Where in the bar each frame to come will be: the transport runs ahead by one request.
    clock, next_beat = clock_ahead(state.beat, controls.bpm, frames)
    # Coarse_{i-H:i} and c_i through the encoder; then frame by frame, level by level. One compiled dispatch.
    coarse = sample_coarse(models, state, style_codes, controls, clock)
    # The finer levels, which the language model leaves out.
    refinement_state, codes = refine(models, state, coarse, controls)
    # a' = Dec(e').
    state_after_audio, samples = decode_audio(models, state, codes)
    # Markov: of the past only the context remains.
    next_state = remember(state_after_audio, codes, clock)._replace(
        beat=next_beat,
        refinement_state=refinement_state,
        frame_index=np.asarray(state.frame_index + frames),
    )
    return next_state, GeneratedChunk(codes, samples)


def sample_coarse(
    models: Models,
    state: LiveState,
    style_codes: Int[np.ndarray, "style_levels"] | None,
    controls: Controls,
    clock: Float[np.ndarray, "frames features"],
) -> Int[np.ndarray, "frames coarse_levels"]:
    """Codes of the frames to come, as many levels as the language model makes.

    Two rows run side by side: the style, and the style masked, for guidance. Both run whatever the guidance weight is,
    so that turning it never compiles anything while the music plays.
    """
    config = models.lm_config
    tokens, knobs = request_inputs(models, state, style_codes, controls, clock)
    key = released_key(models, state) if models.is_exact else request_key(state)
    params = models.params_at(controls.adapter_strength)
    codes = decode.generate(
        params,
        config,
        tokens,
        knobs,
        key,
        frames=len(clock),
        exact=models.is_exact,
        averaged=models.averaged,
        packed=models.packed_of(params),
    )
    return np.asarray(codes)


def request_inputs(
    models: Models,
    state: LiveState,
    style_codes: Int[np.ndarray, "style_levels"] | None,
    controls: Controls,
    clock: Float[np.ndarray, "frames features"],
) -> tuple[Int[np.ndarray, "2 tokens"], decode.Controls]:
    """What the language model is given for the frames to come: rows with and without the style, and the knobs."""
    config, context = models.lm_config, state.context_codes[None]
    styles = (None if style_codes is None else style_codes[None], None)
    knobs = decode.Controls(
        temperature=np.float32(controls.temperature),
        top_k=np.int32(controls.top_k),
        guidance_weight=np.float32(controls.guidance_weight),
        input_guidance_weight=np.float32(0.0),
        context_clock=state.context_clock,
        target_clock=clock,
    )
    return np.concatenate([vocabulary.encoder_inputs(context, style, config) for style in styles]), knobs


def compiled_programs() -> int:
    """How many language model programs are in memory: one for each length of request, whatever the controls."""
    return decode.compiled_programs()


def refine(
    models: Models, state: LiveState, coarse: Int[np.ndarray, "frames coarse_levels"], controls: Controls
) -> tuple[Any, Int[np.ndarray, "frames levels"]]:
    """The refinement model's next state, and the codes with its finer levels; without such a model, as they are.

    The fine levels are texture: a temperature above 1 is for the language model and stays out of them.
    """
    if models.refinement_params is None:
        return None, coarse
    next_state, codes = refinement.refine(
        models.refinement_params,
        models.refinement_config,
        models.refinement_vectors,
        state.refinement_state,
        coarse[None],
        stream_key(state, "refinement"),
        np.float32(min(controls.temperature, 1.0)),
    )
    return next_state, np.asarray(codes[0])


def check_request(models: Models, state: LiveState, frames: int) -> None:
    """Refuses a request that the model was not trained for.

    Raises:
      ValueError: if frames is not 1 .. 50, or not 50 while the context still fills.
    """
    longest = models.lm_config.chunk_frames
    if not 1 <= frames <= longest:
        raise ValueError(f"a request of {frames} frames; give 1 .. {longest}")
    if models.is_exact and frames != longest:
        raise ValueError(f"a request of {frames} frames in exact mode; the released program makes {longest} at once")
    filled, needed = filled_frames(state), models.lm_config.context_frames
    if filled < needed and frames != longest:
        raise ValueError(
            f"a request of {frames} frames with {filled} of {needed} context frames filled; make requests of {longest} "
            "frames until the context is full, or prime it with 10 s of sound"
        )


def clock_ahead(
    beat: Float[np.ndarray, ""], bpm: float | None, frames: int
) -> tuple[Float[np.ndarray, "frames features"], Float[np.ndarray, ""]]:
    """Clock rows of the frames to come, and the transport's position after them; without a tempo it stands still."""
    if bpm is None:
        return metrical_clock.unset_clock(frames), beat
    beats_a_frame = bpm / 60.0 / FRAME_RATE_HZ
    positions = beat + beats_a_frame * np.arange(frames)
    return metrical_clock.clock_features(positions, bpm), np.array(beat + beats_a_frame * frames)


def request_key(state: LiveState) -> jax.Array:
    """The language model's PRNG key for the next request: of seed and position only, so that any chunk can be made
    again."""
    return jax.random.fold_in(stream_key(state, "language model"), np.uint32(state.frame_index % 2**32))


def released_key(models: Models, state: LiveState) -> jax.Array:
    """The key of the next chunk by the released program's rule: of the seed plus the chunk's number."""
    return jax.random.key(np.uint32((int(state.seed) + int(state.frame_index) // models.lm_config.chunk_frames) % 2**32))


def stream_key(state: LiveState, purpose: str) -> jax.Array:
    """A PRNG key of the whole stream, one for each purpose."""
    return key_of(np.uint32(state.seed), purpose)


def key_of(seed: Any, purpose: str) -> jax.Array:
    """`stream_key` of a seed, an unsigned 32-bit number that may be traced."""
    return jax.random.fold_in(jax.random.key(seed), PURPOSES.index(purpose))


def _fresh_refinement(models: Models) -> refinement.RefinementState | None:
    return None if models.refinement_params is None else refinement.init_state(models.refinement_config)


def remember(
    state: LiveState, codes: Int[np.ndarray, "frames levels"], clock: Float[np.ndarray, "frames features"]
) -> LiveState:
    """Rolls the context: the oldest frames fall out, the new ones come in at the end."""
    frames = len(codes)
    return state._replace(
        context_codes=np.concatenate([state.context_codes[frames:], codes.astype(np.int32)]),
        context_clock=np.concatenate([state.context_clock[frames:], clock]),
    )


def decode_audio(
    models: Models, state: LiveState, codes: Int[np.ndarray, "frames levels"]
) -> tuple[LiveState, Float[np.ndarray, "samples 2"]]:
    """Sound of the new frames, joined to what came before; one frame late either way."""
    if state.crossfade_tail is None:
        codec_state, samples = models.codec.decode_step(state.codec_state, codes[None])
        return state._replace(codec_state=codec_state), samples[0]
    # As released: decode the frame before once more, now with its future, and fade from its first version to this one.
    #
    #   last chunk     ... f f f f T          T: tail, heard only as far as it fades
    #   this chunk               [T' n n n N] N: the next tail
    #   heard                     T>T' n n n
    previous = state.context_codes[-1:]
    if state.frame_index == 0 and previous.min() == MISSING:
        previous = np.zeros_like(previous)
    samples = models.codec.decode(np.concatenate([previous, codes])[None])[0]
    rise = np.sin(np.linspace(0.0, np.pi / 2, FRAME_SAMPLES, endpoint=False, dtype=np.float32))[:, None]
    joined = samples[:FRAME_SAMPLES] * rise + state.crossfade_tail * rise[::-1]
    chunk = np.concatenate([joined, samples[FRAME_SAMPLES:-FRAME_SAMPLES]])
    return state._replace(crossfade_tail=samples[-FRAME_SAMPLES:]), chunk


def prime(
    models: Models, state: LiveState, samples: Float[np.ndarray, "samples 2"], *, bpm: float | None = None
) -> LiveState:
    """The state of a stream that believes it has just played `samples`: it goes on from there.

    Args:
      models: the loaded models.
      state: of any stream; its seed and position stay.
      samples: 48 kHz; only the last ten seconds are remembered. Less than that fills the context partly.
      bpm: tempo of the samples if the first one is a downbeat: gives the context its clock and moves the transport to
        its end. None leaves both alone.
    Raises:
      ValueError: if there is less than one frame (40 ms) of sound.
    """
    frames = min(len(samples) // FRAME_SAMPLES, models.lm_config.context_frames)
    if not frames:
        raise ValueError(f"{len(samples)} samples to prime with; give at least one frame ({FRAME_SAMPLES})")
    codes = models.codec.encode(np.ascontiguousarray(samples[None, -frames * FRAME_SAMPLES :], np.float32))[0]
    codes = codes[:, : models.num_levels]
    clock, beat = metrical_clock.unset_clock(frames), state.beat
    if bpm is not None:
        begins_at_seconds = (len(samples) - frames * FRAME_SAMPLES) / models.codec.sample_rate
        clock, beat = clock_ahead(np.array(begins_at_seconds * bpm / 60.0), bpm, frames)
    primed = remember(state, codes, clock)._replace(beat=beat, refinement_state=_primed_refinement(models, state, codes))
    if state.crossfade_tail is not None:
        return primed._replace(crossfade_tail=models.codec.decode(codes[None])[0, -FRAME_SAMPLES:])
    # The decoder hears the codes too, so that the first chunk grows out of the sound instead of out of silence.
    codec_state, _ = models.codec.decode_step(models.codec.init_decode_state(1), codes[None])
    return primed._replace(codec_state=codec_state)


def _primed_refinement(
    models: Models, state: LiveState, codes: Int[np.ndarray, "frames levels"]
) -> refinement.RefinementState | None:
    """The refinement state after the last 2 s of `codes`; its count of frames, which its draws depend on, stays."""
    fresh = _fresh_refinement(models)
    if fresh is None:
        return None
    recent = codes[-models.lm_config.chunk_frames :, : models.lm_config.num_levels]
    heard = state._replace(refinement_state=fresh)
    after, _ = refine(models, heard, recent, Controls())
    return after._replace(frame=state.refinement_state.frame)
