"""Generation: one compiled call makes all frames of a request.

    encoder (once, all guidance rows) -> keys and values for the temporal stack (once)
    for each frame:   temporal step -> for each level: depth step -> guidance -> draw
                                       for each averaged level: depth step -> code nearest to the mean (lm.averaging)

Rows are the variants that guidance compares; they share every drawn id:
    1 row   the condition alone
    2 rows  condition, masked
    3 rows  condition, masked, own context (see lm.guidance.guide_twice)
The masked row knows neither style nor clock, so that guidance pushes towards both: with the clock in it the starter's
beat stays vague (docs/benchmarks.md, beat). Without a tempo, and in models without a clock, the style is all that it
lacks, as in the released system.
Guidance is for the levels that are drawn: the averaged ones are those of the condition alone, and only its row goes on.

One stream of a narrow model on a CPU, or of a wide one stored in int8, has a faster way for all below the first line:
`lm.narrow_decode`. What is here stays the reference, and serves other wide models and devices, batches and exact mode.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from magenta_rt_py.lm import narrow_decode
from magenta_rt_py.lm.averaging import AveragedLevels, nearest_to_mean
from magenta_rt_py.lm.config import MASK, NUM_SPECIAL, PAD, LMConfig
from magenta_rt_py.lm.guidance import guide, guide_twice
from magenta_rt_py.lm.model import Params
from magenta_rt_py.lm.packing import Packed
from magenta_rt_py.lm.request import Controls, apply, check_averaged, check_request, make_controls, prepare
from magenta_rt_py.lm.sampling import common_way, sample, sample_exact
from magenta_rt_py.lm.vocabulary import AnyArray, codec_offset, wrap_tokens_to_codes
from magenta_rt_py.nn.cores import NARROW_DIM, ONE_CORE

_STATIC = ("config", "frames", "exact")
UNROLLED_LEVELS = 4
"""With at most this many levels the depth loop is unrolled (each level's part of the head is then read in place, and so
are the code vectors of an averaged one)."""
NOBODY = -1
"""Codes of a stream of a batch that is not active."""

Choose: TypeAlias = Callable[[Array, Array, int | Array, Array], tuple[Array, Array]]
"""(carry, hidden, level, frame) -> (carry, token): how the next id is picked."""
Spelling: TypeAlias = tuple[tuple[int, Choose], ...]
"""How many levels are picked in which way, coarsest first; after the first way the condition's row goes on alone."""


class LevelHead(NamedTuple):
    """The part of the head that scores one level."""

    kernel: Float[Array, "dim codes"]
    bias: Float[Array, " codes"]


def generate(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[AnyArray, "rows tokens"],
    controls: Controls,
    key: PRNGKeyArray | Array,
    *,
    frames: int,
    exact: bool = False,
    averaged: AveragedLevels | None = None,
    packed: Packed | None = None,
) -> Int[AnyArray, "frames levels"]:
    """Codes of the next `frames` frames of one stream.

    Compiled once for each (rows, frames, exact); no control causes another compilation. A narrow model runs on one core.

    Args:
      params: plain parameters (`lm.materialize` first, if factorised).
      encoder_tokens: 1, 2 or 3 rows of `vocabulary.encoder_inputs`, see the module's head.
      key: every frame and level draws from its own key, so a shorter request makes the same first frames.
      frames: 1..chunk_frames.
      exact: draw as the released system does: from the whole vocabulary, and nothing but PAD after id MASK. The ids are
        then wrapped into codes, as it does. False draws among the codes of each level.
      averaged: `averaging.averaged_levels` of the codec; None if the configuration averages none.
      packed: `packing.pack` of the same three: the frames are then made by `lm.frame_loop`, unless `exact`. None: by XLA.
    """
    if packed is not None and not exact:
        check_request(config, encoder_tokens, frames)
        check_averaged(config, averaged, exact=exact)
        return narrow_decode.generate(params, packed, config, encoder_tokens, controls, key, frames=frames)
    program = _tokens_on_one_core if config.dim <= NARROW_DIM else _tokens_on_all_cores
    tokens = program(params, config, encoder_tokens, controls, key, frames=frames, exact=exact, averaged=averaged)
    return _codes_of_tokens(tokens, config, exact=exact)


def compiled_programs() -> int:
    """How many programs `generate` and `generate_batch` keep in memory to draw with; what turns ids into codes is not
    counted."""
    programs = (
        narrow_decode.inputs_of,
        narrow_decode.inputs_of_wide,
        _tokens_on_one_core,
        _tokens_on_all_cores,
        _batch_on_one_core,
        _batch_on_all_cores,
    )
    return sum(program._cache_size() for program in programs)


@partial(jax.jit, static_argnames=("config", "exact"))
def _codes_of_tokens(tokens: Int[Array, "frames levels"], config: LMConfig, *, exact: bool) -> Int[Array, "frames levels"]:
    if exact:
        return wrap_tokens_to_codes(tokens, config)
    return tokens - NUM_SPECIAL - jnp.arange(config.num_levels) * config.codebook_size


