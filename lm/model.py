"""The language model as a whole: parameters, and logits of known tokens."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float, Int, PRNGKeyArray

from magenta_rt_py.lm.clock import NUM_FEATURES
from magenta_rt_py.lm.config import NUM_SPECIAL, PAD, LMConfig
from magenta_rt_py.lm.depth import DepthDecoder, DepthState
from magenta_rt_py.lm.encoder import Encoder
from magenta_rt_py.lm.initialise import draw, fill, lm_deviation
from magenta_rt_py.lm.tables import CodeVectors, FactorisedHead, FactorisedTable, Head, TokenTable, blank_code_vectors
from magenta_rt_py.lm.temporal import TemporalDecoder, TemporalState
from magenta_rt_py.nn.attention import KeyValue
from magenta_rt_py.nn.layers import repeat_layers
from magenta_rt_py.nn.norms import RMSNorm

Params = dict[str, Any]
"""Nested dictionary whose slash paths are the released checkpoint's names."""


class Stacks(nn.Module):
    """The two decoder stacks."""

    config: LMConfig

    def setup(self) -> None:
        self.temporal_decoder = TemporalDecoder(self.config)
        self.depth_decoder = DepthDecoder(self.config)


class Decoder(nn.Module):
    """The two stacks, the final norm and the head."""

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.decoder = Stacks(config)
        self.decoder_norm = RMSNorm(dtype=config.activation_dtype)
        self.logits_dense = FactorisedHead(config) if config.factorised else Head(config)


