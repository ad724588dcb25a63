"""Offline sessions on a tiny bundle: the sound is where it is said to be, and what is turned is turned."""

import numpy as np
import pytest

from magenta_rt_py.cli import evaluate_offline


@pytest.fixture
def offline(monkeypatch):
    """The module; sessions begin from nothing, not from ten seconds that take time to make."""
    monkeypatch.setattr(evaluate_offline, "preroll", lambda lm, conditioning, *, seed: ())
    return evaluate_offline


KNOBS = {"bpm": 110.0, "inject/loop_beats": 4}


def test_moves_loop_and_master_reach_the_session(offline, tiny_bundle):
    band = offline.OfflineBand(tiny_bundle)
    plain = band.play(KNOBS, seed=1, seconds=3.0)
    again = band.play(KNOBS, seed=1, seconds=3.0)
    np.testing.assert_array_equal(plain.samples, again.samples)
    assert len(plain.samples) / 48_000 == pytest.approx(2.9, abs=0.11)
    assert plain.beats(np.array([-offline.STREAM_START])) == pytest.approx(0.0)
    assert plain.seconds(np.array([48_000]))[0] == pytest.approx(plain.first_heard_seconds + 1.0)

    moved = band.play(KNOBS, seed=1, seconds=3.0, moves=[(1.0, "bpm", 140.0)])
    assert [point.bpm for point in moved.transport.points] == [110.0, 140.0]
    assert moved.transport.points[1].frame > 25
    assert moved.moved_at[0] / 48_000 == pytest.approx(0.9, abs=0.11)

    loop = np.random.default_rng(0).normal(0.0, 0.3, (48_000, 2)).astype(np.float32)
    heard = band.play({**KNOBS, "input_guidance": 3.0, "inject/loop_beats": 1}, seed=1, seconds=3.0, loop=loop)
    assert not np.array_equal(heard.samples, plain.samples)

    def make_master(clock):
        return lambda seconds: (seconds * 1.5, 90.0)

    slaved = band.play({**KNOBS, "midi_clock": True}, seed=1, seconds=3.0, make_master=make_master)
    # The master's time is the session's: its beat 1.5 t is where it is when the frame is heard, to a block and a lean.
    place = np.array([len(slaved.samples) - 1])
    assert slaved.beats(place)[0] == pytest.approx(1.5 * slaved.seconds(place)[0], abs=0.05)


def test_without_a_clock_the_tempo_is_not_heard(offline, tiny_bundle):
    sounds, band = {}, offline.OfflineBand(tiny_bundle)
    for has_clock in (True, False):
        knobs = {"keep_time": has_clock}
        sounds[has_clock] = [band.play({**knobs, "bpm": bpm}, seed=1, seconds=1.5).samples for bpm in (80.0, 140.0)]
    assert not np.array_equal(*sounds[True])
    np.testing.assert_array_equal(*sounds[False])


def test_a_session_that_cannot_keep_up_is_no_measurement(offline, tiny_bundle, monkeypatch):
    band = offline.OfflineBand(tiny_bundle)
    waits = iter([0.6, 0.6, 5.0])
    monkeypatch.setattr(offline.performance, "_cost", lambda costs, length: next(waits, 0.6))
    with pytest.raises(RuntimeError, match="underruns"):
        band.play(KNOBS, seed=1, seconds=4.0)
