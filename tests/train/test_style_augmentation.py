"""Log-mels that sound recorded: what each effect does, and that nothing falls below silence."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.train.style_augmentation import LogMelAugmentation

NOTHING = LogMelAugmentation(gain_db=0.0, colour_db=0.0, cut_share=0.0, noise_share=0.0, room_share=0.0)
FLOOR = np.log(1e-3)


def clips(rows=4, frames=60, bands=16):
    """A click at frame 20 in every band, silence around it."""
    power = np.full((rows, frames, bands), 1e-3, np.float32)
    power[:, 20] = 1.0
    return np.log(power)


def apply(augmentation, seed=0, log_mels=None):
    return augmentation(clips() if log_mels is None else log_mels, np.random.default_rng(seed))


def test_without_effects_nothing_changes():
    np.testing.assert_allclose(apply(NOTHING), clips(), atol=1e-3)


def test_gain_moves_what_sounds_and_leaves_silence():
    loud = apply(dataclasses.replace(NOTHING, gain_db=6.0))
    assert np.ptp(loud[:, 20]) > 0.3 and np.ptp(loud[:, 20], axis=-1).max() < 1e-5
    np.testing.assert_allclose(loud[:, 30], FLOOR, atol=1e-4)


def test_colour_differs_by_band_and_cuts_take_an_end_of_them():
    assert np.ptp(apply(dataclasses.replace(NOTHING, colour_db=3.0))[:, 20], axis=-1).min() > 0.2
    cut = apply(dataclasses.replace(NOTHING, cut_share=1.0))[:, 20]
    lost = cut < -0.5
    assert lost.any(axis=1).all() and not lost.all(axis=1).any()
    assert (lost[:, 0] ^ lost[:, -1]).all()


def test_a_room_rings_on_and_dies_away():
    wet = apply(dataclasses.replace(NOTHING, room_share=1.0))
    assert (wet[:, 21] > FLOOR + 0.5).all() and (np.diff(wet[:, 21:, 0], axis=1) <= 1e-6).all()
    np.testing.assert_allclose(wet[:, :20], FLOOR, atol=1e-4)


def test_noise_fills_silence_in_the_share_of_clips_asked_for():
    noisy = apply(dataclasses.replace(NOTHING, noise_share=0.5, noise_db=(-20.0, -20.0)), log_mels=clips(200))
    changed = (noisy[:, 40:] > FLOOR + 1e-3).any(axis=(1, 2))
    assert changed.mean() == pytest.approx(0.5, abs=0.12)


def test_the_same_draws_give_the_same_clips():
    np.testing.assert_array_equal(apply(LogMelAugmentation(), 3), apply(LogMelAugmentation(), 3))
    assert (apply(LogMelAugmentation(), 3) != apply(LogMelAugmentation(), 4)).any()
