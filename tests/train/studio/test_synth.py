"""The synthesizer: right pitches, no aliasing, brightness that brightens."""

import numpy as np
import pytest

from magenta_rt_py.train.studio.patches import PATCHES, WOBBLE_HZ
from magenta_rt_py.train.studio.score import SAMPLE_RATE
from magenta_rt_py.train.studio.synth import play

SECOND = SAMPLE_RATE
UNTUNED = {
    "808",
    "glass pad",
    "supersaw",
    "warm pad",
    "dark pad",
    "stab",
    "reese",
    "growl bass",
    "screech lead",
    "saron",
    "gong",
    "dub chord",
}  # glide or spread around the pitch


def spectrum(sound):
    """Magnitudes of the first second, one bin a hertz."""
    return np.abs(np.fft.rfft(sound[0, :SECOND] * np.hanning(SECOND)))


def centroid(sound):
    """Centre of gravity of the spectrum, Hz."""
    power = spectrum(sound) ** 2
    return (power * np.arange(len(power))).sum() / power.sum()


@pytest.mark.parametrize("patch", PATCHES)
def test_every_patch_sounds_and_ends(patch):
    sound = play(patch, 57, 24000, 0.5)
    assert sound.shape[0] == 2 and sound.dtype == np.float32 and np.isfinite(sound).all()
    assert 0.15 < np.abs(sound).max() < 4.0
    assert np.abs(sound[:, -10:]).max() < 0.03
    assert np.abs(sound[:, 0]).max() < 0.05


@pytest.mark.parametrize("patch", sorted(set(PATCHES) - UNTUNED))
def test_notes_are_in_tune(patch):
    found = spectrum(play(patch, 69, SECOND, 0.5))
    near = found[430:451]
    assert abs(int(near.argmax()) + 430 - 440) <= 2
    assert near.max() > 0.03 * found.max()


@pytest.mark.parametrize("pitch", [69, 88, 100])
def test_open_waves_do_not_alias(pitch):
    found = spectrum(play("chip arp", pitch, SECOND, 1.0))
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    bins = np.arange(len(found))
    off_harmonic = np.abs(bins / fundamental - np.round(bins / fundamental)) * fundamental > 40
    assert found[off_harmonic].max() < 0.01 * found.max()


@pytest.mark.parametrize("patch", ["supersaw", "saw bass", "warm pad", "pluck", "bell"])
def test_brightness_brightens(patch):
    dark, middle, bright = (centroid(play(patch, 57, SECOND, value)) for value in (0.0, 0.5, 1.0))
    assert dark < middle < bright


def test_808_glides_down_to_its_note():
    sound = play("808", 45, SECOND, 0.5)
    crossings = np.flatnonzero((sound[0, :-1] < 0) & (sound[0, 1:] >= 0))
    periods = np.diff(crossings)
    assert periods[0] < 0.95 * periods[8]
    assert SAMPLE_RATE / periods[8:20].mean() == pytest.approx(110.0, rel=0.01)


def test_a_wobble_opens_and_closes_the_filter_in_time():
    highs = np.abs(np.diff(play("wobble bass", 33, 2 * SECOND, 0.5)[0], n=2))
    swing = SAMPLE_RATE / WOBBLE_HZ
    closed, opened = (np.mean([highs[int((k + at) * swing) :][:1000].mean() for k in range(1, 6)]) for at in (0.0, 0.45))
    assert opened > 3 * closed


def test_a_vibrato_swings_around_the_pitch():
    sound = play("sine lead", 69, 2 * SECOND, 0.5)[0, SECOND // 2 : 3 * SECOND // 2]
    periods = np.diff(np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0)))
    smooth = np.convolve(periods, np.ones(8) / 8, "valid")
    assert SAMPLE_RATE / periods.mean() == pytest.approx(440.0, rel=0.003)
    assert 1.015 < smooth.max() / smooth.min() < 1.035
    steady = play("chip arp", 69, SECOND, 0.5)[0, SECOND // 4 : SECOND // 2]
    assert np.ptp(np.diff(np.flatnonzero((steady[:-1] < 0) & (steady[1:] >= 0)))) <= 1
