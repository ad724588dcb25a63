"""SpectroStream's encoder and decoder, by steps and whole.

Parameters carry the released names: encoder/..., decoder/... and quantizer/embedding. Left and right go through the same
layers as two items of the batch, and meet only in the encoder's last block; the decoder parts them after its first
("delayed fusion", Live Music Models appendix C.1).
"""

import functools
import math
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from magenta_rt_py.codec import spectrostream_spectrum as spectrum
from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig
from magenta_rt_py.codec.spectrostream_layers import (
    CausalConv,
    DecoderBlock,
    EncoderBlock,
    Features,
    Outputs,
    Pointwise,
    ResidualUnit,
    Span,
)

CODEBOOKS = "quantizer/embedding"
"""Name of the code vectors among the tensors."""

Pasts = tuple[Any, ...] | None
"""What each layer still needs of the frames before; None before the first frame."""


class _Detour(nn.Module):
    """Two linear maps with an ELU between them."""

    inner_width: int
    width: int

    @nn.compact
    def __call__(self, inputs: Float[Array, "batch frames in"]) -> Float[Array, "batch frames width"]:
        hidden = Pointwise(self.inner_width, name="conv1x1_b1")(inputs)
        return Pointwise(self.width, name="conv1x1_b2")(nn.elu(hidden))


class _Outlet(nn.Module):
    """The encoder's last maps: all places on the frequency axis to latents."""

    width: int

    @nn.compact
    def __call__(self, inputs: Float[Array, "batch frames in"]) -> Float[Array, "batch frames width"]:
        detour = _Detour(inputs.shape[-1], self.width, name="shortcut_layer")(nn.elu(inputs))
        return Pointwise(self.width, name="conv1x1_last")(inputs) + detour


class _Inlet(nn.Module):
    """The decoder's first maps: quantized latents to all places on the frequency axis."""

    width: int

    @nn.compact
    def __call__(self, inputs: Float[Array, "batch frames in"]) -> Float[Array, "batch frames width"]:
        detour = _Detour(self.width, self.width, name="shortcut_layer")(inputs)
        return Pointwise(self.width, name="conv1x1_first")(inputs) + detour


class _LastConv(nn.Module):
    """The decoder's last convolution, to real and imaginary part of one channel."""

    kernel: int

    @nn.compact
    def step(self, past: Any, inputs: Features, span: Span | None = None) -> tuple[Any, Outputs]:
        """See spectrostream_layers."""
        return CausalConv(2, (self.kernel, self.kernel), name="base_conv_last").step(past, inputs, span)


