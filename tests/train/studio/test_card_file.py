"""Cards in files: back and forth, and one line for everything that can be wrong."""

import json

import pytest

from magenta_rt_py.train.studio.card_file import card_of, read_card, write_card
from magenta_rt_py.train.studio.cards import KINDS, sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.genres import GENRES


@pytest.fixture
def values():
    """A good card as JSON has it."""
    return json.loads(write_card(sample_card(1, genre="house", seconds=4.0)))


@pytest.mark.parametrize("kind", KINDS)
def test_cards_survive_the_way_round(tmp_path, kind):
    for genre in GENRES:
        card = sample_card(2, genre=genre, kind=kind)
        path = tmp_path / "card.json"
        path.write_text(write_card(card))
        assert read_card(path) == card


def test_what_has_a_default_may_be_left_out(values):
    for name in ("kind", "loop_beats", "swing_ticks", "drums", "form", "approach", "comp_turn", "melody", "motif_bars"):
        del values[name]
    assert compose(card_of(values)).sounding()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("genre", "polka", "techno"),
        ("kind", "duo", "solo"),
        ("seed", -1, "from 0"),
        ("seed", 1.5, "whole"),
        ("seed", True, "whole"),
        ("samples", 0, "from 1"),
        ("samples", 10**12, "to 172800000"),
        ("frames_per_beat", 4, "8 to 50"),
        ("loop_beats", 3, "4, 2, 8"),
        ("swing_ticks", 40, "0 to 10"),
        ("key", 12, "0 to 11"),
        ("key", "C", "0 to 11"),
        ("mode", "blue", "dorian"),
        ("chords", [], "Roman"),
        ("chords", "i VI", "Roman"),
        ("chords", ["H"], "Roman"),
        ("cast", {"drums": "flute"}, "bass, comp, pad, lead"),
        ("cast", {"lead": "piano"}, "grand piano"),
        ("cast", {"lead": 3}, "instrument"),
        ("cast", ["flute"], "object"),
        ("drums", 1, "true or false"),
        ("form", "sonata", "steady"),
        ("drum_variant", 99, "less than"),
        ("bass_figure", "R..Z", "RST"),
        ("bass_figure", "-..R", "nothing to hold"),
        ("comp_figure", "x", "multiple of 4"),
        ("lead_figure", 7, "4 to 64"),
        ("approach", "slide", "walk"),
        ("comp_turn", "spin", "thin"),
        ("melody", "AAAA", "AABA"),
        ("motif_bars", 4, "1, 2"),
        ("mood", " ", "a word"),
        ("brightness", 1.1, "0.0 to 1.0"),
        ("brightness", float("nan"), "0.0 to 1.0"),
        ("density", None, "0.0 to 1.0"),
        ("tempo", 3, "only"),
    ],
)
def test_a_wrong_field_is_one_line_that_says_what_was_expected(values, name, value, said):
    values[name] = value
    with pytest.raises(ValueError, match=r"got .*expected") as caught:
        card_of(values)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1600


def test_a_missing_field_is_named(values):
    del values["chords"]
    with pytest.raises(ValueError, match="chords is missing"):
        card_of(values)


def test_a_card_on_which_nobody_plays_is_refused(values):
    values |= {"cast": {}, "drums": False}
    with pytest.raises(ValueError, match="nothing plays"):
        card_of(values)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00"])
def test_what_is_no_card_at_all(tmp_path, text):
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"JSON") as caught:
        read_card(path)
    assert "\n" not in str(caught.value)
