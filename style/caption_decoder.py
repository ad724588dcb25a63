"""The caption decoder: next-token prediction of captions from the audio tower's tokens; used in training only.

Source: Live Music Models, section 2.2 ("a shallow 3-layer Transformer which only serves a regularizing purpose"), after
CoCa (Yu et al., 2022).
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.transformer import CrossAttention, FeedForward, SelfAttention, layer_norm


class DecoderBlock(nn.Module):
    """Pre-norm causal self-attention, cross-attention to the audio and feed-forward."""

    config: StyleConfig

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch tokens width"],
        audio_tokens: Float[Array, "batch patches audio_width"],
        causal: Bool[Array, "1 tokens tokens"],
    ) -> Float[Array, "batch tokens width"]:
        config, width = self.config, x.shape[-1]
        normed = layer_norm("self_norm")(x)
        x = x + SelfAttention(config.text_heads, config.attention_soft_cap, name="self")(normed, causal)
        cross = CrossAttention(config.text_heads, width // config.text_heads, width, config.attention_soft_cap, name="cross")
        x = x + cross(layer_norm("cross_norm")(x), audio_tokens, None)
        return x + FeedForward(config.ffn_factor, name="ffn")(layer_norm("ffn_norm")(x))


class CaptionDecoder(nn.Module):
    """Logits of every next caption token, given the audio and the tokens before it."""

    config: StyleConfig

    @nn.compact
    def __call__(
        self, token_ids: Int[Array, "batch tokens"], audio_tokens: Float[Array, "batch patches audio_width"]
    ) -> Float[Array, "batch tokens vocabulary"]:
        """Logits at position i predict token i + 1.

        Args:
          token_ids: captions with BOS, padded; at most config.max_tokens columns.
          audio_tokens: hidden states of the audio tower before pooling.
        """
        config, length = self.config, token_ids.shape[1]
        init = nn.initializers.normal(0.02)
        x = nn.Embed(config.vocabulary_size, config.text_width, embedding_init=init, name="embedding")(token_ids)
        x = x + self.param("positions", init, (config.max_tokens, config.text_width))[:length]
        causal = jnp.tril(jnp.ones((1, length, length), bool))
        for layer in range(config.decoder_layers):
            x = DecoderBlock(config, name=f"layers_{layer}")(x, audio_tokens, causal)
        return nn.Dense(config.vocabulary_size, name="head")(layer_norm("final_norm")(x))
