"""The audio tower M_A: a Vision Transformer over log-mel patches.

Source: Live Music Models, section 2.2.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.transformer import AttentionPooler, Block, layer_norm


class AudioTower(nn.Module):
    """Log-mel clips to raw (neither centred nor normalised) embeddings."""

    config: StyleConfig

    def setup(self) -> None:
        config = self.config
        self.patch_projection = nn.Dense(config.audio_width)
        self.positions = self.param("positions", nn.initializers.normal(0.02), (config.num_patches, config.audio_width))
        self.layers = [
            Block(config.audio_heads, config.ffn_factor, config.attention_soft_cap) for _ in range(config.audio_layers)
        ]
        self.final_norm = layer_norm()
        self.pooler = AttentionPooler(config.pooler_heads, config.pooler_head_dim, config.dim, config.attention_soft_cap)

    def patches(self, log_mels: Float[Array, "batch stft_frames bands"]) -> Float[Array, "batch patches patch_size"]:
        """Cuts clips into patches; time-major order, and row-major (time, mel) inside a patch."""
        config = self.config
        times, bands = config.patch_grid
        grid = log_mels.reshape(-1, times, config.patch_frames, bands, config.patch_bands)
        return grid.transpose(0, 1, 3, 2, 4).reshape(-1, config.num_patches, config.patch_frames * config.patch_bands)

    def tokens(
        self, log_mels: Float[Array, "batch stft_frames bands"], kept: Int[Array, "batch kept"] | None = None
    ) -> Float[Array, "batch tokens audio_width"]:
        """Hidden states of the patches after the last layer.

        Args:
          log_mels: standardised log-mels [batch, config.stft_frames, config.mel_bands].
          kept: patch indices to work on; None is all. Training on a random half costs half and regularises
            (Li et al., "Scaling Language-Image Pre-training via Masking", 2023).
        """
        cut = self.patches(log_mels)
        positions = jnp.broadcast_to(self.positions, (cut.shape[0], *self.positions.shape))
        if kept is not None:
            cut = jnp.take_along_axis(cut, kept[..., None], axis=1)
            positions = self.positions[kept]
        x = self.patch_projection(cut) + positions
        for layer in self.layers:
            x = layer(x)
        return self.final_norm(x)

    def pool(self, tokens: Float[Array, "batch tokens audio_width"]) -> Float[Array, "batch dim"]:
        """Attention-pools hidden states to one raw embedding per clip."""
        return self.pooler(tokens)

    def __call__(
        self, log_mels: Float[Array, "batch stft_frames bands"], kept: Int[Array, "batch kept"] | None = None
    ) -> Float[Array, "batch dim"]:
        """Raw embeddings of clips; see `tokens` for the arguments."""
        return self.pool(self.tokens(log_mels, kept))
