"""Transitions: words of the paper, steps of the style, cosines and the place where they cross."""

import types

import numpy as np
import pytest

from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import transition_words, transitions
from magenta_rt_py.train.evaluation.transition_pairs import OWN_PAIRS, PAIRS, PAPER_PAIRS
from magenta_rt_py.train.evaluation.workbench import Sizes
from magenta_rt_py.train.studio.instruments import INSTRUMENTS

EVERYTHING = frozenset(studio.GENRES) | frozenset(INSTRUMENTS)


def test_there_are_128_pairs_and_a_style_for_every_word():
    assert len(PAIRS) == len(set(PAIRS)) == 128
    assert len(PAPER_PAIRS) == 127
    assert set(OWN_PAIRS).isdisjoint(PAPER_PAIRS)
    words = {word for pair in PAIRS for word in pair}
    assert words == set(transition_words.WORDS)
    names = {name for styles in transition_words.WORDS.values() for name, _ in styles}
    assert names <= EVERYTHING


@pytest.mark.parametrize("genres", [tuple(studio.GENRES), tuple(studio.GENRES)[:12]])
def test_no_pair_becomes_one_style(genres):
    pairs = transition_words.styled_pairs(frozenset(genres) | frozenset(INSTRUMENTS))
    assert len(pairs) == 128
    assert all(start.name != end.name for start, end in pairs)
    assert {style.grade for pair in pairs for style in pair} == set(transition_words.GRADES)


def test_the_best_known_style_is_taken_and_a_second_best_where_two_fall_together():
    assert transition_words.bring("Accordion", EVERYTHING).grade == "exact"
    assert transition_words.bring("Accordion", EVERYTHING - {"accordion"}).name == "reed organ"
    assert transition_words.bring("Accordion", EVERYTHING, unlike="accordion").name == "reed organ"
    with pytest.raises(ValueError, match="no style is known"):
        transition_words.bring("Theremin", EVERYTHING)
    with pytest.raises(ValueError, match="no style is known"):
        transition_words.bring("Techno", frozenset())


def test_pairs_are_chosen_by_a_seed_and_more_of_them_hold_the_fewer():
    pairs = transition_words.styled_pairs(EVERYTHING)
    some, more = (transitions.chosen_pairs(pairs, count) for count in (32, 64))
    assert some == transitions.chosen_pairs(pairs, 32)
    assert len({number for number, *_ in some}) == 32
    assert {number for number, *_ in some} <= {number for number, *_ in more}
    with pytest.raises(ValueError, match="expected 1..128"):
        transitions.chosen_pairs(pairs, 129)


def test_the_weight_goes_in_six_steps_of_ten_seconds():
    found = [transitions.weight_at(float(second), 60.0) for second in range(0, 60, 10)]
    assert found == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert transitions.weight_at(9.99, 60.0) == 0.0
    assert transitions.weight_at(60.0, 60.0) == 1.0


def test_crossing_is_where_the_end_stays_above():
    seconds = np.arange(5.0)
    start, end = np.array([1.0, 0.8, 0.4, 0.2, 0.0]), np.array([0.0, 0.2, 0.8, 0.9, 1.0])
    assert transitions.crossing_seconds(seconds, start, end) == pytest.approx(1.6)
    assert transitions.crossing_seconds(seconds, end, start) is None
    assert transitions.crossing_seconds(seconds, end - 2.0, start + 3.0) == 0.0
    wavering = np.array([0.0, 0.9, 0.1, 0.9, 1.0])
    assert transitions.crossing_seconds(seconds, np.full(5, 0.5), wavering) == pytest.approx(2.5)


class Tones:
    """A model whose styles are mixtures of tones, one a word; it may follow late, or not at all."""

    def __init__(self, *, follows=True):
        self._follows = follows
        self._words: list[str] = []

    def embed(self, prompt):
        if isinstance(prompt, str):
            if prompt not in self._words:
                self._words.append(prompt)
            return np.eye(40)[self._words.index(prompt)]
        samples, _ = prompt
        spectrum = np.abs(np.fft.rfft(samples[:, 0])) / len(samples)
        return np.array([spectrum[round((200 + 50 * tone) * len(samples) / 48_000)] for tone in range(40)])

    def style_from(self, pairs):
        return sum(vector * weight for vector, weight in pairs)

    def stream(self, style, *, seed):
        first = style

        def next_chunk():
            playing = stream.style if self._follows else first
            time = np.arange(96_000) / 48_000
            mono = sum(weight * np.sin(2 * np.pi * (200 + 50 * tone) * time) for tone, weight in enumerate(playing))
            return np.stack([mono, mono], -1).astype(np.float32)

        stream = types.SimpleNamespace(style=style, next_chunk=next_chunk)
        stream.set_style = lambda new: setattr(stream, "style", new)
        return stream


SIZES = Sizes(transition_pairs=3, transition_seconds=24.0, fixed_seconds=12.0)


def test_a_model_that_follows_keeps_its_target_and_crosses_in_the_middle(bench, tmp_path):
    made = bench(Tones(), sizes=SIZES)
    section = transitions.measure(made)
    report = section.report
    assert report["pairs"] == 3
    assert sum(report["words"].values()) == 6
    assert report["fixed_prompt_value"]["value"] == pytest.approx(1.0, abs=0.01)
    assert report["target_ratio"]["value"] > 0.95
    assert abs(report["crossing_from_midpoint_seconds"]) < 1.5
    assert report["shuffled_target"]["value"] < 0.1
    assert all(verdict.is_met for verdict in section.verdicts)
    section.pictures[0][1](tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert "crossing, s" in section.tables[1].to_text()
    again = bench(Tones(), sizes=SIZES)
    transitions.measure(again)
    assert again.units.made == 0 and made.units.made >= 8


def test_a_model_that_stays_is_found_out(bench):
    section = transitions.measure(bench(Tones(follows=False), sizes=SIZES))
    assert section.report["target_ratio"]["value"] < 0.8
    assert section.report["crossing_seconds"] is None
    assert not any(verdict.is_met for verdict in section.verdicts)
