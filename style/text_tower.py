"""The text tower M_T: a bidirectional Transformer over word pieces.

Source: Live Music Models, section 2.2.
"""

import flax.linen as nn
from jaxtyping import Array, Bool, Float, Int

from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.transformer import AttentionPooler, Block, layer_norm


class TextTower(nn.Module):
    """Padded token ids to raw (neither centred nor normalised) embeddings."""

    config: StyleConfig

    def setup(self) -> None:
        config = self.config
        self.embedding = nn.Embed(config.vocabulary_size, config.text_width, embedding_init=nn.initializers.normal(0.02))
        self.positions = self.param("positions", nn.initializers.normal(0.02), (config.max_tokens, config.text_width))
        self.layers = [
            Block(config.text_heads, config.ffn_factor, config.attention_soft_cap) for _ in range(config.text_layers)
        ]
        self.final_norm = layer_norm()
        self.pooler = AttentionPooler(config.pooler_heads, config.pooler_head_dim, config.dim, config.attention_soft_cap)

    def __call__(
        self, token_ids: Int[Array, "batch tokens"], present: Bool[Array, "batch tokens"]
    ) -> Float[Array, "batch dim"]:
        """Raw embeddings of texts.

        Args:
          token_ids: ids from the tokenizer, any padding; at most config.max_tokens columns.
          present: True at real tokens, False at padding; padding never changes the result.
        """
        x = self.embedding(token_ids) + self.positions[: token_ids.shape[1]]
        for layer in self.layers:
            x = layer(x, present[:, None, :])
        return self.pooler(self.final_norm(x), present)
