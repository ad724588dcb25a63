"""What decoding costs in the codecs' nets, counted from the configuration. Runs nothing.

Not counted: the inverse Fourier transforms and, in the compact codec, the phase stage, which is no net.
"""

from __future__ import annotations

from typing import NamedTuple

from magenta_rt_py.codec import bands
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig
from magenta_rt_py.speed.cost import Cost


class _Plane(NamedTuple):
    """What a convolution reads: places in time (a codec frame) and in frequency, and features at each."""

    time: int
    bins: int
    width: int

    @property
    def numbers(self) -> int:
        return self.time * self.bins * self.width


def decoder_cost(config: SpectroStreamConfig | CompactCodecConfig, frames: int, *, streams: int = 1) -> Cost:
    """Cost of decoding one request's frames at once."""
    if isinstance(config, SpectroStreamConfig):
        layers = _spectrostream_layers(config)
    else:
        layers = _compact_layers(config)
    weights, moved, multiply_adds = (sum(numbers) for numbers in zip(*layers))
    return Cost(weights, 1, moved * frames, multiply_adds * frames).times(streams)


def _compact_layers(config: CompactCodecConfig) -> list[tuple[int, int, int]]:
    """(weights, moved, multiply-adds) a frame of every layer."""
    hidden, latent, features = config.hidden_dim, config.latent_dim, bands.feature_dim(config)
    taps, inner = config.kernel_frames * hidden, config.mlp_ratio * config.hidden_dim
    block = taps + 2 * hidden * inner
    layers = [_dense(latent, hidden), _dense(hidden, features), _dense(latent, features)]
    layers += [(block + hidden + inner, 2 * hidden + 2 * inner, block)] * config.decoder_blocks
    return [*layers, (features, 0, 0)]  # the bias


def _spectrostream_layers(config: SpectroStreamConfig) -> list[tuple[int, int, int]]:
    """(weights, moved, multiply-adds) a frame of every layer, in order."""
    wide = config.innermost_bins * config.decoder_first_width
    inlet = _dense(config.latent_dim, wide, bias=True)
    layers = [inlet, inlet, _dense(wide, wide, bias=True)]  # straight, and a detour of two
    plane = _Plane(1, config.innermost_bins, config.decoder_first_width)
    for _ in range(2):  # the residual unit
        layers.append(_convolution(plane, plane, (3, 3)))
    channels = 1
    for index, (width, strides) in enumerate(zip(config.decoder_widths, config.decoder_strides, strict=True)):
        if index == 1:  # left and right part after the first block
            channels, plane = config.channels, plane._replace(width=plane.width // config.channels)
        after = _Plane(plane.time * strides[0], plane.bins * strides[1], width)
        taps = (max(3, 2 * strides[0]), max(3, 2 * strides[1]))
        block = [_transposed(plane, after, taps), _convolution(after, after, (3, 3))]
        if plane.width != width:  # the shortcut's change of width
            block.append(_convolution(plane, plane._replace(width=width), (1, 1)))
        layers += [_for_channels(layer, channels) for layer in block]
        plane = after
    edge = (config.edge_kernel, config.edge_kernel)
    last = _convolution(plane, plane._replace(width=2), edge)
    return [*layers, _for_channels(last, channels)]


def _dense(inputs: int, outputs: int, *, bias: bool = False) -> tuple[int, int, int]:
    return inputs * outputs + bias * outputs, inputs + outputs, inputs * outputs


def _convolution(before: _Plane, after: _Plane, taps: tuple[int, int]) -> tuple[int, int, int]:
    kernel = taps[0] * taps[1] * before.width * after.width
    return kernel + after.width, before.numbers + after.numbers, kernel * after.time * after.bins


def _transposed(before: _Plane, after: _Plane, taps: tuple[int, int]) -> tuple[int, int, int]:
    """Every input place meets every tap once."""
    kernel = taps[0] * taps[1] * before.width * after.width
    return kernel + after.width, before.numbers + after.numbers, kernel * before.time * before.bins


def _for_channels(layer: tuple[int, int, int], channels: int) -> tuple[int, int, int]:
    weights, moved, multiply_adds = layer
    return weights, moved * channels, multiply_adds * channels
