"""MusicCoCa's two towers and its log-mel front end in JAX, from raw waveforms and token ids.

Sources: Live Music Models, section 2.2; the released geometry (two published ports agree on the audio tower and on the
second release's text tower, and one was checked against the released programs). They differ from the towers that this
package trains in the pooler, in the front end (which uses the mel matrix of the weights) and in the choices of
`MusicCoCaConfig`; the layers are the same.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from magenta_rt_py.nn.layers import repeat_layers
from magenta_rt_py.style.audio_tower import AudioTower
from magenta_rt_py.style.musiccoca_config import MusicCoCaConfig
from magenta_rt_py.style.transformer import Block, attend, layer_norm


class FoldedPooler(nn.Module):
    """Attention pooling from one constant query per head, then a layer norm.

    The released programs hold the learned query after its projection and scaling, so "query" is used as it is: logits are
    query * key, without 1/sqrt(head_dim) and without soft cap.
    """

    heads: int
    head_dim: int
    features: int

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "batch tokens width"], mask: Bool[Array, "batch tokens"] | None = None
    ) -> Float[Array, "batch features"]:
        batch, count = tokens.shape[:2]
        query = self.param("query", nn.initializers.normal(0.02), (self.heads, self.head_dim))
        joint = nn.Dense(2 * self.heads * self.head_dim, name="key_value")(tokens)
        key, value = (part.reshape(batch, count, self.heads, self.head_dim) for part in jnp.split(joint, 2, axis=-1))
        unscaled = query * self.head_dim**0.5  # takes back the scaling in attend
        queries = jnp.broadcast_to(unscaled, (batch, 1, self.heads, self.head_dim))
        mixed = attend(queries, key, value, None if mask is None else mask[:, None, :], 0.0)
        return layer_norm("norm")(nn.Dense(self.features, name="out")(mixed[:, 0]))


class MusicCoCaAudioTower(AudioTower):
    """Log-mel clips to embeddings: the Vision Transformer of `AudioTower` with the released pooler."""

    config: MusicCoCaConfig

    def setup(self) -> None:
        config = self.config
        self.patch_projection = nn.Dense(config.audio_width)
        self.positions = self.param("positions", nn.initializers.normal(0.02), (config.num_patches, config.audio_width))
        self.layers = [
            Block(config.audio_heads, config.ffn_factor, config.attention_soft_cap) for _ in range(config.audio_layers)
        ]
        self.final_norm = layer_norm()
        self.pooler = FoldedPooler(config.pooler_heads, config.pooler_head_dim, config.dim)


class MusicCoCaTextTower(nn.Module):
    """Padded token ids to embeddings.

    The released program also multiplies feed-forward activations by 0 at padding; as attention and pooler never look
    there, that changes nothing and is left out.
    """

    config: MusicCoCaConfig

    @nn.compact
    def __call__(
        self, token_ids: Int[Array, "batch tokens"], present: Bool[Array, "batch tokens"]
    ) -> Float[Array, "batch dim"]:
        """Embeddings of texts.

        Args:
          token_ids: BOS, pieces, padding; config.max_tokens columns or fewer.
          present: True at real tokens.
        """
        config, init = self.config, nn.initializers.normal(0.02)
        x = nn.Embed(config.vocabulary_size, config.text_width, embedding_init=init, name="embedding")(token_ids)
        x = x * config.text_embedding_scale
        if config.text_positions:
            x = x + self.param("positions", init, (config.max_tokens, config.text_width))[: token_ids.shape[1]]
        for layer in range(config.text_layers):
            block = Block(config.text_heads, config.ffn_factor, config.attention_soft_cap, name=f"layers_{layer}")
            x = block(x, present[:, None, :])
        pooler = FoldedPooler(config.pooler_heads, config.pooler_head_dim, config.dim, name="pooler")
        return pooler(layer_norm("final_norm")(x), present)


def log_mels(
    samples: Float[Array, "batch clip_samples"], mel_matrix: Float[Array, "bins bands"], config: MusicCoCaConfig
) -> Float[Array, "batch stft_frames bands"]:
    """Log-mel clips, not standardised: pre-emphasis from silence, periodic Hann, power, mel bands, log(mel + floor).

    Args:
      samples: clips of mono 16 kHz audio, full scale 1.0.
      mel_matrix: weights of FFT bins 1 .. fft_samples/2 in each band; the DC bin has none.
      config: the front end's sizes.

    Source: the released geometry; the frames are not centred, and the last few of a clip are dropped.
    """
    before = jnp.pad(samples, ((0, 0), (1, 0)))[:, :-1]
    emphasised = samples - config.pre_emphasis * before
    starts = np.arange(config.stft_frames)[:, None] * config.hop_samples
    frames = emphasised[:, starts + np.arange(config.window_samples)]
    turns = np.arange(config.window_samples) / config.window_samples
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * turns)).astype(np.float32)
    spectrum = jnp.fft.rfft(frames * window, config.fft_samples, axis=-1)[..., 1:]
    power = spectrum.real**2 + spectrum.imag**2
    return jnp.log(power @ mel_matrix + config.log_floor)


@functools.lru_cache(maxsize=8)
def network_shapes(config: MusicCoCaConfig) -> Mapping[str, tuple[int, ...]]:
    """Shapes of front end and towers by slash path, without computing any.

    "front_end/mel_matrix" [fft_samples / 2, mel_bands]; "audio/..." and "text/..." are the towers' parameters, layer
    norms with their whole scale (checkpoints of the released training code store it less 1).
    """
    key = jax.random.key(0)
    mels = jax.ShapeDtypeStruct((1, config.stft_frames, config.mel_bands), jnp.float32)
    ids = jax.ShapeDtypeStruct((1, config.max_tokens), jnp.int32)
    present = jax.ShapeDtypeStruct((1, config.max_tokens), jnp.bool_)
    single = dataclasses.replace(config, audio_layers=1, text_layers=1)  # all layers have one shape
    tree = {
        "audio": jax.eval_shape(MusicCoCaAudioTower(single).init, key, mels)["params"],
        "text": jax.eval_shape(MusicCoCaTextTower(single).init, key, ids, present)["params"],
    }
    shapes = {name: leaf.shape for name, leaf in flax.traverse_util.flatten_dict(tree, sep="/").items()}
    shapes = repeat_layers(shapes, {"audio/layers_": config.audio_layers, "text/layers_": config.text_layers})
    return types.MappingProxyType(shapes | {"front_end/mel_matrix": (config.fft_samples // 2, config.mel_bands)})
