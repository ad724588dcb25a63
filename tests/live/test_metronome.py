"""Clicks begin at the exact sample of the beat, in any blocks, through stops, jumps and changes of tempo."""

import numpy as np
import pytest

from magenta_rt_py.live import metronome


def beats_at(bpm: float, count: int, start: float = 0.0) -> np.ndarray:
    return start + np.arange(count) * (bpm / 60.0 / 48_000)


def onsets(samples: np.ndarray) -> list[int]:
    """First samples of clicks: sound after 30 ms of silence. A click's own first sample is 0, so it is one before."""
    loud = np.flatnonzero(samples)
    return [int(at) - 1 for at, gap in zip(loud, np.diff(loud, prepend=-9999), strict=True) if gap > 1440]


@pytest.mark.parametrize("bpm", [60.0, 120.0, 133.7, 240.0])
def test_clicks_are_on_the_beats(bpm):
    _, samples = metronome.step(metronome.init_state(), beats_at(bpm, 96_000))
    expected = np.ceil(np.arange(0, 8) * 60 / bpm * 48_000 - 1e-6).astype(int)
    assert onsets(samples) == [at for at in expected if at < 95_999]


def test_the_first_beat_of_a_bar_is_higher():
    _, samples = metronome.step(metronome.init_state(), beats_at(120.0, 120_000))
    for beat in range(5):
        click = samples[beat * 24_000 : beat * 24_000 + metronome.CLICK_SAMPLES]
        pitch = np.argmax(np.abs(np.fft.rfft(click))) * 48_000 / metronome.CLICK_SAMPLES
        assert abs(pitch - (880 if beat % 4 == 0 else 440)) <= 25
        assert 0.2 < np.abs(click).max() <= 0.25


@pytest.mark.parametrize("sizes", [[1], [64], [479, 1, 3000, 24_000]])
def test_pieces_equal_the_whole(sizes):
    beats = np.concatenate([beats_at(171.3, 30_000, 2.9), beats_at(90.0, 20_000, 8.0)])  # a jump onto a beat
    if sizes == [1]:
        beats = beats[1600:2500]
    _, whole = metronome.step(metronome.init_state(), beats)
    assert whole.any()
    state, pieces, start, turn = metronome.init_state(), [], 0, 0
    while start < len(beats):
        size = sizes[turn % len(sizes)]
        state, piece = metronome.step(state, beats[start : start + size])
        pieces.append(piece)
        start, turn = start + size, turn + 1
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_sums_of_floats_do_not_delay_a_click():
    assert metronome.click_onsets(2.9998, np.array([2.9999, 3.0 - 1e-12, 3.0001])).tolist() == [1]


def test_a_transport_that_stands_still_or_jumps_between_beats_is_silent():
    _, samples = metronome.step(metronome.init_state(), np.full(9000, 2.5))
    assert not samples.any()
    state, samples = metronome.step(metronome.init_state(), np.full(9000, 2.0))
    assert onsets(samples) == [0]
    state, samples = metronome.step(state, beats_at(120.0, 100, 7.3))  # jumped over five beats
    assert not samples.any()
    _, samples = metronome.step(state, beats_at(120.0, 100, 4.2))  # and back
    assert not samples.any()


def test_switched_off_it_lets_the_click_end():
    state, first = metronome.step(metronome.init_state(), beats_at(120.0, 1000))
    state, rest = metronome.step(state, beats_at(120.0, 47_000, 1000 / 24_000), level=0.0)
    _, whole = metronome.step(metronome.init_state(), beats_at(120.0, 20_000))
    np.testing.assert_array_equal(np.concatenate([first, rest])[:20_000], whole)
    assert not rest[20_000:].any()


def test_passing_over_what_is_off_changes_no_click():
    beats = beats_at(133.7, 90_000)
    heard = []
    for passes in (False, True):
        state, _ = metronome.step(metronome.init_state(), beats[:21_000])  # the last click has ended
        assert not metronome.rings(state)
        if passes:
            state = metronome.pass_over(state, float(beats[43_199]))
        else:
            state, silence = metronome.step(state, beats[21_000:43_200], level=0.0)
            assert not silence.any()
        heard.append(metronome.step(state, beats[43_200:])[1])
    assert heard[0].any()
    np.testing.assert_array_equal(heard[0], heard[1])


def test_a_click_that_began_rings_on_when_it_is_turned_off():
    state, _ = metronome.step(metronome.init_state(), beats_at(120.0, 100))
    assert metronome.rings(state)
