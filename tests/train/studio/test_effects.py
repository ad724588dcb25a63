"""Effects against their definitions."""

import numpy as np
import pytest

from magenta_rt_py.train.studio import effects
from magenta_rt_py.train.studio.score import SAMPLE_RATE


def noise(samples, *, seed=0, gain=0.2):
    """Stereo noise."""
    return (gain * np.random.default_rng(seed).standard_normal((2, samples))).astype(np.float32)


def test_loudness_of_the_standards_reference_tone():
    """BS.1770-4: a full-scale 997 Hz sine in one channel reads -3.01 LUFS."""
    tone = np.zeros((2, 5 * SAMPLE_RATE), np.float32)
    tone[0] = np.sin(2 * np.pi * 997 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)
    assert effects.loudness_lufs(tone) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("room", ["dry", "plate"])
def test_blockwise_reverb_is_plain_convolution(room):
    send = noise(100_000)[0]
    impulse = np.zeros(200_000, np.float32)
    impulse[0] = 1
    tail = effects.reverb(impulse, room)
    expected = np.stack([np.fft.irfft(np.fft.rfft(send, 400_000) * np.fft.rfft(channel, 400_000))[:100_000]
                         for channel in tail])  # fmt: skip
    np.testing.assert_allclose(effects.reverb(send, room), expected, atol=2e-5)
    np.testing.assert_allclose((tail**2).sum(axis=1), 1, rtol=1e-3)


def test_nothing_of_the_room_comes_before_the_first_reflection():
    impulse = np.zeros(10_000, np.float32)
    impulse[100] = 1
    tail = effects.reverb(impulse, "hall")
    assert np.abs(tail[:, : 100 + SAMPLE_RATE // 100]).max() < 1e-6 < np.abs(tail[:, 600:]).max()


def test_echo_repeats_on_alternate_sides():
    dry = np.zeros((2, 1000), np.float32)
    dry[:, 0] = 1
    wet = effects.echo(dry, 200, 0.5)
    assert [tuple(np.flatnonzero(channel)) for channel in wet] == [(0, 400), (0, 200, 600)]
    assert wet[1, 200] > wet[0, 400] > wet[1, 600] > 0
    assert dry.sum() == 2


def test_ducking_dips_at_the_kick_and_recovers():
    curve = effects.duck_curve([1000], 60_000, 0.6)
    assert curve[999] == 1 and curve[1000] == pytest.approx(0.4)
    assert (np.diff(curve[1000:17_000]) >= 0).all() and curve[-1] == 1


@pytest.mark.parametrize("gain", [0.001, 0.2, 5.0])
def test_master_reaches_its_loudness_below_the_ceiling(gain):
    finished = effects.master(noise(4 * SAMPLE_RATE, gain=gain))
    assert effects.loudness_lufs(finished) == pytest.approx(effects.TARGET_LUFS, abs=1.0)
    spiky = noise(4 * SAMPLE_RATE, gain=0.01)
    spiky[:, ::4000] = gain
    assert np.abs(effects.master(spiky)).max() <= effects.CEILING


def test_silence_stays_silence():
    assert not effects.master(np.zeros((2, 5000), np.float32)).any()


def test_saturation_keeps_quiet_sound_and_bends_loud_sound():
    quiet, loud = np.full((2, 8), 0.01, np.float32), np.full((2, 8), 1.0, np.float32)
    np.testing.assert_allclose(effects.saturate(quiet, 0.5), quiet, rtol=1e-3)
    assert effects.saturate(loud, 1.0).max() < effects.saturate(loud, 0.2).max() < 1


def test_crackle_is_one_loop_over_and_over():
    dust = effects.crackle(2500, 1000, 0.1)
    assert dust.shape == (2, 2500)
    np.testing.assert_array_equal(dust[:, :1000], dust[:, 1000:2000])
    assert dust.std() > 0


@pytest.mark.parametrize("room", effects.ROOMS)
def test_a_rooms_answer_falls_by_sixty_db_in_its_time(room):
    click = np.zeros(int((effects.ROOMS[room] + 0.2) * SAMPLE_RATE), np.float32)
    click[0] = 1
    power = (effects.reverb(click, room) ** 2).sum(axis=0)
    start = int(0.03 * SAMPLE_RATE)
    early = power[start : start + 2400].mean()
    end = int(effects.ROOMS[room] * SAMPLE_RATE)
    late = power[end - 2400 : end].mean()
    fall = 10 * np.log10(early / late)
    assert 40 < fall < 75
    assert power[: SAMPLE_RATE // 100].max() < 1e-9 * power.max(), "the first reflection comes after 10 ms"


def test_rooms_are_darker_towards_their_end():
    click = np.zeros(3 * SAMPLE_RATE, np.float32)
    click[0] = 1
    tail = effects.reverb(click, "hall")[0]
    spectra = [np.abs(np.fft.rfft(tail[start : start + 24_000])) for start in (2400, 60_000)]
    bright = [spectrum[2000:].sum() / spectrum.sum() for spectrum in spectra]
    assert bright[1] < 0.8 * bright[0]


def test_the_gain_to_the_target_is_exact_and_one_for_silence():
    sound = noise(4 * SAMPLE_RATE, gain=0.02)
    assert effects.loudness_lufs(sound * effects.gain_to_target(sound)) == pytest.approx(effects.TARGET_LUFS, abs=0.01)
    assert effects.gain_to_target(np.zeros((2, 4800), np.float32)) == 1


def test_a_riser_grows_louder_and_brighter_and_ends_where_it_should():
    sound = effects.riser(2 * SAMPLE_RATE)
    assert sound.shape == (2, 2 * SAMPLE_RATE) and np.abs(sound).max() == pytest.approx(1.0)
    parts = np.split(sound[0], 4)
    power = [np.mean(part**2) for part in parts]
    assert power == sorted(power) and power[3] > 10 * power[0]
    spectra = [np.abs(np.fft.rfft(part)) for part in parts]
    centres = [(spectrum * np.arange(len(spectrum))).sum() / spectrum.sum() for spectrum in spectra]
    assert centres == sorted(centres)
