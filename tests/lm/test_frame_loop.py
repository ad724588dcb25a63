"""The frame loop for CPUs against XLA's: the same codes in float32, nearly the same scores in int8."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors

from magenta_rt_py import lm
from magenta_rt_py.bundle import load_bundle, save_bundle
from magenta_rt_py.lm import averaging, clock, decode, frame_loop, narrow_decode, packing, sampling, vocabulary
from magenta_rt_py.lm import config as configs
from magenta_rt_py.lm.sampling import SamplingConfig
from magenta_rt_py.nn.norms import RMSNorm

KEY = jax.random.key(3)
GREEDY = {"temperature": 0.0}


class Player:
    """A materialized tiny model with lively random weights, three rows for it, and its clocks."""

    def __init__(self, *, factorised=True, averaged=0):
        sizes = dataclasses.replace(configs.tiny(factorised=factorised), averaged_levels=averaged)
        random = np.random.default_rng(0)
        params = lm.init(KEY, sizes)
        if factorised:
            shapes = ((sizes.num_levels, 32, 6), (sizes.style_levels, 32, 5))
            vectors = [random.normal(size=shape).astype(np.float32) for shape in shapes]
            params = lm.materialize(params, lm.normalise_code_vectors(*vectors, sizes), sizes)
        self.config = sizes.plain
        self.params = jax.tree.map(lambda leaf: leaf + 0.3 * random.normal(size=leaf.shape).astype(np.float32), params)
        codes = random.normal(size=(sizes.num_levels, 32, 7)).astype(np.float32)
        self.averaged = averaging.averaged_levels(codes, self.config)
        context, own = random.integers(0, 32, (2, 1, sizes.context_frames, sizes.num_levels))
        style = random.integers(0, 32, (1, sizes.style_levels))
        rows = ((context, style), (context, None), (own, style))
        self.rows = np.concatenate([vocabulary.encoder_inputs(heard, told, self.config) for heard, told in rows])
        self.clocks = clock.clock_features(np.arange(sizes.context_frames + sizes.chunk_frames) / 3.0, 100.0)

    def controls(self, frames, *, timed=False, **knobs):
        context = self.config.context_frames
        clocks = {}
        if timed:
            clocks = {"context_clock": self.clocks[:context], "target_clock": self.clocks[context : context + frames]}
        return decode.make_controls(self.config, frames, SamplingConfig(**{"temperature": 1.0, **knobs}), **clocks)

    def packed(self, storage="float32", params=None):
        return packing.pack(self.params if params is None else params, self.config, self.averaged, storage=storage)

    def play(self, packed, *, rows=2, frames=5, params=None, **knobs):
        controls = self.controls(frames, **knobs)
        params = self.params if params is None else params
        made = decode.generate(
            params, self.config, self.rows[:rows], controls, KEY, frames=frames, averaged=self.averaged, packed=packed
        )
        return np.asarray(made)


@pytest.fixture(scope="module")
def players():
    """By how many levels are averaged."""
    return {count: Player(averaged=count) for count in (0, 1, 2)}


@pytest.mark.parametrize("averaged, rows", [(0, 2), (1, 2), (2, 1), (2, 2), (2, 3)])
def test_greedy_codes_are_xlas(players, averaged, rows):
    player = players[averaged]
    for timed in (False, True):
        knobs = {"rows": rows, "timed": timed, "guidance_weight": 1.5, "input_guidance_weight": 0.7, **GREEDY}
        np.testing.assert_array_equal(player.play(player.packed(), **knobs), player.play(None, **knobs))


@pytest.mark.parametrize("top_k", [0, 1, 5, 32, 33])  # 33: more than there are codes, drawn by the released rule
def test_draws_are_xlas(players, top_k):
    for averaged, player in players.items():
        knobs = {"top_k": top_k, "timed": True, "guidance_weight": 0.5, "temperature": 0.8}
        expected = player.play(None, **knobs)
        np.testing.assert_array_equal(player.play(player.packed(), **knobs), expected)
        if top_k != 1:
            assert not np.array_equal(expected, player.play(None, **{**knobs, **GREEDY})), averaged


def test_models_without_clock_and_summaries_are_xlas():
    player = Player(factorised=False)
    for knobs in (GREEDY, {"top_k": 4}):
        np.testing.assert_array_equal(player.play(player.packed(), **knobs), player.play(None, **knobs))


def test_a_shorter_request_is_the_beginning_of_a_longer_one(players):
    for storage in packing.STORAGES:
        packed = players[2].packed(storage)
        whole = players[2].play(packed, top_k=0, timed=True)
        for frames in (1, 3):
            np.testing.assert_array_equal(players[2].play(packed, frames=frames, top_k=0, timed=True), whole[:frames])


def test_exact_mode_and_no_packed_decoder_are_xlas_own(players, monkeypatch):
    monkeypatch.setattr(frame_loop, "run", None)
    player = players[0]
    player.play(None)
    controls = player.controls(2)
    decode.generate(
        player.params, player.config, player.rows[:2], controls, KEY, frames=2, exact=True, packed=player.packed()
    )


def test_bad_requests_are_refused(players):
    player = players[2]
    with pytest.raises(ValueError, match=r"got frames 6, expected 1\.\.5"):
        decode.generate(
            player.params, player.config, player.rows, player.controls(6), KEY, frames=6, packed=player.packed()
        )
    with pytest.raises(ValueError, match="got 0 averaged levels, the configuration has 2"):
        decode.generate(
            player.params, player.config, player.rows, player.controls(2), KEY, frames=2, packed=player.packed()
        )
    with pytest.raises(ValueError, match="got storage 'int4', expected one of float32, int8"):
        player.packed("int4")


def test_constants_are_those_of_the_modules_they_come_from():
    """They are written again in the loop's own file: what numba keeps of it would not notice a change elsewhere."""
    for name in ("GREEDY_TEMPERATURE", "EXCLUDED_LOGIT", "FAST_TOP_K"):
        assert getattr(frame_loop, name) == np.float32(getattr(sampling, name)), name
    assert frame_loop.NORM_EPSILON == np.float32(RMSNorm().epsilon)


