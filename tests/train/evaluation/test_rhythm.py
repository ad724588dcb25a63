"""Tempo of click tracks, and no pulse where there is none."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import rhythm


def _click_track(bpm: float, seconds: float = 12.0, loud_every: int = 1) -> np.ndarray:
    """Short noise bursts on a quiet bed, one a beat."""
    generator = np.random.default_rng(3)
    samples = 0.002 * generator.standard_normal(int(seconds * 48_000))
    burst = generator.standard_normal(2_400) * np.exp(-np.arange(2_400) / 400)
    for beat in range(int(seconds * bpm / 60)):
        start = int(beat * 60 / bpm * 48_000)
        part = burst[: len(samples) - start]
        samples[start : start + len(part)] += part * (0.5 if beat % loud_every == 0 else 0.3)
    return np.stack([samples, samples], -1).astype(np.float32)


@pytest.mark.parametrize("bpm", [75.0, 93.75, 107.14, 125.0, 150.0])
def test_tempo_of_a_click_track(bpm):
    found = rhythm.analyse(_click_track(bpm))
    assert found.bpm == pytest.approx(bpm, rel=0.02)
    assert found.pulse_clarity > 0.7


def test_the_asked_tempo_does_not_move_the_estimate():
    sound = _click_track(107.14)
    estimates = {rhythm.analyse(sound, asked_bpm=asked).bpm for asked in (60.0, 107.14, 150.0)}
    assert len(estimates) == 1


def test_asked_beat_is_high_only_at_the_right_tempo():
    right = rhythm.analyse(_click_track(125.0), asked_bpm=125.0)
    wrong = rhythm.analyse(_click_track(125.0), asked_bpm=107.14)
    assert right.asked_beat > 0.7
    assert right.control < 0.1
    assert wrong.asked_beat < 0.1


def test_noise_has_no_pulse():
    noise = np.random.default_rng(0).standard_normal((12 * 48_000, 2)).astype(np.float32)
    assert rhythm.analyse(noise).pulse_clarity < 0.25


def test_gain_does_not_matter_and_strength_tells_faint_from_strong():
    sound = _click_track(125.0)
    loud, soft = rhythm.analyse(sound), rhythm.analyse(0.05 * sound)
    assert soft.bpm == pytest.approx(loud.bpm, rel=0.01)
    bed = np.random.default_rng(1).standard_normal(sound.shape).astype(np.float32)
    assert rhythm.analyse(sound + 0.2 * bed).onset_strength < 0.5 * loud.onset_strength


def test_tempo_matches_exactly_or_in_octaves():
    assert rhythm.tempo_matches(121.0, 125.0)
    assert not rhythm.tempo_matches(119.0, 125.0)
    assert not rhythm.tempo_matches(62.5, 125.0)
    assert rhythm.tempo_matches(62.5, 125.0, octaves=True)
    assert not rhythm.tempo_matches(83.3, 125.0, octaves=True)


def test_too_short_a_sound_is_refused():
    with pytest.raises(ValueError, match="at least 4 s"):
        rhythm.analyse(np.zeros((48_000, 2), np.float32))