def generate_batch(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[AnyArray, "streams rows tokens"],
    controls: Controls,
    keys: PRNGKeyArray | Array,
    active: Bool[AnyArray, "streams"] | None = None,
    *,
    frames: int,
    averaged: AveragedLevels | None = None,
) -> Int[Array, "streams frames levels"]:
    """`generate` for several streams at once; every control and key has a leading stream axis.

    A stream's codes are those it would get alone, but for the rounding of another program. Compiled once for each
    (streams, rows, frames), whoever is active.

    Args:
      active: streams that are there; of the others, which only fill the batch, the codes are NOBODY. None: all.
    """
    program = _batch_on_one_core if config.dim <= NARROW_DIM else _batch_on_all_cores
    here = np.ones(len(encoder_tokens), bool) if active is None else active
    return program(params, config, encoder_tokens, controls, keys, here, frames=frames, averaged=averaged)


def _generate_batch(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[Array, "streams rows tokens"],
    controls: Controls,
    keys: PRNGKeyArray | Array,
    active: Bool[Array, "streams"],
    *,
    frames: int,
    averaged: AveragedLevels | None = None,
) -> Int[Array, "streams frames levels"]:
    way = common_way(controls.top_k, config.codebook_size)

    def one(tokens: Array, stream_controls: Controls, key: Array) -> Array:
        ids = generate_tokens(params, config, tokens, stream_controls, key, frames=frames, averaged=averaged, way=way)
        return _codes_of_tokens(ids, config, exact=False)

    codes = jax.vmap(one)(encoder_tokens, controls, keys)
    return jnp.where(active[:, None, None], codes, NOBODY)


def generate_tokens(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[Array, "rows tokens"],
    controls: Controls,
    key: PRNGKeyArray | Array,
    *,
    frames: int,
    exact: bool = False,
    way: Int[Array, ""] | None = None,
    averaged: AveragedLevels | None = None,
) -> Int[Array, "frames levels"]:
    """`generate`, but ids of the vocabulary instead of codes; `way` as in `sampling.sample`."""
    check_request(config, encoder_tokens, frames)
    check_averaged(config, averaged, exact=exact)
    draws = frames * config.num_levels
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(draws))
    keys = keys.reshape(frames, config.num_levels, *keys.shape[1:])

    heads = () if exact or config.num_levels > UNROLLED_LEVELS else _cut_heads(params, config)
    # Cut out before the loop for the same reason as the heads.
    levels = []
    if averaged is not None and config.averaged_levels <= UNROLLED_LEVELS:
        levels = [averaged.at(index) for index in range(config.averaged_levels)]

    def score(hidden: Array, level: int | Array) -> Array:
        if exact:
            return apply(params, config, "all_logits", hidden)
        if heads:
            return hidden.astype(jnp.float32) @ heads[level].kernel + heads[level].bias
        return apply(params, config, "level_logits", hidden, level)

    def choose(ended: Array, hidden: Array, level: int | Array, frame: Array) -> tuple[Array, Array]:
        guided = _combine(score(hidden, level), controls)
        drawing = keys[frame, level], guided, controls.temperature, controls.top_k
        drawn = sample_exact(*drawing) if exact else sample(*drawing, way)
        if not exact:
            return ended, drawn + NUM_SPECIAL + level * config.codebook_size
        token = jnp.where(ended, PAD, drawn)
        return ended | (token == MASK), token

    def average(ended: Array, hidden: Array, level: int | Array, frame: Array) -> tuple[Array, Array]:
        assert averaged is not None
        index = level - config.drawn_levels
        code = nearest_to_mean(score(hidden, level)[0], levels[index] if levels else averaged.at(index))
        return ended, code + NUM_SPECIAL + level * config.codebook_size

    spelling = ((config.drawn_levels, choose), (config.averaged_levels, average))
    _, tokens = _run(params, config, encoder_tokens, controls, frames, spelling, jnp.zeros((), bool))
    return tokens


_tokens_on_one_core = jax.jit(generate_tokens, static_argnames=_STATIC, compiler_options=ONE_CORE)
_tokens_on_all_cores = jax.jit(generate_tokens, static_argnames=_STATIC)
_batch_on_one_core = jax.jit(_generate_batch, static_argnames=("config", "frames"), compiler_options=ONE_CORE)
_batch_on_all_cores = jax.jit(_generate_batch, static_argnames=("config", "frames"))


