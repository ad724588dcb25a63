"""Transitions: one tempo, exact sections, each half in its own style, and ways from one to the other."""

import functools
import itertools

import numpy as np
import pytest

from magenta_rt_py.train.studio import transition
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.piece import make_piece
from magenta_rt_py.train.studio.score import FRAME_SAMPLES
from magenta_rt_py.train.studio.seeds import generator
from magenta_rt_py.train.studio.transition import make_transition

PAIRS = (("techno", "solo piano"), ("ambient", "rock"), ("chiptune", "lofi hip hop"), ("cinematic", "house"))


@functools.cache
def pieces():
    """A transition of each pair."""
    return [make_transition(seed, genres=pair, seconds=20.0) for seed, pair in enumerate(PAIRS)]


def test_labels_are_exact():
    for piece, pair in zip(pieces(), PAIRS, strict=True):
        label = piece.label
        first, second = label.sections
        assert (label.kind, first["genre"], second["genre"]) == ("transition", *pair)
        assert piece.samples.shape == (20 * 48_000, 2)
        assert label.beats == [beat * label.frames_per_beat * FRAME_SAMPLES for beat in range(len(label.beats))]
        assert first["first_beat"] == 0 and second["first_beat"] % 4 == 0
        assert second["first_beat"] <= second["settled_beat"] <= len(label.beats) - 4 and second["settled_beat"] % 4 == 0
        assert 0.2 * len(label.beats) <= second["first_beat"] <= 0.8 * len(label.beats)
        assert len(label.chords) == len(label.beats) and all(len(on) == len(label.beats) for on in label.stems.values())
        assert label.captions == first["captions"] and not set(first["captions"]) & set(second["captions"])
        assert label.genre == pair[0] and label.mood == first["mood"] and label.instruments == first["instruments"]


def descriptor(samples):
    """Mean log spectrum in 40 bands, how much it moves, and how wide the sides are."""
    mono = samples.mean(1)
    windows = np.lib.stride_tricks.sliding_window_view(mono, 2048)[::960] * np.hanning(2048)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    edges = np.unique(np.geomspace(2, 1000, 41).astype(int))
    bands = np.log(np.stack([power[:, low:high].sum(1) for low, high in itertools.pairwise(edges)], 1) + 1e-4)
    return np.concatenate([bands.mean(0), 2 * bands.std(0)])


@functools.cache
def reference(genre):
    """The descriptor of a genre: mean over pieces of other seeds."""
    return np.mean([descriptor(make_piece(seed, genre=genre, seconds=10.0).samples) for seed in (91, 92, 93)], axis=0)


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_each_half_sounds_like_its_genre(number):
    piece, (old, new) = pieces()[number], PAIRS[number]
    second = piece.label.sections[1]
    first_sample = piece.label.beats[second["first_beat"]]
    settled = piece.label.beats[second["settled_beat"]] + 24_000  # the old room may ring on
    before, after = descriptor(piece.samples[:first_sample]), descriptor(piece.samples[settled:])
    for half, own, other in ((before, old, new), (after, new, old)):
        assert np.linalg.norm(half - reference(own)) < np.linalg.norm(half - reference(other))


def test_both_halves_are_about_equally_loud():
    for piece in pieces():
        second = piece.label.sections[1]
        first, settled = (piece.label.beats[second[name]] for name in ("first_beat", "settled_beat"))
        parts = piece.samples[:first], piece.samples[settled:]
        before, after = (10 * np.log10(np.mean(part**2)) for part in parts)
        assert abs(before - after) < 5.0


def test_every_way_is_taken_and_a_cut_is_sudden():
    lengths = {}
    for seed in range(24):
        cards = transition._cards(seed, ("house", "rock"), 30.0, generator(seed, "x"))
        found = transition._handover(*cards, generator(seed, "y"))
        way = "fade" if found.fades else "cut" if found.first_beat == found.settled_beat else "stems"
        lengths.setdefault(way, set()).add((found.settled_beat - found.first_beat) // 4)
    assert set(lengths) == {"cut", "fade", "stems"}
    assert lengths["cut"] == {0} and lengths["fade"] <= {1, 2} and max(lengths["stems"]) >= 3


def test_stem_by_stem_no_beat_has_a_stem_of_both():
    for seed in range(12):
        old, new = transition._cards(seed, ("house", "rock"), 30.0, generator(seed, "x"))
        found = transition._stem_by_stem(old, new, 4, 8, generator(seed, "z"))
        before = transition._until(compose(old), found.leaves)
        after = transition._from(compose(new), {stem: beat - found.first_beat for stem, beat in found.enters.items()})
        for stem in set(old.stems) & set(new.stems):
            off = next(beat for beat in range(len(before.active[stem])) if not before.active[stem][beat])
            on = next(beat for beat in range(len(after.active[stem])) if after.active[stem][beat])
            assert off == on + found.first_beat
        assert all(after.active[stem][int(note.beat)] for stem, notes in after.notes.items() for note in notes)


def test_a_pair_is_drawn_from_the_seed_and_bad_ones_are_refused():
    with pytest.raises(ValueError, match="twice"):
        make_transition(1, genres=("rock", "rock"))
    with pytest.raises(ValueError, match="polka"):
        make_transition(1, genres=("rock", "polka"))
    with pytest.raises(ValueError, match="at least 4"):
        make_transition(1, genres=("rock", "disco"), seconds=3.0)
