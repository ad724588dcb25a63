import dataclasses
import time

import numpy as np
import pytest

from magenta_rt_py.style import config as presets
from magenta_rt_py.style.spectrogram import log_mel, mel_matrix, window_log_mels


def tone(frequency_hz: float, samples: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(samples) / 16_000)).astype(np.float32)


def test_one_frame_equals_the_definition():
    config = presets.tiny()
    samples = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    frame = 5
    start = frame * config.hop_samples
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(640) / 640))
    power = np.abs(np.fft.rfft(emphasised[start : start + 640] * window, 1024)) ** 2
    expected = np.log(power[1:] @ mel_matrix(config).astype(np.float64) + 1e-3)
    np.testing.assert_allclose(log_mel(samples[None], config)[0, frame], expected, rtol=1e-4, atol=1e-4)


def test_released_front_end_has_992_frames_of_128_bands():
    mels = log_mel(np.zeros((2, 160_000), np.float32), presets.released())
    assert mels.shape == (2, 992, 128)
    np.testing.assert_allclose(mels, np.log(1e-3), rtol=1e-6)


@pytest.mark.parametrize("preset", [presets.released, presets.starter, presets.tiny])
def test_every_band_hears_something_and_higher_tones_sound_in_higher_bands(preset):
    config = preset()
    assert (mel_matrix(config).sum(axis=0) > 0).mean() > 0.9
    samples = np.stack([tone(frequency_hz, config.clip_samples) for frequency_hz in (200, 800, 3200)])
    loudest = log_mel(samples, config).mean(axis=1).argmax(axis=1)
    assert (np.diff(loudest) > 0).all()


def test_mel_peaks_lie_on_the_htk_scale():
    config = presets.starter()
    matrix = mel_matrix(config)
    mels = 1127 * np.log1p(np.array([30.0, 8000.0]) / 700)
    centre_hz = 700 * np.expm1(np.linspace(*mels, 66)[1:-1] / 1127)
    peak_hz = (matrix.argmax(axis=0) + 1) * 16_000 / 1024
    assert np.abs(peak_hz - centre_hz).max() <= 16_000 / 1024 / 2 + 1e-6


def test_windows_are_the_clips_they_overlap():
    config = presets.tiny()
    samples = np.random.default_rng(1).normal(size=48_000).astype(np.float32)
    windows = window_log_mels(samples, config, window_hop_seconds=0.5)
    assert windows.shape == (6, 48, 16)
    expected = log_mel(samples[None, 8_000:24_000], config)[0]
    # Frame 0 differs: the pre-emphasis of a window knows the sample before it, that of a clip does not.
    np.testing.assert_allclose(windows[1, 1:], expected[1:], atol=1e-5)


def test_windows_past_the_end_move_back_or_are_silent():
    loop = presets.tiny()
    samples = np.random.default_rng(1).normal(size=24_000).astype(np.float32)
    windows = window_log_mels(samples, loop, window_hop_seconds=0.5)
    assert windows.shape[0] == 3
    np.testing.assert_array_equal(windows[1], windows[2])  # both end with the piece
    silent = window_log_mels(samples, dataclasses.replace(loop, pad_mode="zero"), window_hop_seconds=0.5)
    # Of a piece of another length: on some processors a matrix product with more rows rounds otherwise.
    np.testing.assert_allclose(silent[1], windows[1], rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(silent[2, -20:], np.log(1e-3), rtol=1e-6)
    assert window_log_mels(samples[:100], loop, window_hop_seconds=0.5).std() > 0.1


@pytest.mark.parametrize("hop_seconds", [0.0, -1.0, 0.03])
def test_window_hops_between_stft_frames_are_refused(hop_seconds):
    with pytest.raises(ValueError, match=r"not a positive multiple of 0\.02"):
        window_log_mels(np.zeros(16_000, np.float32), presets.tiny(), hop_seconds)


def test_empty_audio_is_refused():
    with pytest.raises(ValueError, match="no samples"):
        window_log_mels(np.zeros(0, np.float32), presets.tiny())


def test_front_end_keeps_up_with_hours_of_audio():
    samples = np.random.default_rng(0).normal(size=60 * 16_000).astype(np.float32)
    window_log_mels(samples, presets.starter())
    before = time.process_time()  # of this process: other load does not count
    window_log_mels(samples, presets.starter())
    assert 60 / (time.process_time() - before) > 150