@partial(jax.jit, static_argnames=("config",))
def cached_logits(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[Array, "rows tokens"],
    targets: Int[Array, "frames levels"],
) -> Float[Array, "rows frames levels vocabulary"]:
    """Logits of the whole vocabulary for known targets, one position at a time through the caches.

    Equal to `lm.logits`; for tests.
    """
    frames, levels = targets.shape
    blank = jnp.zeros((frames, levels, encoder_tokens.shape[0], config.vocabulary_rows))

    def choose(seen: Array, hidden: Array, level: int | Array, frame: Array) -> tuple[Array, Array]:
        scores = apply(params, config, "all_logits", hidden)
        return seen.at[frame, level].set(scores), targets[frame, level]

    controls = make_controls(config, frames)
    seen, _ = _run(params, config, encoder_tokens, controls, frames, ((levels, choose),), blank)
    return seen.transpose(2, 0, 1, 3)


def _run(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[Array, "rows tokens"],
    controls: Controls,
    frames: int,
    spelling: Spelling,
    carry: Array,
) -> tuple[Array, Int[Array, "frames levels"]]:
    """Encodes, then scans over frames; `spelling` says how every id is picked."""
    rows = encoder_tokens.shape[0]
    prepared = prepare(params, config, encoder_tokens, controls, frames)
    state = apply(params, config, "init_temporal_state", rows, frames)

    def body(scanned, frame):
        state, frame_input, carry = scanned
        clock_row = jax.lax.dynamic_slice_in_dim(prepared.clock_rows, frame, 1, axis=1)
        bias = jax.lax.dynamic_slice_in_dim(prepared.temporal_bias, frame, 1, axis=1)
        x = frame_input + jax.lax.dynamic_slice_in_dim(prepared.added_inputs, frame, 1, axis=1)
        state, summary = apply(params, config, "temporal_step", state, x, frame, bias, prepared.cross, clock_row)
        carry, tokens = _spell(params, config, summary, prepared.depth_bias, frame, spelling, carry)
        next_input = apply(params, config, "frame_inputs", tokens[None, None])
        next_input = jnp.broadcast_to(next_input, frame_input.shape).astype(frame_input.dtype)
        return (state, next_input, carry), tokens

    (_, _, carry), tokens = jax.lax.scan(body, (state, prepared.first_input, carry), jnp.arange(frames))
    return carry, tokens


def _spell(
    params: Params,
    config: LMConfig,
    summary: Float[Array, "rows 1 dim"],
    depth_bias: Float[Array, "heads levels levels"],
    frame: Int[Array, ""],
    spelling: Spelling,
    carry: Array,
) -> tuple[Array, Int[Array, " levels"]]:
    """The levels of one frame, coarsest first: (carry, ids of the frame)."""
    state, x, first, spelt = apply(params, config, "init_depth_state", summary.shape[0]), summary, 0, []

    def step(scanned, level, choose, summary):
        state, x, carry = scanned
        bias = jax.lax.dynamic_slice_in_dim(depth_bias, level, 1, axis=1)
        state, hidden = apply(params, config, "depth_step", state, x, jnp.asarray(level), bias)
        carry, token = choose(carry, hidden, level, frame)
        x = jnp.broadcast_to(apply(params, config, "token_rows", token), x.shape).astype(x.dtype)
        if config.summary_at_every_level:
            x = x + summary
        return (state, x, carry), token

    for count, choose in spelling:
        if first:
            state, x, summary = jax.tree.map(lambda rows: rows[:1], (state, x, summary))
        this = partial(step, choose=choose, summary=summary)
        (state, x, carry), tokens = _over_levels(this, (state, x, carry), first, count)
        first, spelt = first + count, [*spelt, tokens]
    return carry, jnp.concatenate(spelt)


def _over_levels(step: Callable[..., Any], scanned: Any, first: int, count: int) -> tuple[Any, Int[Array, " count"]]:
    """`step(scanned, level) -> (scanned, token)` over some levels."""
    if count > UNROLLED_LEVELS:
        return jax.lax.scan(step, scanned, jnp.arange(first, first + count))
    tokens = []
    for level in range(first, first + count):
        scanned, token = step(scanned, level)
        tokens.append(token)
    return scanned, jnp.stack(tokens) if tokens else jnp.zeros(0, jnp.int32)


def _cut_heads(params: Params, config: LMConfig) -> tuple[LevelHead, ...]:
    """Each level's part of the head, cut out before the loop: inside it, it would be copied for every id drawn."""
    head, size = params["decoder"]["logits_dense"], config.codebook_size
    bias = head["bias"] if config.plain.logits_bias else jnp.zeros(config.vocabulary_rows)
    first = [codec_offset(level, config) for level in range(config.num_levels)]
    return tuple(LevelHead(head["kernel"][:, start : start + size], bias[start : start + size]) for start in first)


def _combine(scores: Float[Array, "rows ids"], controls: Controls) -> Float[Array, "ids"]:
    if scores.shape[0] == 1:
        return scores[0]
    if scores.shape[0] == 2:
        return guide(scores[0], scores[1], controls.guidance_weight)
    return guide_twice(scores[0], scores[1], scores[2], controls.guidance_weight, controls.input_guidance_weight)
