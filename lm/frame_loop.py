"""The frame loop of one stream on one core of a CPU, for narrow models and for wide ones in int8. Compiled with numba, no
JAX in it.

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
from jaxtyping import Float32, Int8, Int32, Int64

from magenta_rt_py.lm.integer_dots import FOUR, dots_of_one_row, dots_of_two_rows
from magenta_rt_py.nn.compiled import compiled, compiled_part

QUERY, KEY, VALUE, OUT, CROSS_QUERY, CROSS_OUT, GATE, GATED, MLP_OUT = range(9)
MATRICES = 9
"""Matrices a layer, in this order; layers of the temporal stack first, then of the depth stack, which have empty ones for
cross-attention. After the layers come the heads, one a level."""
ATTENTION_NORM, CROSS_NORM, MLP_NORM = range(3)
NORMS = 3
"""Norms a layer; after the layers comes the final norm."""

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


class Packed(NamedTuple):
    """All that the frame loop reads of a model. Arrays of the host, in C order."""

    weights: Float32[np.ndarray, "numbers"] | Int8[np.ndarray, "numbers"]
    scales: Float32[np.ndarray, "scales"] | None  # of each matrix: of outputs, then of inputs; None: float32
    places: Int64[np.ndarray, "matrices 4"]  # of each matrix: first number, first scale, inputs, outputs
    norms: Float32[np.ndarray, "norms dim"]
    head_bias: Float32[np.ndarray, "levels codes"]
    rows: Float32[np.ndarray, "levels codes dim"]
    vectors: Float32[np.ndarray, "averaged codes features"]  # of averaged levels, see `averaging`
    vectors_by_feature: Float32[np.ndarray, "averaged features codes"]
    squared_lengths: Float32[np.ndarray, "averaged codes"]


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


def run(packed: Packed, inputs: Inputs, knobs: Knobs, *, summary_at_every_level: bool) -> Int32[np.ndarray, "frames levels"]:
    """Codes of all frames.

    Compiled at the first call of each storage, which takes several seconds once for an installation.

    Args:
      packed: `packing.pack` of a model.
      inputs: of a request; its noise says how many levels are drawn, the rest is averaged.
      summary_at_every_level: of the configuration.
    """
    # As plain tuples: what is kept of compiled functions is found by the types of their arguments, and a kept class that
    # was renamed since is no miss but an error.
    return _run(tuple(packed), tuple(inputs), tuple(knobs), summary_at_every_level)


@compiled
@no_type_check
def _run(plain_packed, plain_inputs, plain_knobs, summary_at_every_level):
    packed, inputs, knobs = Packed(*plain_packed), Inputs(*plain_inputs), Knobs(*plain_knobs)
    layers, rows, heads, head_dim, _ = inputs.cross_keys.shape
    frames, drawn, _ = inputs.noise.shape
    levels, _, dim = packed.rows.shape
    keys = np.zeros((layers, rows, heads, head_dim, frames), np.float32)
    values = np.zeros((layers, rows, heads, frames, head_dim), np.float32)
    codes = np.zeros((frames, levels), np.int32)
    x = inputs.first_input.copy()
    for frame in range(frames):
        for row in range(rows):
            _add(x[row], inputs.added_inputs[row, frame])
        for layer in range(layers):
            _self_attention(packed, layer, keys[layer], values[layer], inputs.temporal_bias, frame, x)
            _cross_attention(packed, layer, inputs.cross_keys[layer], inputs.cross_values[layer], x)
            _mlp(packed, layer, x)
        _spell(packed, layers, inputs.depth_bias, inputs.noise[frame], knobs, x, summary_at_every_level, codes[frame])
        x[:] = 0
        for row in range(rows):
            for level in range(levels):
                _add(x[row], packed.rows[level, codes[frame, level]])
            for i in range(dim):
                x[row, i] /= np.float32(levels)
    return codes


@compiled_part(reordered=True)
@no_type_check
def _spell(packed, first_layer, bias, noise, knobs, summary, summary_at_every_level, codes):
    """The levels of one frame, coarsest first, into `codes`."""
    rows = summary.shape[0]
    heads, levels, _ = bias.shape
    norms, drawn = packed.norms, noise.shape[0]
    first_head = len(packed.places) - levels
    layers = first_head // MATRICES - first_layer
    head_dim = packed.places[first_layer * MATRICES + OUT, 2] // heads
    keys = np.zeros((layers, rows, heads, head_dim, levels), np.float32)
    values = np.zeros((layers, rows, heads, levels, head_dim), np.float32)
    x = summary.copy()
    for level in range(levels):
        if level == drawn:  # from here on the condition's row goes on alone
            x = x[:1].copy()
        for layer in range(layers):
            _self_attention(packed, first_layer + layer, keys[layer], values[layer], bias, level, x)
            _mlp(packed, first_layer + layer, x)
        normed = _norm(x, norms[len(norms) - 1])
        scores = _dense(normed, packed, first_head + level)
        for row in range(len(scores)):
            _add(scores[row], packed.head_bias[level])
        if level < drawn:
            codes[level] = _draw(_guide(scores, knobs), noise[level], knobs)
        else:
            averaged = level - drawn
            lengths = packed.squared_lengths[averaged]
            codes[level] = _nearest(scores[0], packed.vectors[averaged], packed.vectors_by_feature[averaged], lengths)
        for row in range(len(x)):
            x[row] = 0
            _add(x[row], packed.rows[level, codes[level]])
            if summary_at_every_level:
                _add(x[row], summary[row])


@compiled_part(reordered=True)
@no_type_check
def _self_attention(packed, layer, keys, values, bias, index, x):
    """x += attention(norm(x)) for position `index`, whose key and value join those before it."""
    _, heads, head_dim, _ = keys.shape
    normed = _norm(x, packed.norms[layer * NORMS + ATTENTION_NORM])
    query = _dense(normed, packed, layer * MATRICES + QUERY)
    key = _dense(normed, packed, layer * MATRICES + KEY)
    value = _dense(normed, packed, layer * MATRICES + VALUE)
    for row in range(len(x)):
        for head in range(heads):
            for feature in range(head_dim):
                keys[row, head, feature, index] = key[row, head * head_dim + feature]
                values[row, head, index, feature] = value[row, head * head_dim + feature]
    mixed = _attend(query, keys, values, bias[:, index], index + 1)
    _add_rows(x, _dense(mixed, packed, layer * MATRICES + OUT))


@compiled_part(reordered=True)
@no_type_check
def _cross_attention(packed, layer, keys, values, x):
    """x += attention(norm(x)) to the encoder's output."""
    normed = _norm(x, packed.norms[layer * NORMS + CROSS_NORM])
    query = _dense(normed, packed, layer * MATRICES + CROSS_QUERY)
    mixed = _attend(query, keys, values, None, keys.shape[3])
    _add_rows(x, _dense(mixed, packed, layer * MATRICES + CROSS_OUT))


