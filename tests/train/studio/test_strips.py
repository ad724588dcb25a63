"""Channel strips: what they do to a known sound, and that equal bars stay equal."""

import numpy as np
import pytest

from magenta_rt_py.train.studio import strips
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.score import SAMPLE_RATE, STEMS
from magenta_rt_py.train.studio.strips import Strip, chorus, process, strip_of, widen, width_of


def tone(hertz, *, samples=48_000, right=1.0):
    """A sine, louder or softer on the right."""
    mono = np.sin(2 * np.pi * hertz * np.arange(samples) / SAMPLE_RATE).astype(np.float32)
    return np.stack([mono, right * mono]).astype(np.float32)


def level(sound):
    """RMS of the second half."""
    return float(np.sqrt(np.mean(sound[:, sound.shape[1] // 2 :] ** 2)))


def test_high_and_low_pass_cut_their_ends_only():
    strip = Strip(highpass_hz=200.0)
    for hertz, expected in ((40.0, 0.2), (2000.0, 1.0), (18000.0, 0.14)):
        kept = level(process(tone(hertz), strip, bar_samples=48_000, lowpass_hz=5000.0)) / level(tone(hertz))
        assert kept == pytest.approx(expected, abs=0.08)


def test_a_plain_strip_changes_nothing():
    np.testing.assert_array_equal(process(tone(500.0), Strip(), bar_samples=48_000), tone(500.0))


def test_width_and_pan():
    sound = tone(500.0, right=0.5)
    mono = widen(sound, 0.0)
    np.testing.assert_allclose(mono[0], mono[1], atol=1e-6)
    np.testing.assert_allclose(widen(sound, 1.0), sound, atol=1e-6)
    wide = widen(sound, 2.0)
    assert np.abs(wide[0] - wide[1]).max() == pytest.approx(2 * np.abs(sound[0] - sound[1]).max(), rel=1e-4)
    left = process(tone(500.0), Strip(pan=-0.5), bar_samples=48_000)
    assert level(left[:1]) == pytest.approx(2 * level(left[1:]), rel=1e-3)


def test_a_chorus_turns_once_a_bar_and_opens_the_sides():
    bar = 9600
    loop = np.random.default_rng(0).standard_normal((1, bar)).astype(np.float32)
    sound = np.tile(np.concatenate([loop, loop]), 4)
    out = chorus(sound, 0.6, bar)
    assert out.shape == sound.shape
    np.testing.assert_allclose(out[:, bar : 2 * bar], out[:, 2 * bar : 3 * bar], atol=1e-5)
    assert np.abs(out[0] - out[1]).max() > 0.1
    half = chorus(sound[:, : 3 * bar + 7], 0.6, bar)
    np.testing.assert_array_equal(half, out[:, : 3 * bar + 7])


def test_a_choruss_copy_is_the_sound_a_little_later():
    click = np.zeros((2, 4800), np.float32)
    click[:, 1000] = 1.0
    out = chorus(click, 1.0, 48_000) * 1.5
    places = np.flatnonzero(np.abs(out[0]) > 0.05)
    delay = strips.CHORUS_DELAY_SECONDS * SAMPLE_RATE
    assert places[0] == 1000 and abs(places[1:].mean() - 1000 - delay) < strips.CHORUS_DEPTH_SECONDS * SAMPLE_RATE


@pytest.mark.parametrize("genre", GENRES)
def test_every_genre_has_strips_and_a_width(genre):
    spec = GENRES[genre]
    for stem in STEMS:
        strip = strip_of(genre, spec, stem)
        assert 0 <= strip.drive <= 1 and 0 <= strip.send <= 1 and abs(strip.pan) < 0.5
    assert strip_of(genre, spec, "bass").width < 1
    assert 0.5 <= width_of(genre, spec) <= 1.5
