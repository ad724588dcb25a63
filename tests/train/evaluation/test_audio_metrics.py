"""Metrics: the ends of their scales, and one value by hand."""

import librosa
import numpy as np
import pytest

from magenta_rt_py.train.evaluation import audio_metrics


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal((int(48_000 * seconds), 2))).astype(np.float32)


def test_equal_sounds_reach_the_ceiling():
    sound = _noise(1.0)
    assert audio_metrics.mel_distance(sound, sound) == 0.0
    assert audio_metrics.peakiness_loss(sound, sound) == 0.0
    assert audio_metrics.onset_correlation(sound, sound) == pytest.approx(1.0)
    assert audio_metrics.stereo_width_error(sound, sound) == 0.0
    assert audio_metrics.si_sdr(sound, sound) > 60.0


def test_mel_distance_by_hand():
    """One window of each scale, written out with loops over bands and bins."""
    first, second = _noise(2048 / 48_000, 1), _noise(2048 / 48_000, 2)
    expected = []
    for size, bands in ((512, 48), (2048, 128)):
        filters = audio_metrics.mel_filters(size, bands)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
        for channel in (0, 1):
            gaps = []
            for start in range(0, 2048 - size + 1, size // 4):
                mels = []
                for sound in (first, second):
                    spectrum = np.abs(np.fft.rfft(sound[start : start + size, channel] * window))
                    mels.append([sum(spectrum * filters[:, band]) for band in range(bands)])
                gaps += [abs(np.log(a + 1e-3) - np.log(b + 1e-3)) for a, b in zip(*mels, strict=True)]
            expected.append(8.686 * np.mean(gaps))
    assert audio_metrics.mel_distance(first, second) == pytest.approx(np.mean(expected), rel=1e-4)


def test_mel_distance_of_a_gain_is_the_gain():
    """Twice as loud is 6 dB away as long as the floor of 1e-3 is far below."""
    sound = 10.0 * _noise(1.0)
    assert audio_metrics.mel_distance(sound, 2.0 * sound) == pytest.approx(6.02, abs=0.2)


def test_smearing_is_seen():
    """A steady tone is tonal, noise of the same level is not."""
    time = np.arange(48_000) / 48_000
    tone = np.stack([np.sin(2 * np.pi * 440 * time)] * 2, -1).astype(np.float32)
    noise = _noise(1.0) * 7.0
    assert audio_metrics.peakiness_loss(tone, noise) > 3.0
    assert audio_metrics.si_sdr(tone, noise) < -10.0


def test_stereo_width_of_mono_and_of_one_side():
    sound = _noise(0.5)
    mono = np.stack([sound[:, 0]] * 2, -1)
    assert audio_metrics.stereo_width_db(mono) == -60.0
    assert audio_metrics.stereo_width_db(sound) == pytest.approx(0.0, abs=0.3)
    assert audio_metrics.stereo_width_error(mono, sound) > 55.0


def test_perplexity_of_used_and_dead_levels():
    codes = np.stack([np.arange(1000) % 64, np.zeros(1000, int)], -1)
    used, dead = audio_metrics.code_perplexity(codes, codebook_size=64)
    assert used == pytest.approx(64.0, rel=0.01)
    assert dead == pytest.approx(1.0)


def test_channels_must_agree():
    with pytest.raises(ValueError, match="same number of channels"):
        audio_metrics.mel_distance(_noise(0.1), _noise(0.1)[:, :1])


@pytest.mark.parametrize(("window_samples", "bands"), [(512, 48), (2048, 128), (2048, 64), (1024, 40)])
def test_mel_filters_are_those_of_librosa(window_samples, bands):
    wanted = librosa.filters.mel(sr=48_000, n_fft=window_samples, n_mels=bands).T
    np.testing.assert_allclose(audio_metrics.mel_filters(window_samples, bands), wanted, rtol=1e-4, atol=1e-9)
