"""The temporal stack: causal over frames, attending to the encoder."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from magenta_rt_py.lm.clock import ClockMap
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.mlp import GatedMLP
from magenta_rt_py.lm.recall import BarRecall
from magenta_rt_py.nn.attention import Attention, KeyValue, init_cache, write_cache
from magenta_rt_py.nn.norms import RMSNorm
from magenta_rt_py.nn.positions import CausalRelativeBias

TemporalState = tuple[KeyValue, ...]
"""Keys and values of the frames so far, one entry a layer."""


class TemporalLayer(nn.Module):
    """Causal self-attention over frames, cross-attention to the encoder, gated MLP; each x += f(norm(x))."""

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        sizes = (config.num_heads, config.head_dim, config.dim, config.activation_dtype)
        self.pre_self_attention_layer_norm = RMSNorm(dtype=config.activation_dtype)
        self.self_attention = Attention(*sizes)
        self.pre_cross_attention_layer_norm = RMSNorm(dtype=config.activation_dtype)
        self.encoder_decoder_attention = Attention(*sizes)
        self.pre_mlp_layer_norm = RMSNorm(dtype=config.activation_dtype)
        self.mlp = GatedMLP(config)

    def __call__(
        self,
        x: Float[Array, "batch frames dim"],
        bias: Float[Array, "heads frames keys"],
        cross: KeyValue,
        cache: KeyValue | None = None,
        index: Int[Array, ""] | None = None,
    ) -> tuple[Float[Array, "batch frames dim"], KeyValue]:
        """Whole when `cache` is None; otherwise the frames from `index` on, which are added to the cache."""
        normed = self.pre_self_attention_layer_norm(x)
        memory = self.self_attention.project(normed)
        if cache is not None and index is not None:
            memory = write_cache(cache, memory, index)
        x = x + self.self_attention(normed, memory, bias)
        x = x + self.encoder_decoder_attention(self.pre_cross_attention_layer_norm(x), cross)
        return x + self.mlp(self.pre_mlp_layer_norm(x)), memory


class TemporalDecoder(nn.Module):
    """Turns what the previous frames were into one vector a frame to come, for the depth stack to spell out.

        frame input   BOS        mean e(frame 0)   mean e(frame 1)
                       |               |                 |          + clock of the frame to be predicted
        frame output  c_0             c_1               c_2

    There is no absolute position and no final norm. Source: Live Music Models, section 2.4.
    """

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.relpos_bias = CausalRelativeBias(config.num_heads, config.temporal_buckets, config.temporal_buckets)
        layer = nn.remat(TemporalLayer) if config.rematerialise else TemporalLayer
        self.layers = [layer(config) for _ in range(config.temporal_layers)]
        if config.clock:
            self.clock = ClockMap(config.dim)
        if config.bar_recall:
            self.bar_recall = BarRecall(config.dim)
        if config.style_at_every_frame:
            # Started at zero, without a bias: learned, not imposed, and a masked style adds nothing.
            self.style_input = nn.Dense(config.dim, use_bias=False, kernel_init=nn.initializers.zeros_init())

    def cross(self, encoded: Float[Array, "batch positions dim"]) -> tuple[KeyValue, ...]:
        """Keys and values of the encoder's output, one entry a layer: constant for a whole request."""
        return tuple(layer.encoder_decoder_attention.project(encoded) for layer in self.layers)

    def recall(
        self,
        context_rows: Float[Array, "batch context dim"],
        present: Bool[Array, "batch context"],
        clock: Float[Array, "batch frames features"],
    ) -> Float[Array, "batch frames dim"]:
        """What bar recall adds to every frame input; see `lm.recall`."""
        return self.bar_recall(context_rows, present, clock)

    def style(
        self, style_rows: Float[Array, "batch levels dim"], present: Bool[Array, "batch"]
    ) -> Float[Array, "batch 1 dim"]:
        """What the style adds to every frame input (ours: a small model forgets what it only attends to)."""
        mean = jnp.where(present[:, None], style_rows.mean(1), 0.0)
        return self.style_input(mean)[:, None]

    def bias(self, frames: int) -> Float[Array, "heads frames frames"]:
        """Attention bias of a request of `frames` frames, causal mask included."""
        return self.relpos_bias(frames)

    def init_state(self, batch: int, frames: int) -> TemporalState:
        """State before the first of at most `frames` frames."""
        config = self.config
        cache = init_cache(batch, config.num_heads, frames, config.head_dim, config.activation_dtype)
        return (cache,) * config.temporal_layers

    def __call__(
        self,
        frame_inputs: Float[Array, "batch frames dim"],
        cross: tuple[KeyValue, ...],
        clock: Float[Array, "batch frames features"] | None = None,
    ) -> Float[Array, "batch frames dim"]:
        """All frames at once, each input known (teacher forcing)."""
        x = self._start(frame_inputs, clock)
        bias = self.relpos_bias(x.shape[1])
        for layer, memory in zip(self.layers, cross, strict=True):
            x, _ = layer(x, bias, memory)
        return x

    def step(
        self,
        state: TemporalState,
        frame_input: Float[Array, "batch 1 dim"],
        index: Int[Array, ""],
        bias: Float[Array, "heads 1 frames"],
        cross: tuple[KeyValue, ...],
        clock: Float[Array, "batch 1 features"] | None = None,
    ) -> tuple[TemporalState, Float[Array, "batch 1 dim"]]:
        """One frame: number `index`, with the bias row of that frame."""
        x, new_state = self._start(frame_input, clock), []
        for layer, cache, memory in zip(self.layers, state, cross, strict=True):
            x, cache = layer(x, bias, memory, cache, index)
            new_state.append(cache)
        return tuple(new_state), x

    def _start(
        self, frame_inputs: Float[Array, "batch frames dim"], clock: Float[Array, "batch frames features"] | None
    ) -> Float[Array, "batch frames dim"]:
        # The decoder's residual stream is float32 whatever the compute dtype, as in the released configuration.
        x = frame_inputs.astype(jnp.float32)
        if self.config.clock and clock is not None:
            x = x + self.clock(clock)
        return x
