"""Drums: bars that repeat with their phrase, layers, fills and builds."""

import dataclasses
import itertools
from collections import defaultdict

import pytest

from magenta_rt_py.train.studio import fills, grooves
from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.drums import KITS
from magenta_rt_py.train.studio.fills import LARGE, SMALL, TRIPLETS, build_hits, voice_for
from magenta_rt_py.train.studio.form import SPARSE, TOP, WHOLE, Section
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.grooves import layer_voices, write_drums


def bars_of(card, sections):
    """Bar -> its hits without crashes, from the start of the bar."""
    found = defaultdict(set)
    for hit in write_drums(card, sections):
        if hit.voice != "crash":
            found[int(hit.beat) // 4].add((round(hit.beat % 4, 6), hit.voice, hit.velocity))
    return found


def whole(start, end, *, part="full", layer=WHOLE, rises=False):
    """A section with drums."""
    return Section(start, end, part, frozenset({"drums"}), layer, rises)


@pytest.mark.parametrize("genre", ["techno", "rock", "jazz", "afrobeat", "drum and bass"])
def test_bars_repeat_with_their_phrase(genre):
    card = sample_card(3, genre=genre)
    bars = bars_of(card, [whole(0, 16)])
    for bar in range(12):
        if bar != 11:  # that one ends as all phrases do, bar 15 ends the section
            assert bars[bar] == bars[bar + 4] or bar + 4 == 15
    assert bars[3] != bars[0], "the last bar of a phrase is another"
    assert len({frozenset(bars[bar]) for bar in range(16)}) <= 5


def test_bars_change_with_their_place_in_the_phrase_even_without_fills(monkeypatch):
    monkeypatch.setattr(grooves, "fills_of", lambda spec, rng: (fills.Fill({}), fills.Fill({})))
    bars = bars_of(sample_card(3, genre="rock"), [whole(0, 8)])
    assert bars[0] == bars[4] and bars[3] == bars[7] != bars[0]


def test_a_bars_halves_differ_even_on_four_to_the_floor():
    card = dataclasses.replace(sample_card(3, genre="techno"), drum_variant=0)
    bar = bars_of(card, [whole(0, 4)])[0]
    assert {hit for hit in bar if hit[0] < 2} != {(beat - 2, voice, level) for beat, voice, level in bar if beat >= 2}


@pytest.mark.parametrize("genre", [name for name, spec in GENRES.items() if spec.kit])
def test_layers_grow(genre):
    card = sample_card(1, genre=genre)
    top, sparse, full = (layer_voices(card, layer) for layer in (TOP, SPARSE, WHOLE))
    assert full == card.spec.drums[card.drum_variant]
    assert top and set(top) <= set(full) and (top == full or "kick" not in top)
    assert sparse and set(sparse) <= set(card.spec.drums[0])


def test_the_top_layer_has_no_kick_and_no_snare():
    card = sample_card(1, genre="rock")
    assert set(layer_voices(card, TOP)) <= {"hat", "ride", "crash", "open"}


@pytest.mark.parametrize("fill", [*SMALL, *LARGE, *TRIPLETS])
def test_fills_span_a_bar_and_stay_in_its_second_half(fill):
    for steps in fill.groove.values():
        assert len(steps) in (12, 16)
        assert set(steps[: len(steps) // 2]) == {"."}
    assert fill.groove or fill.clears < 4


@pytest.mark.parametrize("kit", KITS)
def test_every_kit_can_play_every_fill(kit):
    for fill in (*SMALL, *LARGE, *TRIPLETS):
        for voice in fill.groove:
            assert voice_for(kit, voice) in KITS[kit]
    assert voice_for(kit, "kick") in KITS[kit]


def test_a_fill_that_clears_silences_the_groove_under_it(monkeypatch):
    stop = fills.Fill({}, clears=3.0)
    monkeypatch.setattr(grooves, "fills_of", lambda spec, rng: (stop, stop))
    bars = bars_of(sample_card(3, genre="techno"), [whole(0, 8)])
    for bar in (3, 7):
        assert bars[bar] and max(hit[0] for hit in bars[bar]) < 3
    assert max(hit[0] for hit in bars[2]) >= 3


def test_a_build_gets_faster_and_louder_and_ends_at_the_drop():
    riser, *hits = build_hits("house", 6, 8)
    assert (riser.beat, riser.voice) == (24.0, fills.RISER)
    gaps = [two.beat - one.beat for one, two in itertools.pairwise(hits)]
    assert hits[0].beat == 24.0 and hits[-1].beat < 32.0
    assert gaps == sorted(gaps, reverse=True) and gaps[0] == 4 * gaps[-1]
    assert [hit.velocity for hit in hits] == sorted(hit.velocity for hit in hits)


def test_a_break_is_silent_until_its_build():
    card = sample_card(3, genre="trance")
    bars = bars_of(card, [whole(0, 4), whole(4, 8, part="build", layer=0, rises=True), whole(8, 12)])
    assert bars[3] and not bars[4] and not bars[5] and bars[6] and bars[7] and bars[8]
    assert {voice for _, voice, _ in bars[7]} == {"snare"}


def test_no_voice_hits_twice_at_once():
    for seed in range(10):
        hits = write_drums(sample_card(seed, genre="disco"), [whole(0, 16)])
        assert len({(hit.beat, hit.voice) for hit in hits}) == len(hits)
        assert all(0 < hit.velocity <= 1 for hit in hits)
