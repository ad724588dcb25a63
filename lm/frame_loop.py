"""The frame loop of one stream, for narrow models on one core of a CPU. Compiled with numba, no JAX in it.

    for each frame:   temporal stack (all rows) -> for each drawn level: depth stack, head, guidance, draw
                                                   for each averaged level: the same for the condition's row, nearest code

The same arithmetic as `lm.decode` has in XLA, whose matrix products are made for many rows and here get one to three:
most of their time is spent on reading weights and on handing over. Sums are taken in another order, so the last bits
differ.

With int8 weights, activations are rounded to 16 bits before each product (steps of a vector's largest value / 32767), and
products are summed exactly: processors multiply pairs of such integers in one go, and the weights are read as stored.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float32

from magenta_rt_py.nn.compiled import compiled, compiled_reordered

GREEDY_TEMPERATURE = np.float32(1e-4)  # of lm.sampling, which says what they mean
EXCLUDED_LOGIT = np.float32(-1e7)
FAST_TOP_K = 128

NORM_EPSILON = np.float32(1e-6)  # of nn.norms
LARGEST_INT16 = 32767
LARGEST_INT32 = 2**31 - 1
LARGEST_INT8 = 127
BLOCK_INPUTS = 16  # inputs whose weights stay in the nearest cache while every row reads them

# exp(x) = 2^n * e^r with n whole and |r| <= log(2) / 2; coefficients of Cephes' expf, good to one unit in the last place.
LOG2_E = np.float32(1.44269504088896341)
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)
E5, E4, E3 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
E2, E1, E0 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
LEAST_EXPONENT, MOST_EXPONENT = np.float32(-87.0), np.float32(88.0)

HALF, ONE, TWO = np.float32(0.5), np.float32(1.0), np.float32(2.0)
GELU_LINEAR = np.float32(2.0 * 0.7978845608028654)  # gelu(x) = x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))
GELU_CUBIC = np.float32(2.0 * 0.7978845608028654 * 0.044715)


class Inputs(NamedTuple):
    """A request as the loop takes it: what is computed once."""

    cross_keys: Float32[np.ndarray, "layers rows heads head_dim positions"]
    cross_values: Float32[np.ndarray, "layers rows heads positions head_dim"]
    temporal_bias: Float32[np.ndarray, "heads frames frames"]
    depth_bias: Float32[np.ndarray, "heads levels levels"]
    first_input: Float32[np.ndarray, "rows dim"]
    added_inputs: Float32[np.ndarray, "rows frames dim"]  # clock, bar recall and style
    noise: Float32[np.ndarray, "frames drawn ids"]  # Gumbel noise, from `sampling.noise`


class Knobs(NamedTuple):
    """`request.Controls` without the clocks, as plain numbers."""

    temperature: float
    top_k: int
    guidance_weight: float
    input_guidance_weight: float


@compiled_reordered
@no_type_check
def run(packed, inputs, knobs, summary_at_every_level):
    """Codes of all frames, Int32[frames levels].

    Args:
      packed: `packing.Packed`.
      inputs: `Inputs`; its noise says how many levels are drawn, the rest is averaged.
      knobs: `Knobs`.
      summary_at_every_level: of the configuration.
    """
    layers, rows, heads, head_dim, _ = inputs.cross_keys.shape
    frames, drawn, _ = inputs.noise.shape
    levels = packed.rows.shape[0]
    keys = np.zeros((layers, rows, heads, head_dim, frames), np.float32)
    values = np.zeros((layers, rows, heads, frames, head_dim), np.float32)
    codes = np.zeros((frames, levels), np.int32)
    x = inputs.first_input.copy()
    for frame in range(frames):
        x += inputs.added_inputs[:, frame]
        _temporal_step(packed, inputs, keys, values, frame, x)
        _spell(packed, inputs, knobs, x, frame, drawn, summary_at_every_level, codes[frame])
        for row in range(rows):
            x[row] = packed.rows[0, codes[frame, 0]]
            for level in range(1, levels):
                x[row] += packed.rows[level, codes[frame, level]]
            x[row] /= np.float32(levels)
    return codes


@compiled_reordered
@no_type_check
def _temporal_step(packed, inputs, keys, values, frame, x):
    """One frame through the temporal stack, in place."""
    for layer in range(keys.shape[0]):
        _self_attention(packed.temporal, layer, keys[layer], values[layer], inputs.temporal_bias, frame, x)
        normed = _norm(x, packed.cross.norm[layer])
        query = _dense(normed, packed.cross.query.weights, packed.cross.query.scales, layer)
        mixed = _attend(query, inputs.cross_keys[layer], inputs.cross_values[layer], None, inputs.cross_keys.shape[4])
        x += _dense(mixed, packed.cross.out.weights, packed.cross.out.scales, layer)
        _mlp(packed.temporal, layer, x)


@compiled_reordered
@no_type_check
def _spell(packed, inputs, knobs, summary, frame, drawn, summary_at_every_level, codes):
    """The levels of one frame, coarsest first, into `codes`."""
    rows, dim = summary.shape
    heads, levels, _ = inputs.depth_bias.shape
    layers = packed.depth.attention_norm.shape[0]
    head_dim = inputs.cross_keys.shape[3]
    keys = np.zeros((layers, rows, heads, head_dim, levels), np.float32)
    values = np.zeros((layers, rows, heads, levels, head_dim), np.float32)
    x = summary.copy()
    for level in range(levels):
        if level == drawn:  # from here on the condition's row goes on alone
            rows = 1
            x = x[:1].copy()
        for layer in range(layers):
            _self_attention(packed.depth, layer, keys[layer], values[layer], inputs.depth_bias, level, x)
            _mlp(packed.depth, layer, x)
        scores = _dense(_norm(x, packed.final_norm), packed.head.weights, packed.head.scales, level)
        scores += packed.head_bias[level]
        if level < drawn:
            codes[level] = _draw(_guide(scores, knobs), inputs.noise[frame, level], knobs)
        else:
            codes[level] = _nearest_to_mean(scores[0], packed.averaging, level - drawn)
        for row in range(rows):
            x[row] = packed.rows[level, codes[level]]
            if summary_at_every_level:
                x[row] += summary[row]


@compiled_reordered
@no_type_check
def _self_attention(block, layer, keys, values, bias, index, x):
    """x += attention(norm(x)) for position `index`, whose key and value join those before it."""
    rows = x.shape[0]
    _, heads, head_dim, _ = keys.shape
    inner = heads * head_dim
    normed = _norm(x, block.attention_norm[layer])
    projected = _dense(normed, block.attention_in.weights, block.attention_in.scales, layer)
    for row in range(rows):
        for head in range(heads):
            for feature in range(head_dim):
                place = inner + head * head_dim + feature
                keys[row, head, feature, index] = projected[row, place]
                values[row, head, index, feature] = projected[row, place + inner]
    mixed = _attend(projected, keys, values, bias[:, index], index + 1)
    x += _dense(mixed, block.attention_out.weights, block.attention_out.scales, layer)


@compiled_reordered
@no_type_check
def _attend(query, keys, values, bias, length):
    """What each row and head finds among the first `length` positions, Float32[rows inner]."""
    rows = query.shape[0]
    _, heads, head_dim, _ = keys.shape
    mixed = np.zeros((rows, heads * head_dim), np.float32)
    shares = np.empty(length, np.float32)
    for row in range(rows):
        for head in range(heads):
            first, end = head * head_dim, (head + 1) * head_dim
            if bias is None:
                shares[:] = 0
            else:
                shares[:] = bias[head, :length]
            _add_product(query[row, first:end], keys[row, head], shares)
            _softmax(shares)
            _add_product(shares, values[row, head, :length], mixed[row, first:end])
    return mixed


@compiled_reordered
@no_type_check
def _mlp(block, layer, x):
    """x += mlp(norm(x)), the gated MLP of lm.mlp."""
    gates = _dense(_norm(x, block.mlp_norm[layer]), block.gates.weights, block.gates.scales, layer)
    rows, inner = gates.shape[0], gates.shape[1] // 2
    opened = np.empty((rows, inner), np.float32)
    for row in range(rows):
        for i in range(inner):
            g = gates[row, i]
            opened[row, i] = -g * (GELU_LINEAR + GELU_CUBIC * g * g)
        _exponential(opened[row])
        for i in range(inner):
            opened[row, i] = gates[row, i] / (ONE + opened[row, i]) * gates[row, inner + i]
    x += _dense(opened, block.mlp_out.weights, block.mlp_out.scales, layer)


@compiled_reordered
@no_type_check
def _norm(x, scale):
    """RMS norm of every row."""
    rows, dim = x.shape
    normed = np.empty((rows, dim), np.float32)
    for row in range(rows):
        total = np.float32(0)
        for i in range(dim):
            total += x[row, i] * x[row, i]
        factor = ONE / np.sqrt(total / np.float32(dim) + NORM_EPSILON)
        for i in range(dim):
            normed[row, i] = x[row, i] * factor * scale[i]
    return normed


@compiled_reordered
@no_type_check
def _dense(x, weights, scales, layer):
    """Rows times the kernel of a layer, Float32[rows out]."""
    if scales is None:
        kernel = weights[layer]
        y = np.zeros((x.shape[0], kernel.shape[1]), np.float32)
        for first in range(0, x.shape[1], BLOCK_INPUTS):
            for row in range(x.shape[0]):
                _add_product(x[row, first : first + BLOCK_INPUTS], kernel[first : first + BLOCK_INPUTS], y[row])
    else:
        y = np.empty((x.shape[0], weights.shape[1]), np.float32)
        for row in range(x.shape[0]):
            _int8_product(x[row], weights[layer], scales[layer], y[row])
    return y


@compiled_reordered
@no_type_check
def _add_product(x, matrix, y):
    """y += x @ matrix[:, : len(y)]; four inputs at a time, so that sums are read and written less often."""
    inputs, outputs = x.shape[0], y.shape[0]
    whole = inputs - inputs % 4
    for k in range(0, whole, 4):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        for n in range(outputs):
            y[n] += a * matrix[k, n] + b * matrix[k + 1, n] + c * matrix[k + 2, n] + d * matrix[k + 3, n]
    for k in range(whole, inputs):
        a = x[k]
        for n in range(outputs):
            y[n] += a * matrix[k, n]


@compiled
@no_type_check
def _int8_product(x, weights, scales, y):
    """y = weights @ x * scales, x rounded to 16 bits."""
    outputs, inputs = weights.shape
    # So few steps that no sum can leave 32 bits.
    steps = np.float32(min(LARGEST_INT16, LARGEST_INT32 // (LARGEST_INT8 * inputs)))
    largest = np.float32(0)
    for k in range(inputs):
        largest = max(largest, abs(x[k]))
    step = largest / steps if largest > 0 else ONE
    rounded = np.empty(inputs, np.int16)
    for k in range(inputs):
        rounded[k] = np.int16(np.floor(x[k] / step + HALF))
    for n in range(outputs):
        kernel = weights[n]
        total = np.int32(0)
        for k in range(inputs):
            # Written so that the compiler sees 16-bit factors and a 32-bit sum, for which there is an instruction.
            total = np.int32(total + np.int32(rounded[k]) * np.int32(kernel[k]))
        y[n] = np.float32(total) * (scales[n] * step)


@compiled
@no_type_check
def _exponential(x):
    """x = exp(x) in place; in the order written, on which its precision rests."""
    for i in range(x.shape[0]):
        bounded = min(max(x[i], LEAST_EXPONENT), MOST_EXPONENT)
        n = np.floor(bounded * LOG2_E + HALF)
        r = bounded - n * LN2_HIGH - n * LN2_LOW
        power = ((((E5 * r + E4) * r + E3) * r + E2) * r + E1) * r + E0
        # A float whose exponent bits are n and whose mantissa is 0 is 2^n.
        x[i] = (power * r * r + r + ONE) * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@compiled_reordered
@no_type_check
def _softmax(x):
    """Softmax in place."""
    largest = x[0]
    for i in range(1, x.shape[0]):
        largest = max(largest, x[i])
    for i in range(x.shape[0]):
        x[i] -= largest
    _exponential(x)
    total = np.float32(0)
    for i in range(x.shape[0]):
        total += x[i]
    x /= total


@compiled_reordered
@no_type_check
def _nearest_to_mean(logits, averaging, index):
    """`averaging.nearest_to_mean`."""
    vectors = averaging.vectors[index]
    mean = np.zeros(vectors.shape[1], np.float32)
    products = np.zeros(vectors.shape[0], np.float32)
    _softmax(logits)
    _add_product(logits, vectors, mean)
    _add_product(mean, averaging.by_feature[index], products)
    return np.argmin(averaging.squared_lengths[index] - TWO * products)


@compiled
@no_type_check
def _guide(scores, knobs):
    """`guidance.guide` or `guidance.guide_twice`, whichever the number of rows asks for."""
    weight, input_weight = np.float32(knobs.guidance_weight), np.float32(knobs.input_guidance_weight)
    if scores.shape[0] == 1:
        return scores[0]
    if scores.shape[0] == 2:
        return (ONE + weight) * scores[0] - weight * scores[1]
    return scores[0] + weight * (scores[0] - scores[1]) + input_weight * (scores[0] - scores[2])


@compiled
@no_type_check
def _draw(logits, noise, knobs):
    """`sampling.sample`, with the noise that it would draw."""
    temperature = max(np.float32(knobs.temperature), GREEDY_TEMPERATURE)
    if temperature <= GREEDY_TEMPERATURE:
        return np.argmax(logits)
    if knobs.top_k == 0:
        return np.argmax(logits / temperature + noise)
    if knobs.top_k <= min(FAST_TOP_K, logits.shape[0]):
        best = _best(logits, knobs.top_k)
        return best[np.argmax(logits[best] / temperature + noise[: knobs.top_k])]
    scaled = logits / temperature
    kth_largest = np.sort(scaled)[max(logits.shape[0] - knobs.top_k, 0)]
    return np.argmax(np.where(scaled < kth_largest, EXCLUDED_LOGIT, scaled) + noise)


@compiled
@no_type_check
def _best(logits, count):
    """Places of the `count` largest, largest first; of equals the first."""
    best = np.empty(count, np.int64)
    found = 0
    for i in range(logits.shape[0]):
        if found == count and not logits[i] > logits[best[count - 1]]:
            continue
        place = min(found, count - 1)
        while place > 0 and logits[i] > logits[best[place - 1]]:
            best[place] = best[place - 1]
            place -= 1
        best[place] = i
        found = min(found + 1, count)
    return best
