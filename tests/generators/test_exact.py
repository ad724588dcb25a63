"""Exact mode: each of the released program's ways against a computation of its own; and the same weights played better."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.cli import program
from magenta_rt_py.generators import codec_lm, exact, system
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.tiny import save_tiny_bundle
from magenta_rt_py.generators.tiny_released import save_tiny_released_bundle
from magenta_rt_py.lm import decode, vocabulary
from magenta_rt_py.lm.sampling import SamplingConfig

CONTROLS = Controls(temperature=1.1, top_k=40, guidance_weight=5.0)
FRAME = 1920
DRAW = jax.jit(decode.generate_tokens, static_argnames=("config", "frames", "exact"))
STYLE = np.array([5, 900, 3, 77, 1023, 0], np.int32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return save_tiny_released_bundle(tmp_path_factory.mktemp("bundle") / "released")


@pytest.fixture(scope="module")
def models(bundle):
    return system.load(bundle).models


@pytest.fixture(scope="module")
def chunks(models):
    """Two chunks in a row: (state before, chunk) of each."""
    ways = exact.exact(models)
    made, state = [], codec_lm.init_state(ways, seed=2**32 - 1, continuity="crossfade")
    for _ in range(2):
        following, chunk = codec_lm.generate_chunk(ways, state, STYLE, CONTROLS)
        made.append((state, chunk))
        state = following
    return made


def test_a_chunk_is_drawn_from_the_whole_vocabulary_in_bfloat16_with_the_key_of_seed_plus_number(models, chunks):
    config = dataclasses.replace(models.lm_config, activation_dtype="bfloat16")
    for number, (state, chunk) in enumerate(chunks):
        rows = [vocabulary.encoder_inputs(state.context_codes[None], style, config) for style in (STYLE[None], None)]
        sampling = SamplingConfig(temperature=1.1, top_k=40, guidance_weight=5.0)
        knobs = decode.make_controls(config, 50, sampling)
        key = jax.random.key(np.uint32((2**32 - 1 + number) % 2**32))
        inputs = jnp.asarray(np.concatenate(rows))
        tokens = np.asarray(DRAW(models.lm_params, config, inputs, knobs, key, frames=50, exact=True))
        levels = (tokens - 2) // 1024
        if number == 0:
            assert (levels != np.arange(16)).any(), "with random weights, ids of other levels are drawn, too"
        np.testing.assert_array_equal(chunk.codes, np.maximum(tokens - 2, 0) % 1024)


def test_chunks_are_decoded_anew_with_the_frame_before_and_joined_by_a_crossfade(models, chunks):
    (_, first), (before, second) = chunks
    rise = np.sin(np.linspace(0.0, np.pi / 2, FRAME, endpoint=False))[:, None]
    zeros = np.zeros((1, 16), np.int32)
    alone = models.codec.decode(np.concatenate([zeros, first.codes])[None])[0]
    assert first.samples.shape == second.samples.shape == (96_000, 2)
    np.testing.assert_allclose(first.samples[FRAME:], alone[FRAME:96_000], atol=1e-6)
    np.testing.assert_allclose(first.samples[:FRAME], alone[:FRAME] * rise, atol=1e-6)  # out of nothing
    after = models.codec.decode(np.concatenate([first.codes[-1:], second.codes])[None])[0]
    joined = after[:FRAME] * rise + alone[-FRAME:] * rise[::-1]
    np.testing.assert_allclose(second.samples[:FRAME], joined, atol=1e-6)
    np.testing.assert_array_equal(before.context_codes[-50:], first.codes)


def test_requests_are_of_two_seconds(models):
    ways = exact.exact(models)
    state = codec_lm.init_state(ways, seed=0, continuity="crossfade")
    state = state._replace(context_codes=np.zeros_like(state.context_codes))
    with pytest.raises(ValueError, match="a request of 10 frames in exact mode"):
        codec_lm.generate_chunk(ways, state, STYLE, CONTROLS, frames=10)
    with pytest.raises(ValueError, match="joins chunks by crossfade"):
        codec_lm.init_state(ways, seed=0)
    _, chunk = codec_lm.generate_chunk(models, codec_lm.init_state(models, seed=0)._replace(
        context_codes=state.context_codes), STYLE, CONTROLS, frames=10)  # fmt: skip
    assert chunk.samples.shape == (10 * FRAME, 2)


def test_other_models_are_refused(tmp_path):
    other = system.load(save_tiny_bundle(tmp_path / "tiny"))
    with pytest.raises(ValueError, match="exact mode is for released models, and this one has clock"):
        other.stream(exact=True)


def test_the_command_plays_the_released_layout_both_ways(bundle, tmp_path, capsys):
    takes = {}
    for name, more in (("improved", []), ("exact", ["--exact"]), ("again", ["--exact"])):
        out = tmp_path / f"{name}.wav"
        arguments = ["generate", "--bundle", str(bundle), "--prompt", "techno", "--seconds", "4", "--out", str(out)]
        assert program.main([*arguments, "--json", *more]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["exact"] is bool(more) and report["seconds"] == 4.0
        takes[name] = out.read_bytes()
    assert takes["exact"] == takes["again"] != takes["improved"]