@compiled_part(reordered=True)
@no_type_check
def _mlp(packed, layer, x):
    """x += mlp(norm(x)), the gated MLP of lm.mlp."""
    normed = _norm(x, packed.norms[layer * NORMS + MLP_NORM])
    gates = _dense(normed, packed, layer * MATRICES + GATE)
    values = _dense(normed, packed, layer * MATRICES + GATED)
    rows, inner = gates.shape
    opened = np.empty((rows, inner), np.float32)
    for row in range(rows):
        for i in range(inner):
            g = gates[row, i]
            opened[row, i] = -g * (GELU_LINEAR + GELU_CUBIC * g * g)
        _exponential(opened[row])
        for i in range(inner):
            opened[row, i] = gates[row, i] / (ONE + opened[row, i]) * values[row, i]
    _add_rows(x, _dense(opened, packed, layer * MATRICES + MLP_OUT))


@compiled_part(reordered=True)
@no_type_check
def _attend(query, keys, values, bias, length):
    """What each row and head finds among the first `length` positions, Float32[rows inner]."""
    _, heads, head_dim, _ = keys.shape
    mixed = np.zeros((len(query), heads * head_dim), np.float32)
    shares = np.empty(length, np.float32)
    for row in range(len(query)):
        for head in range(heads):
            first, end = head * head_dim, (head + 1) * head_dim
            shares[:] = 0
            if bias is not None:
                _add(shares, bias[head])
            _add_product(query[row, first:end], keys[row, head], shares)
            _softmax(shares)
            _add_product(shares, values[row, head], mixed[row, first:end])
    return mixed