# int8.


def rounded(params):
    """Every kernel as int8 has it, in float32."""

    def one(path, leaf):
        if path[-1].key != "kernel" or "encoder" in (entry.key for entry in path):
            return leaf
        return jnp.asarray(packing.quantize(np.asarray(leaf)).matrix)

    return jax.tree_util.tree_map_with_path(one, params)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_kernel_in_int8_comes_back_as_it_was_stored(tmp_path, axis):
    random = np.random.default_rng(1)
    uneven = np.exp(random.normal(size=(1, 96) if axis == 0 else (64, 1)))  # so that scales along this axis lose less
    kernel = (random.normal(size=(64, 96)) * uneven).astype(np.float32)
    kernel[:, 3] = 0
    save_bundle(tmp_path / "a", parts={"lm": ({}, {"kernel": kernel})}, record={}, storage={"lm": "int8"})
    with safetensors.safe_open(tmp_path / "a" / "lm-00000.safetensors", "numpy") as shard:
        stored, scales = shard.get_tensor("kernel"), shard.get_tensor("kernel:scale")
    restored = load_bundle(tmp_path / "a").tensors("lm")["kernel"]
    assert not np.array_equal(restored, kernel)
    found = packing.quantize(restored)
    np.testing.assert_array_equal(found.stored.T, stored)
    np.testing.assert_array_equal(found.matrix, restored)
    outputs = scales.shape[0] == 1
    np.testing.assert_array_equal(found.output_scales if outputs else found.input_scales, scales.ravel())


def packed_matrix(quantized):
    """What `_product` takes."""
    scales = np.concatenate([quantized.output_scales, quantized.input_scales])
    outputs, inputs = quantized.stored.shape
    return quantized.stored.ravel(), scales, np.array([0, 0, inputs, outputs])


def test_int8_products_differ_by_the_rounding_of_activations_only():
    random = np.random.default_rng(2)
    for inputs in (1, 6, 64, 700):
        x = random.normal(size=(2, inputs)).astype(np.float32) * np.array([[1.0], [1e-3]], np.float32)
        kernel = random.normal(size=(inputs, 40)) * np.exp(random.normal(size=(inputs, 1)))
        quantized = packing.quantize(kernel.astype(np.float32))
        found = frame_loop._product(x, *packed_matrix(quantized))
        matrix = quantized.matrix.astype(np.float64)
        # Half a step an activation, whatever the signs of the weights.
        steps = min(32767, (2**31 - 1) // (127 * inputs))
        scaled = x * quantized.input_scales
        most = np.abs(scaled).max(1, keepdims=True) / steps * 0.51 * np.abs(matrix / quantized.input_scales[:, None]).sum(0)
        exact = x.astype(np.float64) @ matrix
        assert (np.abs(found - exact) <= most + 1e-5 * np.abs(exact)).all(), inputs


def test_int8_sums_stay_within_32_bits_and_zeros_are_zeros():
    ones = np.ones(40, np.float32)
    full = packing.Quantized(np.full((40, 700), 127, np.int8), ones, np.ones(700, np.float32))
    largest = np.full((1, 700), 3.0, np.float32)
    np.testing.assert_allclose(frame_loop._product(largest, *packed_matrix(full)), 3.0 * 127 * 700, rtol=1e-3)
    np.testing.assert_array_equal(frame_loop._product(0 * largest, *packed_matrix(full)), 0)


def test_int8_plays_what_xla_plays_with_the_rounded_kernels(players):
    for player in players.values():
        params = rounded(player.params)
        knobs = {"timed": True, "guidance_weight": 0.5, "params": params, "top_k": 0, "temperature": 0.8}
        found, expected = player.play(player.packed("int8", params), **knobs), player.play(None, **knobs)
        np.testing.assert_array_equal(found, expected)


def test_a_wide_model_in_int8_plays_what_xla_plays_with_the_rounded_kernels(monkeypatch):
    """Its encoder may have every core, which is another program."""
    player = Player(factorised=False)
    params = rounded(player.params)
    knobs = {"guidance_weight": 1.5, "params": params, **GREEDY}
    expected = player.play(None, **knobs)
    monkeypatch.setattr(narrow_decode, "NARROW_DIM", 8)  # so that a model of 16 is wide
    monkeypatch.setattr(narrow_decode, "inputs_of", None)
    np.testing.assert_array_equal(player.play(player.packed("int8", params), **knobs), expected)