def _part_channels(fused: Features) -> Float[Array, "more_batch time bins half_width"]:
    """Two halves of the width become two items of the batch, left first: [left 0, right 0, left 1, ...]."""
    batch, time, bins, width = fused.shape
    halves = fused.reshape(batch, time, bins, 2, width // 2)
    return jnp.moveaxis(halves, 3, 1).reshape(2 * batch, time, bins, width // 2)


def _fuse_channels(parted: Features) -> Float[Array, "half_batch time bins more_width"]:
    """The inverse of _part_channels."""
    batch, time, bins, width = parted.shape
    halves = parted.reshape(batch // 2, 2, time, bins, width)
    return jnp.moveaxis(halves, 1, 3).reshape(batch // 2, time, bins, 2 * width)


class Encoder(nn.Module):
    """Spectrogram to latents; 25 frames a second."""

    config: SpectroStreamConfig

    @nn.compact
    def step(
        self, pasts: Pasts, spectrogram: Float[Array, "batch stft_frames bins parts"], span: Span | None = None
    ) -> tuple[Pasts, Float[Array, "batch frames dim"]]:
        """Latents of the next frames; `pasts` and `span` as in spectrostream_layers."""
        config = self.config
        taps = (config.edge_kernel, config.edge_kernel)
        layers = [CausalConv(config.encoder_first_width, taps, name="base_conv_first")]
        for index, (width, strides) in enumerate(zip(config.encoder_widths, config.encoder_strides, strict=True)):
            layers.append(EncoderBlock(width, strides, name=f"encoder_{index}"))
        layers.append(ResidualUnit(("conv2d_3x3", "conv2d_3x3_a"), name="bottleneck"))
        hidden, new = _part_channels(spectrogram), []
        for index, (layer, past) in enumerate(zip(layers, pasts or (None,) * len(layers), strict=True)):
            if index == len(config.encoder_widths):  # the last block
                hidden = _fuse_channels(hidden)
            past, hidden = layer.step(past, hidden, span)
            new.append(past)
        flat = hidden.reshape(*hidden.shape[:2], -1)  # frequency outside, width inside
        return tuple(new), _Outlet(config.latent_dim, name="output_convs")(flat)


class Decoder(nn.Module):
    """Quantized latents to a spectrogram; its first frame of output lies before the start of the sound."""

    config: SpectroStreamConfig

    @nn.compact
    def step(
        self, pasts: Pasts, quantized: Float[Array, "batch frames dim"], span: Span | None = None
    ) -> tuple[Pasts, Float[Array, "batch stft_frames bins parts"]]:
        """STFT frames of the next frames, one frame late; `pasts` and `span` as in spectrostream_layers."""
        config = self.config
        width = config.innermost_bins * config.decoder_first_width
        inner = _Inlet(width, name="input_layer")(quantized)
        hidden = inner.reshape(*inner.shape[:2], config.innermost_bins, config.decoder_first_width)
        layers: list[Any] = [ResidualUnit(name="input_layers_residual_unit")]
        for index, (width, strides) in enumerate(zip(config.decoder_widths, config.decoder_strides, strict=True)):
            layers.append(DecoderBlock(width, strides, name=f"decoder_{index}"))
        layers.append(_LastConv(config.edge_kernel, name="output_layer"))
        new = []
        for index, (layer, past) in enumerate(zip(layers, pasts or (None,) * len(layers), strict=True)):
            if index == 2:  # the second block
                hidden = _part_channels(hidden)
            if index == len(layers) - 1:
                hidden = nn.elu(hidden)
            past, hidden = layer.step(past, hidden, span)
            new.append(past)
        return tuple(new), _fuse_channels(hidden)


def encode_latents(
    config: SpectroStreamConfig, encoder: dict, samples: Float[Array, "batch samples channels"]
) -> Float[Array, "batch frames dim"]:
    """Latents of a whole recording in one pass, with gradients; silence before and after.

    Args:
      encoder: parameters below "encoder".
      samples: a whole number of frames.
    """
    padded = jnp.pad(samples, ((0, 0), (0, config.lookahead_samples), (0, 0)))
    return Encoder(config).apply({"params": encoder}, None, spectrum.analyse(config, padded), method="step")[1]


def decode_quantized(
    config: SpectroStreamConfig, decoder: dict, quantized: Float[Array, "batch frames dim"]
) -> Float[Array, "batch samples channels"]:
    """Sound of quantized latents in one pass, with gradients: all frames but the last, which is only look-ahead.

    Args:
      decoder: parameters below "decoder".
    """
    _, spectrogram = Decoder(config).apply({"params": decoder}, None, quantized, method="step")
    return spectrum.synthesise(config, None, spectrogram[:, config.stft_frames_per_frame :])[1]


def init_params(config: SpectroStreamConfig, key: Array) -> dict:
    """Random parameters of encoder and decoder; run it compiled or under jax.eval_shape."""
    encoder_key, decoder_key = jax.random.split(key)
    spectrogram = jnp.zeros((1, config.stft_frames_per_frame, config.bins, 2 * config.channels))
    return {
        "encoder": Encoder(config).init(encoder_key, None, spectrogram, method="step")["params"],
        "decoder": Decoder(config).init(decoder_key, None, jnp.zeros((1, 1, config.latent_dim)), method="step")["params"],
    }


@functools.cache
def _shapes(config: SpectroStreamConfig) -> dict[str, tuple[int, ...]]:
    params = jax.eval_shape(functools.partial(init_params, config), jax.random.key(0))
    nets = {name: value.shape for name, value in flax.traverse_util.flatten_dict(params, sep="/").items()}
    return nets | {CODEBOOKS: (config.num_levels, config.codebook_size, config.latent_dim)}


def tensor_shapes(config: SpectroStreamConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a codec; nothing is allocated."""
    return dict(_shapes(config))


def count_numbers(config: SpectroStreamConfig) -> int:
    """How many numbers the tensors hold."""
    return sum(math.prod(shape) for shape in _shapes(config).values())


def random_tensors(config: SpectroStreamConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """All tensors at random, of the size at which a layer keeps its input's: for tests, for timing, to start training.

    The codebooks get smaller from level to level, as trained ones do; nothing ties them to the nets.
    """
    random, tensors = np.random.default_rng(seed), {}
    for name, shape in _shapes(config).items():
        if name == CODEBOOKS:
            size = 0.9 ** np.arange(shape[0], dtype=np.float32)[:, None, None]
        else:
            size = np.float32(0.0 if name.endswith("bias") else math.prod(shape[:-1]) ** -0.5)
        tensors[name] = size * random.standard_normal(shape, np.float32)
    return tensors
