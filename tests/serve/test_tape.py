"""The tape: whatever order the microphone's blocks come in, both files have the same length and lie sample on sample."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live.card import Captured, Card
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.serve.tape import Tape, TapedCard


def ramp(first, count):
    """Each sample tells its number."""
    return np.repeat((np.arange(first, first + count, dtype=np.float32) / 2**20)[:, None], 2, axis=1)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=30),
    st.integers(0, 2000),
    st.booleans(),
)
def test_the_microphone_lies_where_it_was_heard(blocks, begun, has_reopened):
    """Blocks of 100 samples, in any order, twice, late or never."""
    with tempfile.TemporaryDirectory() as folder:
        main, microphone = Path(folder, "main.flac"), Path(folder, "microphone.flac")
        tape = Tape(main, microphone)
        expected, known, origin = np.zeros((3000, 2), np.float32), 0, begun
        tape.write(4, begun, ramp(1, 1500))
        if has_reopened:
            tape.write(5, 0, ramp(1501, 1500))
        else:
            tape.write(4, begun + 1500, ramp(1501, 1500))
        for place, length in blocks:
            first, last = place * 100, min(place * 100 + length * 100, 1500 if has_reopened else 3000)
            samples = ramp(first + 1, max(0, last - first))
            tape.hear([Captured(4, origin + first, samples), Captured(9, origin, samples)])
            if last > known and last > first:
                first = max(first, known)
                expected[first:last] = ramp(first + 1, last - first)
                known = last
        result = tape.complete()
        assert result.problem is None and result.seconds == pytest.approx(3000 / 48_000)
        assert np.array_equal(soundfile.read(main, dtype="float32")[0], ramp(1, 3000))
        assert np.array_equal(soundfile.read(microphone, dtype="float32")[0], expected)


def test_the_microphone_of_a_new_opening_goes_on_behind_the_old_one(tmp_path):
    tape = Tape(tmp_path / "a.flac", tmp_path / "b.flac")
    tape.write(0, 500, ramp(1, 1000))
    tape.write(1, 0, ramp(1001, 1000))
    tape.hear([Captured(1, 0, ramp(1001, 600)), Captured(0, 500, ramp(1, 100))])  # the second is too late
    assert not tape.is_caught_up
    tape.hear([Captured(1, 600, ramp(1601, 4000))])  # more than was played
    assert tape.is_caught_up
    tape.end()
    tape.write(1, 1000, ramp(0, 500))
    tape.complete()
    sound, _ = soundfile.read(tmp_path / "b.flac", dtype="float32")
    assert len(sound) == 2000 and not sound[:1000].any() and np.array_equal(sound[1000:], ramp(1001, 1000))


def test_a_microphone_that_never_comes_does_not_pile_up(tmp_path):
    tape = Tape(tmp_path / "a.flac", tmp_path / "b.flac")
    for number in range(30):
        tape.write(0, number * 48_000, np.zeros((48_000, 2), np.float32))
    assert tape._heard >= 21 * 48_000
    tape.complete()
    assert soundfile.info(tmp_path / "b.flac").frames == 30 * 48_000


def test_a_taped_card_is_the_card(tmp_path):
    clock, out = VirtualClock(), []
    inner = NullCard(clock=clock, on_play=lambda main, cue: out.append(main.copy()), echo_gain=1.0, has_cue=True)
    card = TapedCard(inner)
    assert isinstance(card, Card) and (card.input_channels, card.has_cue, card.block_samples) == (2, True, 512)
    tape = None
    for number in range(40):
        while not card.wait_for_room(512, 1.0):
            pass
        card.write(ramp(number * 512 + 1, 512))
        if number == 9:
            tape = card.tape = Tape(tmp_path / "a.flac", tmp_path / "b.flac")
        card.read()
    assert card.position[0] == 0 and card.position[1] == 40 * 512 - card.queued_samples()
    assert card.status.is_running and card.opening == 0
    while card.queued_samples():
        clock.wait_until(clock.now_seconds() + 0.01)
    card.read()
    assert tape.is_caught_up
    tape.complete()
    main, microphone = (soundfile.read(tmp_path / name, dtype="float32")[0] for name in ("a.flac", "b.flac"))
    assert np.array_equal(main, ramp(10 * 512 + 1, 30 * 512)) and np.array_equal(main, microphone)
    card.close()
    assert not card.wait_for_room(512, 0.0)
