"""Presets and suggestions: files that people exchange, and words that the model knows."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from magenta_rt_py.live.knobs import KNOBS, Kind
from magenta_rt_py.train.studio import vocabulary
from magenta_rt_py.train.studio.genres import STARTER_GENRES
from magenta_rt_py.ui import presets, suggestions

PROMPT_KNOBS = {name for name in KNOBS if name.startswith("prompt/")}
SETTABLE = [knob for name, knob in KNOBS.items() if knob.kind is not Kind.ACTION and name not in presets.ROOM_KNOBS]


def preset(**changes) -> str:
    content = {"format": presets.FORMAT, "version": 1, "name": "Mine", "about": "", "knobs": {"temperature": 1.2}}
    return json.dumps({**content, **changes})


def values(knob) -> st.SearchStrategy:
    """What a knob takes."""
    if knob.kind is Kind.TEXT:
        letters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
        return st.text(letters, max_size=40).filter(lambda text: not presets.SOUND.fullmatch(text))
    if knob.kind is Kind.SWITCH:
        return st.booleans()
    if knob.kind is Kind.WHOLE:
        return st.integers(int(knob.low), int(knob.high))
    return st.floats(knob.low, knob.high)


def test_what_is_written_is_read_again():
    @settings(max_examples=40, deadline=None)
    @given(st.fixed_dictionaries({}, optional={knob.name: values(knob) for knob in SETTABLE}))
    def check(knobs):
        first = presets.read(preset(knobs=knobs))
        assert presets.read(presets.write(first)) == first
        assert all(first.knobs[name] == value for name, value in knobs.items())

    check()


def test_a_slot_that_is_not_named_is_emptied():
    read = presets.read(preset(knobs={"prompt/2/text": "techno", "prompt/2/weight": 1}))
    assert set(read.knobs) == PROMPT_KNOBS
    assert read.knobs["prompt/2/weight"] == 1.0 and read.knobs["prompt/1/weight"] == 0.0
    assert read.knobs["prompt/1/text"] == "" and read.knobs["prompt/1/mute"] is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[" * 60_000, "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        ("[]", "no preset"),
        ("x" * 70_000, "at most 65536"),
        (preset(format="another"), "no preset"),
        (preset(version=2), "version 2"),
        (preset(name=""), "no name"),
        (preset(name="a\nb"), '"name"'),
        (preset(about=3), '"about"'),
        (preset(knobs=[]), '"knobs"'),
        (preset(knobs={"temperatur": 1}), "did you mean temperature"),
        (preset(knobs={"temperature": 99}), "from 0 to 4"),
        (preset(knobs={"temperature": True}), "temperature is True"),
        (preset().replace("1.2", "NaN"), "temperature is nan"),
        (preset(knobs={"volume": 1.0}), "does not belong"),
        (preset(knobs={"panic": None}), "does not belong"),
        (preset(knobs={"prompt/1/text": "@" + "0" * 32}), "another session"),
    ],
)
def test_what_is_no_preset_is_refused_in_one_line(text, said):
    with pytest.raises(ValueError) as refusal:
        presets.read(text)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


def test_the_bundled_ones_are_whole_and_differ():
    bundled = presets.bundled()
    assert len(bundled) >= 8
    assert len({each.name for each in bundled}) == len(bundled)
    for each in bundled:
        assert each.about and each.knobs["prompt/1/text"] and each.knobs["prompt/1/weight"] > 0
        json.dumps(each.as_json(), allow_nan=False)


def known_words() -> set[str]:
    """What the studio's captions call genres and beats."""
    return {phrase for words in vocabulary.WORDS.values() for phrase in (*words.names, *words.wholes)}


def test_the_bundled_ones_ask_for_what_the_starter_was_trained_on():
    texts = {value for each in presets.bundled() for name, value in each.knobs.items() if name.endswith("/text") and value}
    assert texts <= known_words()


def test_suggestions_are_words_that_were_trained_on():
    assert {phrase for phrases in suggestions.PHRASES.values() for phrase in phrases} <= known_words()
    assert set(suggestions.PHRASES) == set(STARTER_GENRES)


def test_suggestions_are_of_the_bundles_genres_one_of_each_first():
    assert suggestions.suggest({"genres": ["rock", "techno"]}) == (
        "garage rock", "dark warehouse techno", "stadium rock", "minimal techno", "power chords and a backbeat",
        "machine rhythm at night",
    )  # fmt: skip
    assert suggestions.suggest({"genres": ["yodel", "", 3]}) == ("yodel",)


@pytest.mark.parametrize("record", [{}, {"genres": None}, {"genres": []}, {"genres": 7}])
def test_a_bundle_that_does_not_say_gets_all(record):
    assert len(suggestions.suggest(record)) >= 40
