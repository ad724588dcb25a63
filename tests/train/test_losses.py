"""Spectral distances are zero for equal signals, grow with the difference, and hear what they claim to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.train.losses import (
    SpectralLossConfig,
    commitment_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    mel_matrix,
    multi_scale_complex_loss,
    multi_scale_mel_loss,
    stft,
    with_mid_side,
)

CONFIG = SpectralLossConfig(windows=(512, 2048), mel_bands=(32, 96))
LOSSES = [multi_scale_mel_loss, multi_scale_complex_loss]


@pytest.fixture(scope="module")
def sound():
    random = np.random.default_rng(0)
    time = np.arange(9_600) / 48_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)[None, :, None]
    return jnp.asarray(tone + 0.05 * random.standard_normal((2, 9_600, 2)), jnp.float32)


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_signals_have_no_distance(sound, loss):
    assert float(loss(sound, sound, CONFIG)) == 0.0


@pytest.mark.parametrize("loss", LOSSES)
def test_distance_grows_with_the_difference(sound, loss):
    noise = np.random.default_rng(1).standard_normal(sound.shape).astype(np.float32)
    distances = [float(loss(sound + size * noise, sound, CONFIG)) for size in (0.01, 0.05, 0.2)]
    assert 0 < distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_in_silence_and_lead_to_the_target(sound, loss):
    gradient = jax.jit(jax.grad(lambda prediction: loss(prediction, sound, CONFIG)))
    assert jnp.isfinite(gradient(jnp.zeros_like(sound))).all()
    start = 0.5 * sound
    step = -1e-4 * jnp.sign(gradient(start))
    assert float(loss(start + step, sound, CONFIG)) < float(loss(start, sound, CONFIG))


def test_only_the_complex_loss_hears_polarity(sound):
    assert float(multi_scale_mel_loss(-sound, sound, CONFIG)) < 1e-5
    assert float(multi_scale_complex_loss(-sound, sound, CONFIG)) > 0.1


def test_swapped_channels_are_heard(sound):
    panned = sound * np.asarray([1.0, 0.1], np.float32)
    assert float(multi_scale_mel_loss(panned[..., ::-1], panned, CONFIG)) > 0.1


def test_mid_and_side(sound):
    widened = with_mid_side(sound)
    assert widened.shape[-1] == 4
    np.testing.assert_allclose(widened[..., 2] + widened[..., 3], sound[..., 0], atol=1e-6)
    assert with_mid_side(sound[..., :1]).shape[-1] == 1


def test_the_spectrum_peaks_at_the_tone(sound):
    spectrum = jnp.abs(stft(sound, 2048)).mean((0, 1, 2))
    assert int(spectrum.argmax()) == round(440 * 2048 / 48_000)
    # A sine of amplitude 0.3 under a Hann window of sum 1024.
    assert float(spectrum.max()) == pytest.approx(0.3 * 1024 / 2, rel=0.1)


def test_every_mel_band_hears_something():
    for window, bands in zip((512, 1024, 2048, 4096), (32, 64, 96, 128), strict=True):
        filters = mel_matrix(48_000, window, bands)
        np.testing.assert_allclose(filters.sum(0), 1.0, rtol=1e-5)
        assert (np.diff(filters.argmax(0)) >= 0).all()


def test_commitment_pulls_latents_only():
    latents, quantized = jnp.ones((3, 2)), jnp.zeros((3, 2))
    assert float(commitment_loss(latents, quantized)) == 1.0
    to_latents, to_codes = jax.grad(commitment_loss, argnums=(0, 1))(latents, quantized)
    assert (to_latents > 0).all() and not to_codes.any()


def test_hinge_losses_are_content_beyond_the_margin():
    assert float(discriminator_loss([jnp.full(4, 2.0)], [jnp.full(4, -2.0)])) == 0.0
    assert float(discriminator_loss([jnp.zeros(4)], [jnp.zeros(4)])) == 2.0
    assert float(generator_loss([jnp.full(4, 1.5)])) == 0.0
    assert float(generator_loss([jnp.full(4, -1.0), jnp.full(4, 1.0)])) == 1.0


def test_feature_matching_is_relative_and_spares_the_real_side():
    real, fake = [[10.0 * jnp.ones(3)]], [[5.0 * jnp.ones(3)]]
    assert float(feature_matching_loss(real, fake)) == pytest.approx(0.5, rel=1e-4)
    to_real, to_fake = jax.grad(feature_matching_loss, argnums=(0, 1))(real, fake)
    assert not to_real[0][0].any() and to_fake[0][0].any()


def test_a_window_without_its_bands_is_refused():
    with pytest.raises(ValueError, match="give one for each"):
        SpectralLossConfig(windows=(512,), mel_bands=(32, 64))
