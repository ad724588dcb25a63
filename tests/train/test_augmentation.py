"""Changed pieces keep their length and are functions of their seed; every change does what it says."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.train.augmentation import AugmentationConfig, augment, is_changed

NOTHING = AugmentationConfig(
    share=1.0,
    speed_probability=0.0,
    room_probability=0.0,
    tilt_probability=0.0,
    band_limit_probability=0.0,
    drive_probability=0.0,
    narrow_probability=0.0,
    noise_probability=0.0,
    gain_db=(0.0, 0.0),
)


@pytest.fixture(scope="module")
def sound():
    """Two seconds: a tone left, another right, and noise."""
    time = np.arange(96_000) / 48_000
    tones = np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 3000 * time)], axis=1)
    return (0.3 * tones + 0.02 * np.random.default_rng(0).standard_normal((96_000, 2))).astype(np.float32)


def only(**fields) -> AugmentationConfig:
    return dataclasses.replace(NOTHING, **fields)


def peak_hz(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * 48_000 / len(samples))


def level(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 48_000)
    return float(10 * np.log10(power[(hertz >= low_hz) & (hertz < high_hz)].sum()))


def test_length_type_and_peak_hold_for_any_seed(sound):
    config = AugmentationConfig(share=1.0)
    for seed in range(12):
        changed = augment(sound[:50_001], seed=seed, config=config)
        assert changed.shape == (50_001, 2) and changed.dtype == np.float32
        assert np.isfinite(changed).all() and np.abs(changed).max() < 1.0


def test_a_piece_is_a_function_of_its_seed_and_the_original_stays(sound):
    kept, config = sound.copy(), AugmentationConfig(share=1.0)
    np.testing.assert_array_equal(augment(sound, seed=3, config=config), augment(sound, seed=3, config=config))
    assert not np.array_equal(augment(sound, seed=3, config=config), augment(sound, seed=4, config=config))
    np.testing.assert_array_equal(sound, kept)


def test_a_share_is_changed(sound):
    config = only(share=0.4, gain_db=(-6.0, -6.0))
    changed = [not np.array_equal(augment(sound[:100], seed=seed, config=config), sound[:100]) for seed in range(300)]
    assert 0.32 < np.mean(changed) < 0.48
    assert changed == [is_changed(seed, config) for seed in range(300)]


def test_nothing_is_nothing(sound):
    np.testing.assert_allclose(augment(sound, seed=1, config=NOTHING), sound, atol=1e-6)


def test_speed_moves_the_pitch(sound):
    faster = augment(sound, seed=1, config=only(speed_probability=1.0, speed=(1.1, 1.1)))
    assert abs(peak_hz(faster[:80_000, 0]) - 484.0) < 1.0


def test_a_tilt_lifts_highs_over_lows_by_what_it_says():
    noise = (0.1 * np.random.default_rng(1).standard_normal((96_000, 2))).astype(np.float32)
    tilted = augment(noise, seed=1, config=only(tilt_probability=1.0, tilt_db=(8.0, 8.0)))
    change = [level(tilted[:, 0], *span) - level(noise[:, 0], *span) for span in ((20, 90), (10_000, 20_000))]
    assert abs(change[1] - change[0] - 8.0) < 0.6


def test_a_limited_band_has_no_highs(sound):
    limited = augment(sound, seed=1, config=only(band_limit_probability=1.0, band_limit_hz=(5000.0, 5000.0)))
    assert level(limited[:, 0], 12_000, 20_000) < level(sound[:, 0], 12_000, 20_000) - 10.0
    assert abs(level(limited[:, 0], 400, 480) - level(sound[:, 0], 400, 480)) < 0.5


def test_narrow_is_mono_in_the_end(sound):
    mono = augment(sound, seed=1, config=only(narrow_probability=1.0, narrow=(0.0, 0.0)))
    np.testing.assert_allclose(mono[:, 0], mono[:, 1], atol=1e-7)


def test_a_room_rings_on(sound):
    stopped = sound.copy()
    stopped[48_000:] = 0.0
    wet = augment(stopped, seed=1, config=only(room_probability=1.0, room_db=(-6.0, -6.0)))
    assert 0.002 < np.sqrt((wet[49_000:55_000] ** 2).mean()) < 0.2


def test_noise_has_its_level():
    silence = np.zeros((96_000, 2), np.float32)
    noisy = augment(silence, seed=2, config=only(noise_probability=1.0, noise_db=(-50.0, -50.0)))
    assert -51.0 < 20 * np.log10(noisy.std()) < -46.0  # hum adds up to 3 dB


def test_drive_bends_peaks(sound):
    driven = augment(sound, seed=1, config=only(drive_probability=1.0, drive=(1.0, 1.0)))
    assert np.abs(driven).max() / driven.std() < 0.95 * np.abs(sound).max() / sound.std()
