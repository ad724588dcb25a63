"""Whole pieces: exact length, exact labels, and the same bits from the same seed in any process."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from magenta_rt_py.train import studio
from magenta_rt_py.train.studio import effects, make_piece
from magenta_rt_py.train.studio.score import FRAME_SAMPLES

FINGERPRINT = (
    "import hashlib; from magenta_rt_py.train.studio import make_piece;"
    " print(hashlib.sha256(make_piece(5, genre='disco', seconds=2.0).samples.tobytes()).hexdigest())"
)


def onset_flux(samples):
    """Rise of the log spectrum every 10 ms."""
    mono = samples.mean(axis=1)
    starts = range(0, len(mono) - 2048, 480)
    windows = np.stack([mono[start : start + 2048] for start in starts]) * np.hanning(2048)
    log_spectrum = np.log1p(100 * np.abs(np.fft.rfft(windows, axis=1)))
    return np.maximum(np.diff(log_spectrum, axis=0), 0).sum(axis=1)


def test_the_same_seed_gives_the_same_bits_in_another_process():
    make_piece(4, genre="chiptune", seconds=1.0)  # what came before must not matter
    here = hashlib.sha256(make_piece(5, genre="disco", seconds=2.0).samples.tobytes()).hexdigest()
    there = subprocess.run([sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, check=True).stdout
    assert there.strip() == here


@pytest.mark.parametrize("seconds", [0.5, 2.0, 7.123])
def test_length_is_exact(seconds):
    piece = make_piece(3, genre="techno", seconds=seconds)
    assert piece.samples.shape == (round(seconds * 48000), 2)
    assert piece.samples.dtype == np.float32
    assert np.abs(piece.samples).max() <= effects.CEILING


def test_labels_are_exact():
    piece = make_piece(3, genre="techno", seconds=8.0)
    label = piece.label
    assert label.beats == [beat * label.frames_per_beat * FRAME_SAMPLES for beat in range(len(label.beats))]
    assert label.downbeats == label.beats[::4]
    assert label.bpm == 1500 / label.frames_per_beat
    assert len(label.chords) == len(label.beats) and all(len(on) == len(label.beats) for on in label.stems.values())
    assert len(set(label.captions)) == len(label.captions) >= 6
    assert set(label.instruments) <= set(label.cast.values())
    assert json.loads(json.dumps(label.as_dict())) == label.as_dict()


def test_drums_hit_from_the_first_sample():
    piece = make_piece(3, genre="techno", seconds=2.0)
    assert np.abs(piece.samples[:96]).max() > 0.02  # within 2 ms
    assert np.abs(piece.samples[:480]).max() > 0.1


def test_the_pulse_is_at_the_labelled_beat():
    piece = make_piece(3, genre="techno", seconds=12.0)
    flux = onset_flux(piece.samples)
    flux = flux - flux.mean()
    lag = 4 * piece.label.frames_per_beat  # 10 ms steps

    def correlation(steps):
        return float((flux[:-steps] * flux[steps:]).sum() / (flux**2).sum())

    assert correlation(lag) > 0.55
    assert correlation(round(1.13 * lag)) < 0.2


def test_stems_that_have_not_come_in_are_not_listed():
    for seed in range(6):
        label = make_piece(seed, genre="chiptune", seconds=0.3).label
        assert set(label.cast) >= {"drums", "bass", "comp"}
        assert label.instruments[0] == "chip drums"


def test_a_genre_is_drawn_from_the_seed(monkeypatch):
    drawn = []

    def note_genre(seed, *, genre, seconds):
        drawn.append(genre)
        raise KeyError("stop here")

    monkeypatch.setattr("magenta_rt_py.train.studio.piece.sample_card", note_genre)
    for seed in [*range(30), 0]:
        with pytest.raises(KeyError):
            make_piece(seed)
    assert drawn[-1] == drawn[0] and len(set(drawn)) > 8
    assert set(drawn) <= set(studio.GENRES)


def test_an_unknown_genre_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'polka'.*techno"):
        make_piece(1, genre="polka")
