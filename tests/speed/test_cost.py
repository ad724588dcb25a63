"""Counted costs against the parameters there are and against what JAX says of the compiled parts."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest

from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.codec import network, spectrostream_config, spectrostream_network
from magenta_rt_py.generators.tiny_released import tiny_released_lm
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm import decode, refinement
from magenta_rt_py.lm.averaging import AveragedLevels, nearest_to_mean
from magenta_rt_py.lm.clock import NUM_FEATURES
from magenta_rt_py.lm.model import LanguageModel, parameter_shapes
from magenta_rt_py.lm.refinement import RefinementConfig, RefinementModel
from magenta_rt_py.speed import codec_cost
from magenta_rt_py.speed.cost import Cost, lm_costs, refinement_cost

FRAMES = 5
CODE_DIM = 48
"""Features of a code vector of a codec."""
MOST = 1.6
"""JAX counts norms, activations, softmax and masks too; in models this narrow they are up to this much of the whole."""


def starter_like():
    """Every part of the starter, as narrow as a test needs, its tables multiplied out."""
    starter = dataclasses.replace(lm_config.starter(), dim=64, num_heads=2, head_dim=32, mlp_dim=128)
    return dataclasses.replace(starter, encoder_layers=1, temporal_layers=2, depth_layers=1, context_frames=40).plain


def released_like():
    """Every part of the released model, narrow."""
    tiny = dataclasses.replace(tiny_released_lm(), dim=64, num_heads=2, head_dim=32, mlp_dim=128)
    return dataclasses.replace(tiny, temporal_layers=2, context_frames=20)


CONFIGS = {"starter": starter_like, "released": released_like}


@pytest.fixture(params=list(CONFIGS), scope="module")
def config(request):
    return CONFIGS[request.param]()


def shapes_of(flat):
    """Parameters by slash path as a tree of shapes."""
    tree: dict = {}
    for path, shape in flat.items():
        *folders, name = path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = jax.ShapeDtypeStruct(shape, jnp.float32)
    return tree


def compiled(run, *arguments):
    """(multiply-adds by JAX's analysis, numbers in the arguments that the program uses)."""
    program = jax.jit(run).lower(*arguments).compile()
    analysis = program.cost_analysis()
    return analysis["flops"] / 2, program.memory_analysis().argument_size_in_bytes // 4


def numbers(*shapes):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def struct(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def method(config, params, name, *arguments):
    """One method of the language model, compiled."""
    model = LanguageModel(config)
    return compiled(lambda params, *given: model.apply({"params": params}, *given, method=name), params, *arguments)


@pytest.fixture(scope="module")
def params(config):
    return shapes_of(parameter_shapes(config))


def encoder_of(config, params):
    """The encoder alone, its table left out: (multiply-adds, numbers)."""
    embedded, clock = struct(1, config.encoder_positions, config.dim), struct(1, config.context_frames, NUM_FEATURES)

    def run(params, embedded, clock):
        model = LanguageModel(config)
        return model.apply({"params": params}, embedded, clock, method=lambda module, x, given: module.encoder(x, given))

    found, used = compiled(run, params, embedded, clock)
    return found, used - numbers(embedded, clock if config.clock else ())


def cross_of(config, params):
    encoded = struct(1, config.encoder_positions, config.dim)
    found, used = method(config, params, "cross", encoded)
    return found, used - numbers(encoded)


def temporal_of(config, params):
    """One step, of the last frame; the weights of its bias, of recall and of the style come on top."""
    key_value = struct(1, config.num_heads, FRAMES, config.head_dim)
    state = jax.eval_shape(
        lambda params: LanguageModel(config).apply({"params": params}, 1, FRAMES, method="init_temporal_state"), params
    )
    crossed = struct(1, config.num_heads, config.encoder_positions, config.head_dim)
    cross = tuple(type(state[0])(crossed, crossed) for _ in range(config.temporal_layers))
    x, index, bias = struct(1, 1, config.dim), struct(dtype=jnp.int32), struct(config.num_heads, 1, FRAMES)
    clock = struct(1, 1, NUM_FEATURES)
    found, used = method(config, params, "temporal_step", state, x, index, bias, cross, clock)
    assert numbers(state) == 2 * config.temporal_layers * numbers(key_value)
    others = numbers(state, x, index, bias, cross, clock if config.clock else ())
    # The bias, bar recall (each frame) and the style (once) are computed before the steps.
    extra = config.num_heads * config.temporal_buckets + config.dim**2 * (config.bar_recall + config.style_at_every_frame)
    once = config.dim**2 * (config.bar_recall + config.style_at_every_frame / FRAMES)
    return found + once, used - others + extra


def depth_of(config, params):
    """One step."""
    state = jax.eval_shape(
        lambda params: LanguageModel(config).apply({"params": params}, 1, method="init_depth_state"), params
    )
    x, index, bias = struct(1, 1, config.dim), struct(dtype=jnp.int32), struct(config.num_heads, 1, config.num_levels)
    found, used = method(config, params, "depth_step", state, x, index, bias)
    return found, used - numbers(state, x, index, bias) + config.num_heads * config.depth_buckets


@pytest.mark.parametrize("part", ["encoder", "cross", "temporal", "depth"])
def test_a_part_is_counted_as_jax_counts_it(config, params, part):
    measure = {"encoder": encoder_of, "cross": cross_of, "temporal": temporal_of, "depth": depth_of}[part]
    steps = {"temporal": FRAMES, "depth": FRAMES * config.num_levels}.get(part, 1)
    found, used = measure(config, params)
    cost = lm_costs(config, FRAMES, rows=1, code_dim=CODE_DIM)[part]
    assert cost.passes == steps
    assert cost.weights == used
    assert 1.0 <= found / (cost.multiply_adds / steps) < MOST


def test_heads_are_counted_as_jax_counts_them(config, params):
    hidden = struct(1, config.dim)
    model = LanguageModel(config)

    def run(params, hidden):
        return [model.apply({"params": params}, hidden, level, method="level_logits") for level in range(config.num_levels)]

    found, _ = compiled(run, params, hidden)
    cost = lm_costs(config, FRAMES, rows=1, code_dim=CODE_DIM)["heads"]
    assert 1.0 <= found / (cost.multiply_adds / FRAMES) < MOST
    assert cost.weights == config.num_levels * config.codebook_size * (config.dim + config.logits_bias)


@pytest.mark.parametrize("averaged_levels", [0, 1, 3])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_averaged_levels_are_counted_as_jax_counts_them(averaged_levels, rows):
    """All levels of a frame as generation makes them: the guidance rows end with the last drawn level."""
    config = dataclasses.replace(starter_like(), averaged_levels=averaged_levels)
    vectors = struct(averaged_levels, config.codebook_size, CODE_DIM)
    averaged = AveragedLevels(vectors, struct(averaged_levels, config.codebook_size))

    def run(params, summary, bias, averaged):
        def score(hidden, level):
            return LanguageModel(config).apply({"params": params}, hidden, level, method="level_logits")

        def draw(carry, hidden, level, frame):
            return carry, score(hidden, level).sum(0).argmax().astype(jnp.int32)

        def average(carry, hidden, level, frame):
            return carry, nearest_to_mean(score(hidden, level)[0], averaged.at(level - config.drawn_levels))

        ways = ((config.drawn_levels, draw), (averaged_levels, average))
        return decode._spell(params, config, summary, bias, jnp.int32(0), ways, jnp.zeros(()))[1]

    params = shapes_of(parameter_shapes(config))
    bias = struct(config.num_heads, config.num_levels, config.num_levels)
    found, _ = compiled(run, params, struct(rows, 1, config.dim), bias, averaged)
    costs = lm_costs(config, 1, rows=rows, code_dim=CODE_DIM)
    counted = sum(cost.multiply_adds for part, cost in costs.items() if part in ("depth", "heads", "averaging"))
    assert 1.0 <= found / counted < 1.35
    assert ("averaging" in costs) == bool(averaged_levels)
    if averaged_levels:
        assert costs["averaging"].weights == numbers(averaged) and costs["averaging"].passes == 2


def test_the_code_vectors_must_be_known_where_levels_are_averaged():
    with pytest.raises(ValueError, match="got code_dim 0, but 3 levels are averaged"):
        lm_costs(starter_like(), FRAMES)


@pytest.mark.parametrize("size", [lm_config.base, lm_config.large, starter_like, released_like])
def test_every_weight_but_the_tables_belongs_to_one_part(size):
    config = size()
    costs = lm_costs(config, FRAMES, code_dim=CODE_DIM)
    counted = sum(cost.weights for part, cost in costs.items() if part != "averaging")  # which are the codec's
    tables = {"token_embedder/embedding", "decoder/logits_dense/kernel", "decoder/logits_dense/bias"}
    shapes = parameter_shapes(config)
    assert tables & set(shapes)
    stacks = sum(math.prod(shape) for path, shape in shapes.items() if path not in tables)
    assert counted == stacks + costs["heads"].weights


def test_rows_and_streams_share_the_weights_and_nothing_else(config):
    kinds = ((1, 1), (3, 4))
    one, more = (lm_costs(config, FRAMES, rows=rows, streams=streams, code_dim=CODE_DIM) for rows, streams in kinds)
    at_levels = (3 * config.drawn_levels + config.averaged_levels) / config.num_levels
    rows = {"depth": at_levels, "heads": at_levels, "averaging": 1}
    for part, cost in one.items():
        times = 4 * rows.get(part, 3)
        assert more[part] == Cost(cost.weights, cost.passes, times * cost.moved, times * cost.multiply_adds)


def test_bytes():
    cost = Cost(weights=10, passes=3, moved=7, multiply_adds=1)
    assert cost.bytes(2, 4) == 10 * 3 * 2 + 7 * 4
    assert cost.bytes_on_chip(2, 4) == 10 * 2 + 7 * 4


def test_refinement_is_counted_as_jax_counts_it():
    config = RefinementConfig(coarse_levels=4, num_levels=6, codebook_size=64, codec_code_dim=32, width=64, blocks=2)
    params, cost = shapes_of(refinement.parameter_shapes(config)), refinement_cost(config, FRAMES)
    tails = tuple(struct(1, config.kernel_frames - 1, config.width) for _ in range(config.blocks))
    codes, vectors = struct(1, FRAMES, config.num_levels, dtype=jnp.int32), struct(6, 64, 32)

    def run(params, tails, codes, vectors):
        model, variables = RefinementModel(config), {"params": params}
        _, x = model.apply(variables, tails, codes[..., :4], vectors, method="trunk")
        scores = []
        for level in range(config.num_levels):
            if level >= config.coarse_levels:
                scores.append(model.apply(variables, x, level, vectors, method="level_logits"))
            if level < config.num_levels - 1:
                x = x + model.apply(variables, codes[..., level], level, vectors, method="below")
        return scores

    found, used = compiled(run, params, tails, codes, vectors)
    assert 1.0 <= found / cost.multiply_adds < MOST
    scored = config.fine_levels * config.codebook_size * config.codec_code_dim  # code vectors of the levels it scores
    assert cost.weights == used - numbers(tails, codes, vectors) + scored


def test_spectrostream_is_counted_as_jax_counts_it():
    config = spectrostream_config.tiny()
    shapes = spectrostream_network.tensor_shapes(config)
    decoder = shapes_of({path: shape for path, shape in shapes.items() if path.startswith("decoder/")})["decoder"]

    def run(decoder, quantized):
        return spectrostream_network.Decoder(config).apply({"params": decoder}, None, quantized, method="step")[1]

    frames = 10
    quantized = struct(1, frames, config.latent_dim)
    found, used = compiled(run, decoder, quantized)
    cost = codec_cost.decoder_cost(config, frames)
    assert cost.weights == used - numbers(quantized)
    # JAX leaves out the taps that read padding, and counts activations, of which so narrow a net has many.
    assert 0.9 <= found / cost.multiply_adds < MOST


def test_the_compact_codec_is_counted_as_jax_counts_it():
    config = dataclasses.replace(codec_config.tiny(), hidden_dim=64, latent_dim=64)
    shapes = network.tensor_shapes(config)
    decoder = shapes_of({path: shape for path, shape in shapes.items() if path.startswith("decoder/")})["decoder"]
    features = shapes["statistics/mean"][0]
    scaling = network.Statistics(*(struct(features) for _ in range(3)))
    frames = 16
    state = tuple(struct(1, config.kernel_frames - 1, config.hidden_dim) for _ in range(config.decoder_blocks))
    quantized = struct(1, frames, config.latent_dim)

    def run(decoder, state, quantized, scaling):
        return network.Decoder(config).apply({"params": decoder}, state, quantized, scaling, method="step")[1]

    found, used = compiled(run, decoder, state, quantized, scaling)
    cost = codec_cost.decoder_cost(config, frames)
    assert cost.weights == used - numbers(state, quantized, scaling)
    assert 1.0 <= found / cost.multiply_adds < MOST


def test_the_released_codec_by_hand():
    """One layer by hand: the last convolution of the released decoder, 7 x 7 taps, 64 -> 2, at 4 x 480 places, twice."""
    layers = codec_cost._spectrostream_layers(spectrostream_config.released())
    assert layers[-1] == (49 * 64 * 2 + 2, 2 * 4 * 480 * (64 + 2), 2 * 49 * 64 * 2 * 4 * 480)
    total = codec_cost.decoder_cost(spectrostream_config.released(), 1)
    decoder = {
        path: shape
        for path, shape in spectrostream_network.tensor_shapes(spectrostream_config.released()).items()
        if path.startswith("decoder/")
    }
    assert total.weights == sum(math.prod(shape) for shape in decoder.values())