@compiled_part(reordered=True)
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


@compiled_part(reordered=True)
@no_type_check
def _dense(x, packed, matrix):
    """Rows times a matrix of `packing.Packed`, Float32[rows out]."""
    return _product(x, packed.weights, packed.scales, packed.places[matrix])


@compiled_part(reordered=True)
@no_type_check
def _product(x, weights, scales, place):
    """Apart from `_dense` because only an argument that is None leaves out code when compiled."""
    first, first_scale, inputs, outputs = place
    own = weights[first : first + inputs * outputs]
    y = np.zeros((len(x), outputs), np.float32)
    if scales is None:
        matrix = own.reshape((inputs, outputs))
        for k in range(0, inputs, BLOCK_INPUTS):
            for row in range(len(x)):
                _add_product(x[row, k : k + BLOCK_INPUTS], matrix[k : k + BLOCK_INPUTS], y[row])
    else:
        turned = own.reshape((outputs, inputs))
        between = first_scale + outputs
        _int8_product(x, turned, scales[first_scale:between], scales[between : between + inputs], y)
    return y


@compiled_part(reordered=True)
@no_type_check
def _add(x, y):
    """x += y."""
    for i in range(len(x)):
        x[i] += y[i]


@compiled_part(reordered=True)
@no_type_check
def _add_rows(x, y):
    """x += y."""
    for row in range(len(x)):
        _add(x[row], y[row])


@compiled_part(reordered=True)
@no_type_check
def _add_product(x, matrix, y):
    """y += x @ matrix[: len(x), : len(y)]; four inputs at a time, so that sums are read and written less often."""
    inputs, outputs = len(x), len(y)
    whole = inputs - inputs % 4
    for k in range(0, whole, 4):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        for n in range(outputs):
            y[n] += a * matrix[k, n] + b * matrix[k + 1, n] + c * matrix[k + 2, n] + d * matrix[k + 3, n]
    for k in range(whole, inputs):
        a = x[k]
        for n in range(outputs):
            y[n] += a * matrix[k, n]


@compiled_part()
@no_type_check
def _int8_product(x, weights, output_scales, input_scales, y):
    """y = (x * input_scales) @ weights.T * output_scales, the factor in brackets rounded to 16 bits."""
    outputs, inputs = weights.shape
    rows = len(x)
    rounded = np.empty((rows, inputs), np.int16)
    totals = np.empty((rows, outputs), np.int32)
    steps = np.empty(rows, np.float32)
    for row in range(rows):
        steps[row] = _round_row(x[row], input_scales, rounded[row])
    whole = outputs - outputs % FOUR
    for n in range(0, whole, FOUR):
        for row in range(0, rows - 1, 2):
            dots_of_two_rows(rounded, weights, row, n, totals)
        if rows % 2:
            dots_of_one_row(rounded, weights, rows - 1, n, totals)
    for row in range(rows):
        for n in range(whole, outputs):
            totals[row, n] = 0
            for k in range(inputs):
                totals[row, n] += np.int32(rounded[row, k]) * np.int32(weights[n, k])
        for n in range(outputs):
            y[row, n] = np.float32(totals[row, n]) * (output_scales[n] * steps[row])


