"""Whole pieces: exact length, exact labels, and the same bits from the same seed in any process."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from magenta_rt_py.train import studio
from magenta_rt_py.train.studio import compose, effects, make_piece, sample_card
from magenta_rt_py.train.studio.harmony import parse_chord
from magenta_rt_py.train.studio.piece import label_of, shared_renderer
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
    (section,) = label.sections
    assert (section["first_beat"], section["settled_beat"]) == (0, 0)
    for name in ("genre", "captions", "instruments", "mood", "key", "mode"):
        assert section[name] == getattr(label, name)


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
    late = next(card for card in (sample_card(seed, genre="chiptune") for seed in range(99)) if card.form == "layers")
    for samples, heard in ((late.samples, len(late.stems)), (14_400, len(late.stems) - 1)):
        card = dataclasses.replace(late, samples=samples, cast=late.cast | {"lead": "chip pulse"})
        label = label_of(card, compose(dataclasses.replace(card, samples=late.samples)))
        assert len(label.instruments) == len(set(label.cast.values())) - (samples == 14_400) and heard
        assert ("chip pulse" in label.instruments) == (samples == late.samples)


@pytest.mark.parametrize(("genre", "form", "tail_seconds"), [("chiptune", "layers", 0.4), ("rock", "rest", 1.0),
                                                             ("trance", "drop", 2.3)])  # fmt: skip
def test_a_stem_labelled_off_is_silent_when_rendered_alone_and_sounds_where_it_is_on(genre, form, tail_seconds):
    card = dataclasses.replace(sample_card(2, genre=genre, seconds=24.0), form=form)
    score = compose(card)
    label = label_of(card, score)
    assert any(not all(on) for on in label.stems.values()), "a stem rests somewhere"
    for stem, on in label.stems.items():
        alone = dataclasses.replace(score, drums=score.drums if stem == "drums" else (),
                                    notes={name: notes for name, notes in score.notes.items() if name == stem})  # fmt: skip
        sound = shared_renderer().mix(card, alone)
        power = np.array([np.mean(sound[:, start : start + card.beat_samples] ** 2) for start in label.beats[:-1]])
        tail = int(np.ceil(tail_seconds * 48_000 / card.beat_samples))
        off = [beat for beat in range(tail, len(power)) if not any(on[beat - tail : beat + 1])]
        bars = [max(power[beat : beat + 4]) for beat in range(0, len(power) - 3, 4) if all(on[beat : beat + 4])]
        assert bars and min(bars) > 1e-3 * power.max(), (stem, "sounds in every bar where it is on")
        assert not off or max(power[beat] for beat in off) < 1e-5 * power.max(), (stem, "silent where it is off")


def chroma(samples, hertz=48_000):
    """Energy of each pitch class between 60 and 1000 Hz."""
    power = np.abs(np.fft.rfft(samples.mean(1) * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / hertz)
    used = (frequencies > 60) & (frequencies < 1000)
    classes = np.rint(69 + 12 * np.log2(frequencies[used] / 440)).astype(int) % 12
    return np.bincount(classes, power[used], minlength=12)


@pytest.mark.parametrize("genre", ["house", "solo piano", "synthwave", "folk", "cinematic"])
def test_the_labelled_chords_dominate_the_chroma(genre):
    card = dataclasses.replace(sample_card(4, genre=genre, seconds=16.0), drums=False, kind="solo", approach="none")
    label = (piece := studio.piece_of_card(card)).label
    names = {parse_chord(numeral, key=card.key, mode=card.mode) for numeral in card.chords}
    tones = {chord.name: set(chord.tones) for chord in names}
    shares = []
    for beat in range(0, len(label.beats) - card.chord_beats, card.chord_beats):
        assert len(set(label.chords[beat : beat + card.chord_beats])) == 1
        found = chroma(piece.samples[label.beats[beat] : label.beats[beat + card.chord_beats]])
        shares.append(sum(found[tone] for tone in tones[label.chords[beat]]) / found.sum())
    assert np.mean(shares) > 0.7, "a quarter to a third is chance"
    assert min(shares) > 0.45


@pytest.mark.parametrize("kind", ["solo", "stem"])
def test_kinds_are_labelled(kind):
    label = make_piece(5, genre="disco", seconds=2.0, kind=kind).label
    assert label.kind == kind and len(label.instruments) == 1
    assert all(all(on) for on in label.stems.values())
    assert set(label.stems) == set(label.cast)


def test_a_genre_is_drawn_from_the_seed(monkeypatch):
    drawn = []

    def note_genre(seed, *, genre, seconds, kind):
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
