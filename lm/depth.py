"""The depth stack: causal over the levels of one frame."""

from flax import linen as nn
from jaxtyping import Array, Float, Int

from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.mlp import GatedMLP
from magenta_rt_py.nn.attention import Attention, KeyValue, init_cache, write_cache
from magenta_rt_py.nn.norms import RMSNorm
from magenta_rt_py.nn.positions import CausalRelativeBias

DepthState = tuple[KeyValue, ...]
"""Keys and values of the levels so far, one entry a layer; born and gone within one frame."""


class DepthLayer(nn.Module):
    """Causal self-attention over levels and gated MLP; each x += f(norm(x))."""

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.pre_self_attention_layer_norm = RMSNorm(dtype=config.activation_dtype)
        self.self_attention = Attention(config.num_heads, config.head_dim, config.dim, config.activation_dtype)
        self.pre_mlp_layer_norm = RMSNorm(dtype=config.activation_dtype)
        self.mlp = GatedMLP(config)

    def __call__(
        self,
        x: Float[Array, "batch levels dim"],
        bias: Float[Array, "heads levels keys"],
        cache: KeyValue | None = None,
        index: Int[Array, ""] | None = None,
    ) -> tuple[Float[Array, "batch levels dim"], KeyValue]:
        """Whole when `cache` is None; otherwise the levels from `index` on, which are added to the cache."""
        normed = self.pre_self_attention_layer_norm(x)
        memory = self.self_attention.project(normed)
        if cache is not None and index is not None:
            memory = write_cache(cache, memory, index)
        x = x + self.self_attention(normed, memory, bias)
        return x + self.mlp(self.pre_mlp_layer_norm(x)), memory


class DepthDecoder(nn.Module):
    """Spells out one frame, coarsest level first; position q predicts level q.

        input    c_t    e(level 0)   e(level 1)   ...   e(level 14)
        predicts level 0  level 1      level 2    ...    level 15

    Source: Live Music Models, section 2.4; Lee et al. 2022 (RQ-Transformer).
    """

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.relpos_bias_depth = CausalRelativeBias(config.num_heads, config.depth_buckets, config.depth_buckets)
        layer = nn.remat(DepthLayer) if config.rematerialise else DepthLayer
        self.depth_layers = [layer(config) for _ in range(config.depth_layers)]

    def bias(self) -> Float[Array, "heads levels levels"]:
        """Attention bias of one frame, causal mask included."""
        return self.relpos_bias_depth(self.config.num_levels)

    def init_state(self, batch: int) -> DepthState:
        """State before level 0."""
        config = self.config
        cache = init_cache(batch, config.num_heads, config.num_levels, config.head_dim, config.activation_dtype)
        return (cache,) * config.depth_layers

    def __call__(self, x: Float[Array, "batch levels dim"]) -> Float[Array, "batch levels dim"]:
        """All levels at once, each input known (teacher forcing)."""
        bias = self.relpos_bias_depth(x.shape[1])
        for layer in self.depth_layers:
            x, _ = layer(x, bias)
        return x

    def step(
        self,
        state: DepthState,
        x: Float[Array, "batch 1 dim"],
        index: Int[Array, ""],
        bias: Float[Array, "heads 1 levels"],
    ) -> tuple[DepthState, Float[Array, "batch 1 dim"]]:
        """One level: number `index`, with the bias row of that level."""
        new_state = []
        for layer, cache in zip(self.depth_layers, state, strict=True):
            x, cache = layer(x, bias, cache, index)
            new_state.append(cache)
        return tuple(new_state), x
