"""SpectroStream's layers: causal convolutions over time and frequency, and their residual blocks, by steps.

Every layer reads a block of frames and what it still needs of the frames before, and gives the block's outputs and
what the next block needs: step(past, block, span) -> (past, outputs). A past of None is silence: zeros, which is also
how the released codec begins every sequence. Activations are ELU and come before a convolution.

In a compiled stream a block has a fixed number of frames, and frame n always stands at place n modulo that number,
whatever the pieces of the stream: `Span` says which places count. So a frame goes through the very same arithmetic
however a stream is cut, on every backend, and codes and samples come out equal to the last bit.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Features = Float[Array, "batch time bins width"]
Outputs = Float[Array, "batch new_time new_bins new_width"]
Past = Float[Array, "batch past bins width"] | None

_PRECISION = jax.lax.Precision.HIGHEST  # accelerators would round to 10 bits of mantissa and find other codes


class Span(NamedTuple):
    """The part of a block that counts, in codec frames.

    start, stop: places of the first frame and after the last one.
    frames: places in the block.
    """

    start: Int[Array, ""]
    stop: Int[Array, ""]
    frames: int


def with_past(
    past: Float[Array, "batch past ..."] | None, block: Float[Array, "batch time ..."], size: int, span: Span | None
) -> tuple[Float[Array, "batch past ..."], Float[Array, "batch longer ..."]]:
    """The block behind its past.

    Args:
      past: the last `size` inputs before the span; None: silence.
      span: the part of the block that counts; None: all of it.
    Returns:
      the past of the next block, and the block with `size` more inputs in front.
    """
    if past is None:
        past = jnp.zeros((block.shape[0], size, *block.shape[2:]), block.dtype)
    longer = jnp.concatenate([past, block], axis=1)
    if span is None:
        return longer[:, longer.shape[1] - size :], longer
    per_frame = block.shape[1] // span.frames
    # Places before the span hold nothing that counts: the past takes those right before it.
    longer = jax.lax.dynamic_update_slice_in_dim(longer, past, span.start * per_frame, axis=1)
    return jax.lax.dynamic_slice_in_dim(longer, span.stop * per_frame, size, axis=1), longer


class Weights(nn.Module):
    """Kernel and bias of one convolution."""

    kernel_shape: tuple[int, ...]  # time, frequency, in, out

    @nn.compact
    def __call__(self) -> tuple[Float[Array, "time bins in out"], Float[Array, "out"]]:
        kernel = self.param("kernel", nn.initializers.lecun_normal(), self.kernel_shape)
        return kernel, self.param("bias", nn.initializers.zeros, self.kernel_shape[-1:])


class Pointwise(nn.Module):
    """A convolution of one tap: the same linear map everywhere."""

    width: int

    @nn.compact
    def __call__(self, inputs: Float[Array, "*places in"]) -> Float[Array, "*places width"]:
        kernel, bias = Weights((1, 1, inputs.shape[-1], self.width), name="conv")()
        return jnp.matmul(inputs, kernel[0, 0], precision=_PRECISION) + bias


class CausalConv(nn.Module):
    """Convolution: causal in time, centred in frequency, strided in both."""

    width: int
    kernel: tuple[int, int]  # taps in time, in frequency
    strides: tuple[int, int] = (1, 1)

    @nn.compact
    def step(self, past: Past, inputs: Features, span: Span | None = None) -> tuple[Past, Outputs]:
        """See the module; the past is `kernel - stride` inputs long."""
        kernel, bias = Weights((*self.kernel, inputs.shape[-1], self.width), name="conv")()
        past, longer = with_past(past, inputs, self.kernel[0] - self.strides[0], span)
        padding = max(self.kernel[1] - self.strides[1], 0)
        outputs = jax.lax.conv_general_dilated(
            longer,
            kernel,
            window_strides=self.strides,
            padding=((0, 0), (padding // 2, padding - padding // 2)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=_PRECISION,
        )
        return past, outputs + bias


class CausalConvTranspose(nn.Module):
    """Transposed convolution: every input becomes `strides` outputs; causal in time, centred in frequency.

    Written as an ordinary convolution that makes all outputs of one input side by side, so that no zero is multiplied.
    """

    width: int
    kernel: tuple[int, int]  # taps in time, in frequency
    strides: tuple[int, int]

    @nn.compact
    def step(self, past: Past, inputs: Features, span: Span | None = None) -> tuple[Past, Outputs]:
        """See the module."""
        kernel, bias = Weights((*self.kernel, inputs.shape[-1], self.width), name="conv")()
        frequency_padding = self.kernel[1] + self.strides[1] - 2
        first = (self.kernel[0] - 1, frequency_padding - frequency_padding // 2)  # taps before an output's own place
        times = [_phase(self.kernel[0], self.strides[0], first[0], phase) for phase in range(self.strides[0])]
        bins = [_phase(self.kernel[1], self.strides[1], first[1], phase) for phase in range(self.strides[1])]
        phases = [kernel[t.tap :: self.strides[0], b.tap :: self.strides[1]] for t in times for b in bins]
        size = phases[0].shape[0] - 1
        past, longer = with_past(past, inputs, size, span)
        before, after = -min(b.offset for b in bins), max(b.offset for b in bins) + phases[0].shape[1] - 1
        outputs = jax.lax.conv_general_dilated(
            longer,
            jnp.concatenate(phases, axis=-1),
            window_strides=(1, 1),
            padding=((0, 0), (before, after)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=_PRECISION,
        )
        batch, time, _, _ = outputs.shape
        outputs = outputs.reshape(batch, time, -1, len(times), len(bins), self.width)
        count = inputs.shape[2]
        aligned = [outputs[:, :, b.offset + before :][:, :, :count, :, place] for place, b in enumerate(bins)]
        interleaved = jnp.moveaxis(jnp.stack(aligned, axis=3), 4, 2)  # batch, time, time phase, bins, bin phase, width
        return past, interleaved.reshape(batch, time * len(times), count * len(bins), self.width) + bias


class _Phase(NamedTuple):
    """Which taps make one of the outputs that an input becomes.

    tap: the first of every stride-th tap.
    offset: input that the first of these taps reads, counted from the output's own.
    """

    tap: int
    offset: int


def _phase(taps: int, stride: int, before: int, phase: int) -> _Phase:
    """Taps of output `stride * n + phase`, of `taps` in all, `before` of them before the output's own place."""
    tap = (before - phase) % stride
    return _Phase(tap, (phase - before + tap) // stride)


class ResidualUnit(nn.Module):
    """Two convolutions, added to their input."""

    names: tuple[str, str] = ("conv2d_3x3_a", "conv2d_3x3")  # in the order in which they are applied

    @nn.compact
    def step(self, past: tuple | None, inputs: Features, span: Span | None = None) -> tuple[tuple, Features]:
        """See the module."""
        hidden, pasts = inputs, []
        for name, layer_past in zip(self.names, past or (None, None), strict=True):
            layer = CausalConv(inputs.shape[-1], (3, 3), name=name)
            layer_past, hidden = layer.step(layer_past, nn.elu(hidden), span)
            pasts.append(layer_past)
        return tuple(pasts), inputs + hidden


class _Shortcut(nn.Module):
    """The way around a block's convolutions: a change of width, where there is one."""

    width: int

    @nn.compact
    def __call__(self, inputs: Features) -> Outputs:
        return inputs if inputs.shape[-1] == self.width else Pointwise(self.width, name="conv1x1")(inputs)


def _resampling_kernel(strides: tuple[int, int]) -> tuple[int, int]:
    return max(3, 2 * strides[0]), max(3, 2 * strides[1])


class EncoderBlock(nn.Module):
    """A convolution and a strided one, added to the mean of what they read."""

    width: int
    strides: tuple[int, int]

    @nn.compact
    def step(self, past: tuple | None, inputs: Features, span: Span | None = None) -> tuple[tuple, Outputs]:
        """See the module."""
        first, second = past or (None, None)
        kernel = _resampling_kernel(self.strides)
        first, hidden = CausalConv(inputs.shape[-1], (3, 3), name="conv2d_3x3").step(first, nn.elu(inputs), span)
        resample = CausalConv(self.width, kernel, self.strides, name=f"conv2d_{kernel[0]}x{kernel[1]}_a")
        second, hidden = resample.step(second, nn.elu(hidden), span)
        batch, time, bins, width = inputs.shape
        shape = (batch, time // self.strides[0], self.strides[0], bins // self.strides[1], self.strides[1], width)
        shortcut = _Shortcut(self.width, name="shortcut_layer")(inputs.reshape(shape).mean((2, 4)))
        return (first, second), hidden + shortcut


class DecoderBlock(nn.Module):
    """A transposed convolution and a convolution, added to what they read, held."""

    width: int
    strides: tuple[int, int]

    @nn.compact
    def step(self, past: tuple | None, inputs: Features, span: Span | None = None) -> tuple[tuple, Outputs]:
        """See the module."""
        first, second = past or (None, None)
        kernel = _resampling_kernel(self.strides)
        resample = CausalConvTranspose(self.width, kernel, self.strides, name=f"conv2dtranspose_{kernel[0]}x{kernel[1]}")
        first, hidden = resample.step(first, nn.elu(inputs), span)
        second, hidden = CausalConv(self.width, (3, 3), name="conv2d_3x3").step(second, nn.elu(hidden), span)
        shortcut = _Shortcut(self.width, name="shortcut_layer")(inputs)
        batch, time, bins, width = shortcut.shape
        shape = (batch, time, self.strides[0], bins, self.strides[1], width)
        held = jnp.broadcast_to(shortcut[:, :, None, :, None], shape)
        return (first, second), hidden + held.reshape(hidden.shape)
