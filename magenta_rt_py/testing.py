"""What tests of this package, and of plug-ins to it, need: proof of the streaming contract, and tiny models.

Everything here raises AssertionError with the place and the size of what is wrong.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from magenta_rt_py.codec import CompactCodec, bands, network
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.nn.streaming import StreamingLayer

__all__ = ["check_streaming", "random_codec_tensors", "stream_in_pieces", "tiny_codec"]

Sequence = Shaped[np.ndarray, "batch _ ..."]  # axis 1 is time


def stream_in_pieces(layer: StreamingLayer, inputs: Sequence, sizes: list[int]) -> Sequence:
    """Outputs of a stream fed in pieces of the given sizes (used in turn until the inputs end)."""
    state, pieces, start, turn = layer.init_state(inputs.shape[0]), [], 0, 0
    while start < inputs.shape[1]:
        size = sizes[turn % len(sizes)]
        state, outputs = layer.step(state, inputs[:, start : start + size])
        pieces.append(np.asarray(outputs))
        start, turn = start + size, turn + 1
    return np.concatenate(pieces, axis=1)


def check_streaming(
    layer: StreamingLayer,
    inputs: Sequence,
    *,
    others: Sequence | None = None,
    small_piece: int = 1,
    tolerance: float = 1e-5,
) -> None:
    """Proves that a layer keeps the streaming contract and has the reach it declares.

    Checked: pieces of every kind give the whole result; the future beyond the look-ahead does not reach an output, nor
    does the past beyond the receptive field; two interleaved streams do not mix; a stream saved and resumed goes on
    equal to the last bit.

    Args:
      inputs: long enough for a few of the largest pieces; the same layer may be checked at several lengths.
      others: inputs of the same shape that differ everywhere, for what must not be seen. None: NaN.
      small_piece: the smallest piece size; 1 where steps are cheap.
      tolerance: largest absolute difference; 0 for codes.
    """
    if others is None:
        others = np.full_like(inputs, np.nan)
    whole = np.asarray(layer.whole(inputs))
    _check_pieces(layer, inputs, whole, small_piece, tolerance)
    _check_reach(layer, inputs, others, whole, tolerance)
    _check_interleaved(layer, inputs, small_piece, tolerance)
    _check_resumed(layer, inputs)


def _assert_close(got: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    if not got.size:
        return
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    worst = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), difference.shape)
    assert difference[worst] <= tolerance, (
        f"{what}: differs by {difference[worst]:.3g} at {tuple(int(i) for i in worst)}"
    )


def _check_pieces(layer: StreamingLayer, inputs: Sequence, whole: Sequence, small_piece: int, tolerance: float) -> None:
    time, unit = inputs.shape[1], layer.inputs_per_output
    kinds = {
        "all at once": [time],
        "smallest pieces": [small_piece],
        "ragged pieces": [small_piece, 3 * unit, small_piece + unit, 7 * unit, 2 * unit + 1],
        "one too many": [unit + 1],
        "one too few": [max(1, unit - 1)],
        "all but one": [time - 1, 1],
    }
    complete = (time - layer.lookahead_inputs * (unit > 1)) // unit * layer.outputs_per_input
    for kind, sizes in kinds.items():
        streamed = stream_in_pieces(layer, inputs, sizes)
        assert streamed.shape[1] == complete, f"{kind}: {streamed.shape[1]} outputs, expected {complete}"
        streamed = streamed[:, layer.delay_outputs :]
        _assert_close(streamed, whole[:, : streamed.shape[1]], tolerance, f"streamed in {kind} against whole")


def _check_reach(layer: StreamingLayer, inputs: Sequence, others: Sequence, whole: Sequence, tolerance: float) -> None:
    cut = inputs.shape[1] // 2
    changed = np.concatenate([inputs[:, :cut], others[:, cut:]], axis=1)
    untouched = max(0, (cut - layer.lookahead_inputs) // layer.inputs_per_output * layer.outputs_per_input)
    assert untouched, "the inputs are too short to test the look-ahead"
    got = np.asarray(layer.whole(changed))
    _assert_close(got[:, :untouched], whole[:, :untouched], tolerance, "the future reached the past: output")
    if layer.past_inputs is None:
        return
    first = -(-(cut + layer.past_inputs) // layer.inputs_per_output) * layer.outputs_per_input
    assert first < whole.shape[1], "the inputs are too short to test the receptive field"
    changed = np.concatenate([others[:, :cut], inputs[:, cut:]], axis=1)
    got = np.asarray(layer.whole(changed))
    _assert_close(got[:, first:], whole[:, first:], tolerance, "the past reached beyond the receptive field: output")
    before = slice(max(0, first - layer.outputs_per_input), first)
    same = np.array_equal(got[:, before], whole[:, before])
    assert not same, "the receptive field is smaller than declared"


def _check_interleaved(layer: StreamingLayer, inputs: Sequence, small_piece: int, tolerance: float) -> None:
    mirrored = np.ascontiguousarray(inputs[:, ::-1])
    size = small_piece + 2 * layer.inputs_per_output
    states, outputs = [layer.init_state(inputs.shape[0]), layer.init_state(inputs.shape[0])], ([], [])
    for start in range(0, inputs.shape[1], size):
        for stream, source in enumerate((inputs, mirrored)):
            states[stream], piece = layer.step(states[stream], source[:, start : start + size])
            outputs[stream].append(np.asarray(piece))
    for pieces, source in zip(outputs, (inputs, mirrored), strict=True):
        alone = stream_in_pieces(layer, source, [size])
        _assert_close(np.concatenate(pieces, axis=1), alone, tolerance, "two interleaved streams mixed")


def _check_resumed(layer: StreamingLayer, inputs: Sequence) -> None:
    middle = inputs.shape[1] // 2 + 1
    state, _ = layer.step(layer.init_state(inputs.shape[0]), inputs[:, :middle])
    leaves, structure = jax.tree.flatten(state)
    saved = [np.array(leaf).tobytes() for leaf in leaves]
    _, first = layer.step(state, inputs[:, middle:])
    again = [
        np.frombuffer(data, np.asarray(leaf).dtype).reshape(np.shape(leaf))
        for data, leaf in zip(saved, leaves, strict=True)
    ]
    # A host array must come back as one: the types in a state's signature are checked.
    again = [
        jnp.asarray(new) if isinstance(old, jax.Array) else new.copy() for new, old in zip(again, leaves, strict=True)
    ]
    _, second = layer.step(jax.tree.unflatten(structure, again), inputs[:, middle:])
    assert np.array_equal(np.asarray(first), np.asarray(second), equal_nan=True), "a resumed stream goes on differently"


def random_codec_tensors(config: codec_config.CompactCodecConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Codec tensors that make audible noise: random weights of trained size."""
    random = np.random.default_rng(seed)
    tensors: dict[str, Any] = {}
    for name, shape in network.tensor_shapes(config).items():
        fan_in = shape[0] if len(shape) == 2 else 10
        tensors[name] = (random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)
    tensors["statistics/mean"] = np.full(bands.feature_dim(config), -1.0, np.float32)
    tensors["statistics/deviation"] = np.ones(bands.feature_dim(config), np.float32)
    return tensors


def tiny_codec(*, seed: int = 0) -> CompactCodec:
    """A codec with the real time geometry and token format and random weights; it makes noise."""
    config = codec_config.tiny()
    return CompactCodec.from_tensors(config, random_codec_tensors(config, seed=seed))
