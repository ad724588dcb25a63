"""Instruments that prompts name, and detectors that hear them."""

import numpy as np

from magenta_rt_py.train.evaluation import named_instruments
from magenta_rt_py.train.evaluation.probe_data import ProbeData


def test_words_of_the_studio_are_found_and_longer_ones_first():
    assert named_instruments.named_in("tight seventies funk with slap bass") == ("slap bass",)
    assert "harpsichord" in named_instruments.named_in("two Harpsichords in a palace")
    assert "grand piano" in named_instruments.named_in("gentle piano piece, nobody else playing")
    assert named_instruments.named_in("calm floating sounds") == ()
    assert named_instruments.named_in("a sharpened edge") == (), "harp is no part of sharpened"


def _data(learnable):
    random = np.random.default_rng(0)
    pieces = np.repeat(np.arange(40), 3)
    playing = pieces % 2 == 0
    rows = random.standard_normal((120, 6)).astype(np.float32)
    if learnable:
        rows[:, 2] += 4.0 * playing
    return ProbeData(
        descriptors=rows,
        genre_ids=np.zeros(120, int),
        piece_ids=pieces,
        instruments=("flute", "gong"),
        playing=np.stack([playing, pieces == 1], -1),
    )


def test_a_detector_hears_what_can_be_heard():
    detector = named_instruments.train_detector(_data(True), ["flute"])
    assert detector is not None
    loud, without = np.zeros((2, 6), np.float32), np.zeros((2, 6), np.float32)
    loud[:, 2] = 4.0
    assert detector.hears(loud) and not detector.hears(without)


def test_a_detector_that_learned_nothing_mostly_says_no():
    detector = named_instruments.train_detector(_data(False), ["flute"])
    assert detector is not None
    unheard = np.random.default_rng(1).standard_normal((200, 3, 6)).astype(np.float32)
    assert np.mean([detector.hears(rows) for rows in unheard]) < 0.3


def test_too_few_pieces_make_no_detector():
    assert named_instruments.train_detector(_data(True), ["gong"]) is None
    assert named_instruments.train_detector(_data(True), ["theremin"]) is None
