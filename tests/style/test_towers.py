import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.style import config as presets
from magenta_rt_py.style.audio_tower import AudioTower
from magenta_rt_py.style.caption_decoder import CaptionDecoder
from magenta_rt_py.style.text_tower import TextTower
from magenta_rt_py.style.transformer import attend

KEY = jax.random.PRNGKey(0)
TINY = presets.tiny()


@pytest.fixture(scope="module")
def audio():
    """embed(clips, kept patches or None) of a tiny tower with random weights."""
    tower = AudioTower(TINY)
    params = jax.jit(tower.init)(KEY, jnp.zeros((1, TINY.stft_frames, TINY.mel_bands)))
    apply = jax.jit(tower.apply)
    return lambda clips, kept=None: apply(params, clips, kept)


@pytest.fixture(scope="module")
def text():
    """embed(ids, present) of a tiny tower with random weights."""
    tower, ids = TextTower(TINY), jnp.zeros((1, TINY.max_tokens), jnp.int32)
    params, apply = jax.jit(tower.init)(KEY, ids, ids == 0), jax.jit(tower.apply)
    return lambda ids, present: apply(params, ids, present)


def test_released_geometry_992x128_to_496_tokens_to_768():
    config = dataclasses.replace(presets.released(), audio_layers=1, text_layers=1)  # all layers have one shape
    clip, ids = jax.ShapeDtypeStruct((1, 992, 128), jnp.float32), jax.ShapeDtypeStruct((1, 128), jnp.int32)

    def both(clip, ids):
        tower = AudioTower(config)
        tokens, _ = tower.init_with_output(KEY, clip, method="tokens")
        return tokens, tower.init_with_output(KEY, clip)[0], TextTower(config).init_with_output(KEY, ids, ids > 0)[0]

    assert [output.shape for output in jax.eval_shape(both, clip, ids)] == [(1, 496, 768), (1, 768), (1, 768)]


def test_patches_are_time_major_and_row_major_inside():
    clip = jnp.arange(48 * 16, dtype=jnp.float32).reshape(1, 48, 16)
    patches = AudioTower(TINY).patches(clip)
    assert patches.shape == (1, 6, 128)
    np.testing.assert_array_equal(patches[0, 1].reshape(16, 8), clip[0, :16, 8:])  # same time, upper bands
    np.testing.assert_array_equal(patches[0, 2].reshape(16, 8), clip[0, 16:32, :8])  # next time


def test_all_patches_kept_in_any_order_is_the_whole_clip(audio):
    clip = np.random.default_rng(0).normal(size=(2, 48, 16)).astype(np.float32)
    order = jnp.array([[3, 1, 0, 5, 4, 2], [0, 1, 2, 3, 4, 5]])
    whole = audio(jnp.asarray(clip))
    np.testing.assert_allclose(audio(jnp.asarray(clip), order), whole, atol=1e-5)
    fewer = audio(jnp.asarray(clip), order[:, :3])
    assert np.abs(fewer - whole).max() > 1e-3
    clip[1, 32:] = 99.0  # row 1 keeps patches 0, 1, 2: the first 32 frames, and half of them only below
    clip[1, 16:32, 8:] = 99.0
    np.testing.assert_array_equal(audio(jnp.asarray(clip), order[:, :3])[1], fewer[1])


def test_order_in_time_matters(audio):
    clip = np.random.default_rng(0).normal(size=(2, 48, 16)).astype(np.float32)
    turned = audio(jnp.asarray(clip[:, ::-1].copy()))
    assert np.abs(audio(jnp.asarray(clip)) - turned).max() > 1e-4


def test_padding_never_changes_a_text(text):
    ids = np.array([[1, 7, 9, 4, 0, 0, 0, 0]])
    present = np.arange(8)[None] < 4
    short = text(jnp.asarray(ids[:, :4]), jnp.asarray(present[:, :4]))
    np.testing.assert_allclose(text(jnp.asarray(ids), jnp.asarray(present)), short, atol=1e-5)
    ids[0, 4:] = 200
    np.testing.assert_allclose(text(jnp.asarray(ids), jnp.asarray(present)), short, atol=1e-5)
    present[0, 4] = True
    assert np.abs(text(jnp.asarray(ids), jnp.asarray(present)) - short).max() > 1e-4


def test_soft_cap_bounds_attention_logits():
    query = key = jnp.full((1, 2, 1, 4), 100.0).at[0, 1].set(-100.0)
    value = jnp.stack([jnp.ones((1, 1, 4)), jnp.zeros((1, 1, 4))], axis=1)
    capped, free = (attend(query, key, value, None, cap)[0, 0, 0] for cap in (1.0, 0.0))
    assert free == pytest.approx(1.0)
    assert capped == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-5)


def test_caption_decoder_is_causal_and_hears_the_audio():
    decoder, ids = CaptionDecoder(TINY), np.array([[1, 5, 6, 7]])
    audio = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, TINY.audio_width)), jnp.float32)
    params, apply = jax.jit(decoder.init)(KEY, jnp.asarray(ids), audio), jax.jit(decoder.apply)
    logits = apply(params, jnp.asarray(ids), audio)
    assert logits.shape == (1, 4, TINY.vocabulary_size)
    ids[0, 2] = 9
    changed = apply(params, jnp.asarray(ids), audio)
    np.testing.assert_allclose(changed[:, :2], logits[:, :2], atol=1e-6)
    assert np.abs(changed[:, 2:] - logits[:, 2:]).max() > 1e-3
    assert np.abs(apply(params, jnp.asarray(ids), -audio)[:, 0] - logits[:, 0]).max() > 1e-4