@compiled_part()
@no_type_check
def _round_row(x, input_scales, rounded):
    """`rounded` = x * input_scales in steps; the size of a step."""
    inputs = len(x)
    # So few steps that no sum can leave 32 bits.
    most = np.float32(min(LARGEST_INT16, LARGEST_INT32 // (LARGEST_INT8 * inputs)))
    largest = np.float32(0)
    for k in range(inputs):
        largest = max(largest, abs(x[k] * input_scales[k]))
    step = largest / most if largest > 0 else ONE
    steps_a_unit = ONE / step
    for k in range(inputs):
        rounded[k] = np.int16(np.floor(x[k] * input_scales[k] * steps_a_unit + HALF))
    return step


@compiled_part()
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


@compiled_part(reordered=True)
@no_type_check
def _softmax(x):
    """Softmax in place."""
    largest = x[0]
    for i in range(1, len(x)):
        largest = max(largest, x[i])
    for i in range(len(x)):
        x[i] -= largest
    _exponential(x)
    total = np.float32(0)
    for i in range(len(x)):
        total += x[i]
    share = ONE / total
    for i in range(len(x)):
        x[i] *= share


@compiled_part(reordered=True)
@no_type_check
def _nearest(logits, vectors, vectors_by_feature, squared_lengths):
    """`averaging.nearest_to_mean`."""
    mean = np.zeros(vectors.shape[1], np.float32)
    products = np.zeros(len(vectors), np.float32)
    _softmax(logits)
    _add_product(logits, vectors, mean)
    _add_product(mean, vectors_by_feature, products)
    nearest = 0
    for code in range(len(vectors)):
        products[code] = squared_lengths[code] - TWO * products[code]
        if products[code] < products[nearest]:
            nearest = code
    return nearest


@compiled_part()
@no_type_check
def _guide(scores, knobs):
    """`guidance.guide` or `guidance.guide_twice`, whichever the number of rows asks for; into the first row."""
    weight, input_weight = np.float32(knobs.guidance_weight), np.float32(knobs.input_guidance_weight)
    guided = scores[0]
    for i in range(len(guided)):
        if len(scores) == 2:
            guided[i] = (ONE + weight) * guided[i] - weight * scores[1, i]
        if len(scores) == 3:
            conditioned = guided[i]
            guided[i] = conditioned + weight * (conditioned - scores[1, i]) + input_weight * (conditioned - scores[2, i])
    return guided


@compiled_part()
@no_type_check
def _draw(logits, noise, knobs):
    """`sampling.sample`, with the noise that it would draw; spoils `logits`."""
    ids, top_k = len(logits), knobs.top_k
    temperature = max(np.float32(knobs.temperature), GREEDY_TEMPERATURE)
    if temperature <= GREEDY_TEMPERATURE:
        return _largest(logits)
    for i in range(ids):
        logits[i] /= temperature
    if top_k == 0:
        _add(logits, noise)
        return _largest(logits)
    best = _best(logits, min(top_k, ids))
    if top_k <= min(FAST_TOP_K, ids):
        chosen = 0
        for n in range(top_k):
            if logits[best[n]] + noise[n] > logits[best[chosen]] + noise[chosen]:
                chosen = n
        return best[chosen]
    kth_largest = logits[best[len(best) - 1]]
    for i in range(ids):
        logits[i] = (EXCLUDED_LOGIT if logits[i] < kth_largest else logits[i]) + noise[i]
    return _largest(logits)


@compiled_part()
@no_type_check
def _largest(x):
    """Place of the largest; of equals the first."""
    largest = 0
    for i in range(len(x)):
        if x[i] > x[largest]:
            largest = i
    return largest


@compiled_part()
@no_type_check
def _best(logits, count):
    """Places of the `count` largest, largest first; of equals the first."""
    best = np.empty(count, np.int64)
    found = 0
    for i in range(len(logits)):
        if found == count and not logits[i] > logits[best[count - 1]]:
            continue
        place = min(found, count - 1)
        while place > 0 and logits[i] > logits[best[place - 1]]:
            best[place] = best[place - 1]
            place -= 1
        best[place] = i
        found = min(found + 1, count)
    return best