class LanguageModel(nn.Module):
    """Encoder, temporal stack and depth stack over one shared token table.

    Methods are the pieces that training and decoding put together; none keeps state.
    Source: Live Music Models, section 2.4. With a factorised table every method needs the code vectors.
    """

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.token_embedder = FactorisedTable(config) if config.factorised else TokenTable(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(
        self,
        tokens: Int[Array, "batch tokens"],
        clock: Float[Array, "batch frames features"] | None = None,
        vectors: CodeVectors | None = None,
    ) -> Float[Array, "batch positions dim"]:
        """Encoder output for `vocabulary.encoder_inputs`."""
        config = self.config
        context = self._context(tokens)
        if config.context_positions_per_frame == 1:
            context_rows = self.token_embedder.frames(context, vectors)
        else:
            levels = self.token_embedder.levels(context, vectors)
            context_rows = levels.reshape(tokens.shape[0], -1, config.dim)
        style_rows = self.token_embedder.style(tokens[:, -config.style_levels :], vectors)
        return self.encoder(jnp.concatenate([context_rows, style_rows], axis=1), clock)

    def cross(self, encoded: Float[Array, "batch positions dim"]) -> tuple[KeyValue, ...]:
        """Keys and values of the encoder output for every temporal layer."""
        return self.decoder.decoder.temporal_decoder.cross(encoded)

    def biases(self, frames: int) -> tuple[Float[Array, "heads frames frames"], Float[Array, "heads levels levels"]]:
        """Attention biases of the temporal and the depth stack, causal masks included."""
        stacks = self.decoder.decoder
        return stacks.temporal_decoder.bias(frames), stacks.depth_decoder.bias()

    def init_temporal_state(self, batch: int, frames: int) -> TemporalState:
        """State before the first of at most `frames` frames."""
        return self.decoder.decoder.temporal_decoder.init_state(batch, frames)

    def init_depth_state(self, batch: int) -> DepthState:
        """State before level 0 of a frame."""
        return self.decoder.decoder.depth_decoder.init_state(batch)

    def token_rows(self, tokens: Int[Array, "*batch"]) -> Float[Array, "*batch dim"]:
        """Vectors of any ids; only a plain model has them."""
        return self.token_embedder.rows(tokens)

    def frame_inputs(
        self, tokens: Int[Array, "batch frames levels"], vectors: CodeVectors | None = None
    ) -> Float[Array, "batch frames dim"]:
        """Temporal input made of each frame: the mean of its levels' vectors."""
        return self.token_embedder.frames(tokens, vectors) / self.config.num_levels

    def first_input(
        self, encoder_tokens: Int[Array, "batch tokens"], vectors: CodeVectors | None = None
    ) -> Float[Array, "batch 1 dim"]:
        """Temporal input of frame 0: the row of PAD, or with `continue_context` the last frame that was heard."""
        table, batch = self.token_embedder, encoder_tokens.shape[0]
        if self.config.continue_context:
            return table.frames(self._context(encoder_tokens)[:, -1:], vectors) / self.config.context_levels
        row = table.special_rows()[PAD] if self.config.factorised else table.rows(jnp.array(PAD))
        return jnp.broadcast_to(row.astype(jnp.float32), (batch, 1, row.shape[-1]))

    def _context(self, encoder_tokens: Int[Array, "batch tokens"]) -> Int[Array, "batch context levels"]:
        """The context's ids, frame by frame."""
        context = encoder_tokens[:, : -self.config.style_levels]
        return context.reshape(context.shape[0], -1, self.config.context_levels)

    def added_inputs(
        self,
        encoder_tokens: Int[Array, "batch tokens"],
        clock: Float[Array, "batch frames features"] | None,
        vectors: CodeVectors | None = None,
    ) -> Float[Array, "batch frames dim"] | float:
        """What bar recall and style add to every temporal input; nothing in a model that has neither."""
        config, temporal = self.config, self.decoder.decoder.temporal_decoder
        added = 0.0
        if config.bar_recall and clock is not None:
            context = self._context(encoder_tokens)
            rows = self.token_embedder.frames(context, vectors) / config.context_levels
            added += temporal.recall(rows, (context >= NUM_SPECIAL).all(-1), clock)
        if config.style_at_every_frame:
            style = encoder_tokens[:, -config.style_levels :]
            added += temporal.style(self.token_embedder.style(style, vectors), (style >= NUM_SPECIAL).all(-1))
        return added

    def clock_inputs(self, clock: Float[Array, "batch frames features"]) -> Float[Array, "batch frames dim"]:
        """What the clock adds to every temporal input; only a model with a clock has it."""
        return self.decoder.decoder.temporal_decoder.clock(clock)

    def level_inputs(
        self, tokens: Int[Array, "batch levels"], vectors: CodeVectors | None = None
    ) -> Float[Array, "batch levels dim"]:
        """Depth inputs made of codec ids; column q is level q."""
        return self.token_embedder.levels(tokens, vectors)

    def temporal(
        self,
        encoder_tokens: Int[Array, "batch tokens"],
        targets: Int[Array, "batch frames levels"],
        encoded: Float[Array, "batch positions dim"],
        clock: Float[Array, "batch frames features"] | None = None,
        vectors: CodeVectors | None = None,
    ) -> Float[Array, "batch frames dim"]:
        """Temporal output of every frame, given the frames before it (teacher forcing)."""
        known = self.frame_inputs(targets[:, :-1], vectors)
        first = self.first_input(encoder_tokens, vectors)
        inputs = jnp.concatenate([first.astype(known.dtype), known], axis=1)
        inputs = inputs + self.added_inputs(encoder_tokens, clock, vectors)
        return self.decoder.decoder.temporal_decoder(inputs, self.cross(encoded), clock)

    def depth(
        self,
        temporal_out: Float[Array, "frames dim"],
        targets: Int[Array, "frames levels"],
        vectors: CodeVectors | None = None,
    ) -> Float[Array, "frames levels dim"]:
        """What the head reads, for every level of each frame, given the levels before it (teacher forcing)."""
        known = self.level_inputs(targets[:, :-1], vectors).astype(temporal_out.dtype)
        if self.config.summary_at_every_level:
            known = known + temporal_out[:, None]
        x = jnp.concatenate([temporal_out[:, None], known], axis=1)
        return self.decoder.decoder_norm(self.decoder.decoder.depth_decoder(x))

    def temporal_step(self, *arguments: Any) -> tuple[tuple[KeyValue, ...], Float[Array, "batch 1 dim"]]:
        """One frame: see `TemporalDecoder.step`."""
        return self.decoder.decoder.temporal_decoder.step(*arguments)

    def depth_step(self, *arguments: Any) -> tuple[tuple[KeyValue, ...], Float[Array, "batch dim"]]:
        """One level: see `DepthDecoder.step`; returns what the head reads."""
        state, y = self.decoder.decoder.depth_decoder.step(*arguments)
        return state, self.decoder.decoder_norm(y)[:, 0]

    def level_logits(
        self, hidden: Float[Array, "*batch dim"], level: int | Int[Array, ""], vectors: CodeVectors | None = None
    ) -> Float[Array, "*batch codes"]:
        """Logits of one level's codes."""
        return self.decoder.logits_dense.level(hidden, level, vectors)

    def all_logits(self, hidden: Float[Array, "*batch dim"]) -> Float[Array, "*batch rows"]:
        """Logits of the whole vocabulary; only a plain model has them."""
        return self.decoder.logits_dense.everything(hidden)

    def __call__(
        self,
        encoder_tokens: Int[Array, "batch tokens"],
        targets: Int[Array, "batch frames levels"],
        context_clock: Float[Array, "batch context features"] | None = None,
        target_clock: Float[Array, "batch frames features"] | None = None,
        vectors: CodeVectors | None = None,
        depth_frames: Int[Array, "chosen"] | None = None,
        history: Int[Array, "batch frames levels"] | None = None,
    ) -> Float[Array, "batch chosen levels codes"]:
        """Logits of each level's codes, on the chosen frames."""
        encoded = self.encode(encoder_tokens, context_clock, vectors)
        heard = targets if history is None else history
        temporal_out = self.temporal(encoder_tokens, heard, encoded, target_clock, vectors)
        if depth_frames is not None:
            temporal_out, targets = temporal_out[:, depth_frames], targets[:, depth_frames]
        batch, chosen, levels = targets.shape
        hidden = self.depth(temporal_out.reshape(batch * chosen, -1), targets.reshape(-1, levels), vectors)
        scored = [self.level_logits(hidden[:, q], q, vectors) for q in range(levels)]
        return jnp.stack(scored, axis=1).reshape(batch, chosen, levels, -1)


def init(key: PRNGKeyArray | Array, config: LMConfig) -> Params:
    """Fresh parameters."""
    return draw(key, parameter_shapes(config), lm_deviation(config))


def parameter_shapes(config: LMConfig) -> dict[str, tuple[int, ...]]:
    """Slash path and shape of every parameter; allocates nothing."""
    one_layer = replace(config, encoder_layers=1, temporal_layers=1, depth_layers=1)

    def build(encoder_tokens: Array, targets: Array) -> Params:
        vectors = blank_code_vectors(config) if config.factorised else None
        clocks = [jnp.zeros((1, frames, NUM_FEATURES)) for frames in (config.context_frames, 2)]
        return LanguageModel(one_layer).init(jax.random.key(0), encoder_tokens, targets, *clocks, vectors)["params"]

    encoder_tokens = jax.ShapeDtypeStruct((1, config.encoder_tokens), jnp.int32)
    targets = jax.ShapeDtypeStruct((1, 2, config.num_levels), jnp.int32)
    tree = jax.eval_shape(build, encoder_tokens, targets)
    shapes = {path: leaf.shape for path, leaf in flatten_dict(tree, sep="/").items()}
    stacks = {
        "encoder/layers_": config.encoder_layers,
        "decoder/decoder/temporal_decoder/layers_": config.temporal_layers,
        "decoder/decoder/depth_decoder/depth_layers_": config.depth_layers,
    }
    return repeat_layers(shapes, stacks)


def flatten(params: Params) -> dict[str, Array]:
    """Slash path to array: what `load` reads and a bundle stores."""
    return flatten_dict(params, sep="/")


def load(flat: Mapping[str, Array | np.ndarray], config: LMConfig) -> Params:
    """Parameters from slash path to array, checked against the configuration.

    Raises:
      ValueError: naming what is missing, what is too much, and what has the wrong shape.
    """
    return fill(flat, parameter_shapes(config))


def forward(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[Array, "batch tokens"],
    target_tokens: Int[Array, "batch frames levels"],
    *,
    code_vectors: CodeVectors | None = None,
    context_clock: Float[Array, "batch context features"] | None = None,
    target_clock: Float[Array, "batch frames features"] | None = None,
    depth_frames: Int[Array, "chosen"] | None = None,
    history_tokens: Int[Array, "batch frames levels"] | None = None,
) -> Float[Array, "batch chosen levels codes"]:
    """Logits for training: level q's codes only, the depth stack on the chosen frames only.

    Args:
      params: of this configuration; a factorised one also needs `code_vectors`.
      encoder_tokens: see `vocabulary.encoder_inputs`.
      target_tokens: ids of the frames to be predicted, every level.
      context_clock, target_clock: clock rows of context and target frames; None is unset.
      depth_frames: indices of the target frames to score, the same for the whole batch; None is all of them.
      history_tokens: what the temporal stack is told that the target frames were (MASK hides one); None is the truth.
    Returns:
      logits of code c of level q at frame depth_frames[n], given everything before it.
    """
    return LanguageModel(config).apply(
        {"params": params},
        encoder_tokens,
        target_tokens,
        context_clock,
        target_clock,
        code_vectors,
        depth_frames,
        history_tokens,
    )


def logits(
    params: Params,
    encoder_tokens: Int[Array, "batch tokens"],
    decoder_target_tokens: Int[Array, "batch targets"],
    config: LMConfig,
) -> Float[Array, "batch targets rows"]:
    """Logits of the whole vocabulary for every target token, given the ones before it (teacher forcing).

    Args:
      params: plain (materialized) parameters.
      decoder_target_tokens: frame by frame, coarsest level first.
    """
    hidden = hidden_states(params, encoder_tokens, decoder_target_tokens, config)
    return LanguageModel(config.plain).apply({"params": params}, hidden, method="all_logits")


def hidden_states(
    params: Params,
    encoder_tokens: Int[Array, "batch tokens"],
    decoder_target_tokens: Int[Array, "batch targets"],
    config: LMConfig,
) -> Float[Array, "batch targets dim"]:
    """What the head reads, for every target token (teacher forcing); arguments as for `logits`."""
    model, variables = LanguageModel(config.plain), {"params": params}
    batch = encoder_tokens.shape[0]
    targets = decoder_target_tokens.reshape(batch, -1, config.num_levels)
    encoded = model.apply(variables, encoder_tokens, method="encode")
    temporal_out = model.apply(variables, encoder_tokens, targets, encoded, method="temporal")
    flat_out = temporal_out.reshape(-1, config.dim)
    hidden = model.apply(variables, flat_out, targets.reshape(-1, config.num_levels), method="depth")
    return hidden.reshape(batch, -1, config.dim)
