import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import bands
from magenta_rt_py.codec import config as codec_config


def test_the_starter_has_324_bands_that_cover_every_bin_once():
    config = codec_config.starter()
    assert bands.band_count(config) == 324
    assert bands.feature_dim(config) == 2592
    np.testing.assert_array_equal(bands.band_matrix(config).sum(0), np.ones(1025))
    np.testing.assert_array_equal(bands.band_widths(config), bands.band_matrix(config).sum(1))
    assert (bands.band_widths(config)[:256] == 1).all()


def test_energies_are_the_formula_written_out(config, sound):
    samples = sound[:5000]
    energies = bands.band_energies(config, samples[None])
    assert energies.shape == (1, 3, 4, 2, bands.band_count(config))
    for frame, sub in ((0, 0), (1, 2), (2, 3)):
        start = 1920 * frame + 480 * sub - 1440
        window = np.array([samples[n] if 0 <= n < len(samples) else (0.0, 0.0) for n in range(start, start + 2048)])
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
        power = np.abs(np.fft.rfft(window * hann[:, None], axis=0)) ** 2
        expected = (bands.band_matrix(config) @ power) / bands.band_widths(config)[:, None]
        np.testing.assert_allclose(energies[0, frame, sub], expected.T, rtol=2e-3, atol=1e-6)


def test_an_attack_on_a_frame_boundary_stays_out_of_the_frame_before(config):
    """Only the last STFT frame of frame 1 may see it, through the 128 samples of look-ahead."""
    samples = np.zeros((1, 1920 * 4, 2), np.float32)
    samples[0, 1920 * 2 :] = 0.1 * np.random.default_rng(0).standard_normal((1920 * 2, 2))
    loudness = np.sqrt(bands.band_energies(config, samples).mean((0, 3, 4))).reshape(-1)  # an STFT frame
    assert (loudness[:7] == 0).all()
    assert 0 < loudness[7] < 0.05 * loudness[12]
    assert loudness[8] > 5 * loudness[7]


def test_features_go_back_to_log_magnitudes(config, sound):
    energies = jnp.asarray(bands.band_energies(config, sound[None, :9600]))
    logs = bands.logs_of_features(config, bands.features_of_energies(config, energies))
    np.testing.assert_allclose(logs, 0.5 * jnp.log(energies + config.energy_floor), atol=1e-5)


def test_stored_features_keep_the_energies(config, sound):
    energies = bands.band_energies(config, sound[None, :9600])
    back = np.asarray(bands.energies_of_stored(jnp.asarray(bands.stored_features(energies))))
    np.testing.assert_allclose(back + 1e-5, energies + 1e-5, rtol=0.02)


def test_weights_have_mean_one_and_favour_what_the_ear_resolves():
    weights = bands.band_weights(codec_config.starter())
    assert abs(weights.mean() - 1) < 1e-6
    assert weights[5] > weights[200]  # a bin is wide on the mel scale at 100 Hz, narrow at 4.7 kHz


@pytest.mark.parametrize(
    "change", [{"hop_samples": 500}, {"frame_samples": 1900}, {"channels": 1}, {"window_samples": 4096}]
)
def test_a_geometry_that_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match="got .*expected"):
        codec_config.CompactCodecConfig(**change)
