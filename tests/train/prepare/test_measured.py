"""What is heard: tempo, key, brightness and density of sounds that are known."""

import numpy as np
import pytest

from magenta_rt_py.train import studio
from magenta_rt_py.train.prepare.measured import UNKNOWN, Listener, find_key, key_name
from tests.train.prepare.sounds import RATE, song


def hear(samples):
    listener = Listener()
    for start in range(0, len(samples), Listener.BLOCK_SAMPLES):
        listener.add(samples[start : start + Listener.BLOCK_SAMPLES])
    return listener.measured()


def chord(notes, seconds):
    """Notes by MIDI number, with a few harmonics."""
    time = np.arange(round(seconds * RATE)) / RATE
    hz = [440 * 2 ** ((note - 69) / 12) for note in notes]
    return sum(np.sin(2 * np.pi * hz_ * harmonic * time) / harmonic for hz_ in hz for harmonic in (1, 2, 3)) / 20


def progression(root, *, minor, seconds=2.0):
    third = 3 if minor else 4
    tonic, fourth = (root, root + third, root + 7), (root + 5, root + 5 + third, root + 12)
    fifth = (root + 7, root + 11, root + 14)
    wave = np.concatenate([chord(notes, seconds) for notes in (tonic, fourth, fifth, tonic, tonic)])
    return np.repeat(wave[:, None], 2, 1).astype(np.float32)


@pytest.mark.parametrize(("root", "minor", "name"), [(60, False, "C major"), (57, True, "A minor"), (66, False, "F# major")])
def test_the_key_of_a_cadence(root, minor, name):
    heard = hear(progression(root, minor=minor))
    assert heard.key is not None and key_name(heard.key) == name
    assert heard.key_word == name and name not in heard.words


@pytest.mark.parametrize("samples", [1, 100, 2048, 5000, 48_000, 96_000, 960_000, 960_001, 1_008_000])
def test_blocks_of_any_length_are_heard(samples):
    random = np.random.default_rng(4)
    heard = hear(random.normal(0, 0.1, (samples, 2)).astype(np.float32))
    steps = -(-samples // 96_000)
    assert len(heard.centroid_hz) == len(heard.onset_rate) == steps


def test_equal_pitch_classes_have_no_key():
    assert find_key(np.ones(12)) is None
    assert find_key(np.array([1.0, 0.9] * 6)) is None


def test_tempo_bars_and_density():
    heard = hear(song(120.0, 41.0, first_seconds=0.3))
    assert heard.bpm == pytest.approx(120.0, abs=0.1)
    assert "120 bpm" in heard.words and "mid-tempo" in heard.words
    assert heard.onset_rate[1:-1].mean() == pytest.approx(2.0, abs=0.3)
    late = (heard.grid.first_bar_samples / RATE - 0.3) % 2.0
    assert min(late, 2.0 - late) < 0.03


def test_brightness_follows_the_spectrum():
    random = np.random.default_rng(2)
    low = 0.1 * chord((36, 43), 8.0)
    bright = random.normal(0, 0.1, 8 * RATE)
    dark, light = (hear(np.repeat(wave[:, None], 2, 1).astype(np.float32)) for wave in (low, bright))
    assert "dark" in dark.words and "very bright" in light.words
    assert dark.centroid_hz.max() < 900 < 4000 < light.centroid_hz.min()


def test_descriptors_mark_what_is_not_known():
    heard = hear(np.zeros((4 * RATE, 2), np.float32))
    rows = heard.descriptors(0, 5)
    assert rows.shape == (5, 4)
    assert (rows[:, :3] == UNKNOWN).all() and (rows[:2, 3] == 0).all() and (rows[2:, 3] == UNKNOWN).all()
    assert heard.words == ["sparse"] or heard.words == []


def test_a_render_of_the_studio_has_its_tempo():
    card = studio.sample_card(900_100_001, genre="house", seconds=40.0)
    piece = studio.piece_of_card(card)
    heard = hear(piece.samples[9_000:])
    assert heard.bpm == pytest.approx(card.bpm, abs=0.1)
    if heard.grid.first_bar_samples is not None:  # certain: then it must be right
        beats = (heard.grid.first_bar_samples + 9_000) / card.beat_samples % 4.0
        assert min(beats, 4.0 - beats) < 0.05
