"""Inputs land where they were heard: after an underrun, a pause, a new device, in any blocks."""

import numpy as np
import pytest

from magenta_rt_py.live import alignment


def test_an_input_belongs_to_what_was_heard_one_round_trip_before():
    card = alignment.advance(alignment.init_state(round_trip_samples=700), 96_000, 4800)
    assert alignment.place(card, 1700, 480) == [alignment.Placed(97_000, 0, 480)]


def test_what_was_played_before_the_card_spoke_has_no_place():
    card = alignment.advance(alignment.init_state(round_trip_samples=700), 96_000, 4800)
    assert alignment.place(card, 0, 700) == []
    assert alignment.place(card, 480, 480) == [alignment.Placed(96_000, 220, 480)]


def test_an_underrun_moves_the_stream_against_the_card():
    card = alignment.init_state(round_trip_samples=100)
    card = alignment.advance(card, 0, 1000)
    card = alignment.advance(card, None, 300)  # concealed: the stream stood still
    card = alignment.advance(card, 1000, 1000)
    placed = alignment.place(card, 1000, 500)  # heard: device samples 900 .. 1400
    assert placed == [alignment.Placed(900, 0, 100), alignment.Placed(1000, 400, 500)]


def test_every_sample_by_brute_force():
    random = np.random.default_rng(0)
    card, carried, stream = alignment.init_state(round_trip_samples=777), [], 5000
    for _ in range(200):
        size = int(random.integers(1, 600))
        kind = random.integers(0, 6)
        if kind == 0:
            card = alignment.advance(card, None, size)
            carried += [-1] * size
            continue
        if kind == 1:
            stream += int(random.integers(1, 3000))  # late sound was left out
        card = alignment.advance(card, stream, size)
        carried += range(stream, stream + size)
        stream += size
    start = 300
    while start < len(carried):
        size = int(random.integers(1, 900))
        expected = [carried[i - 777] if 0 <= i - 777 < len(carried) else -1 for i in range(start, start + size)]
        got = [-1] * size
        for part in alignment.place(card, start, size):
            got[part.first : part.last] = range(part.stream_start, part.stream_start + part.last - part.first)
        assert got == expected
        start += size


def test_blocks_that_go_on_are_one_stretch_and_old_ones_are_forgotten(monkeypatch):
    monkeypatch.setattr(alignment, "REMEMBERED_SAMPLES", 48_000)
    card = alignment.init_state(round_trip_samples=0)
    for block in range(20):
        card = alignment.advance(card, block * 480, 480)
    assert len(card.stretches) == 1
    for block in range(400):  # an underrun every 20 ms
        card = alignment.advance(card, None if block % 2 else block * 10, 480)
    assert len(card.stretches) <= 102
    assert alignment.advance(card, 0, 0) == card


def test_refuses_a_round_trip_below_zero():
    with pytest.raises(ValueError, match="-1 samples"):
        alignment.init_state(round_trip_samples=-1)
