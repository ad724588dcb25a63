"""Following a master: jitter, lost pulses, new tempi, stops."""

import numpy as np
import pytest

from magenta_rt_py.live.midi_clock import MidiClockFollower


def pulses(bpm, count, *, start=10.0, jitter=0.0, seed=0):
    rng = np.random.default_rng(seed)
    times = start + np.arange(count) * 60.0 / bpm / 24
    return np.maximum.accumulate(times + rng.uniform(0.0, jitter, count))


def follow(times, follower=None):
    follower = follower or MidiClockFollower()
    for at in times:
        follower.pulse(float(at))
    return follower


def started():
    follower = MidiClockFollower()
    follower.start()
    return follower


@pytest.mark.parametrize("bpm", [60.0, 97.3, 174.0])
def test_two_minutes_with_jitter(bpm):
    """Pulses up to 4 ms late: the beat is within 5 ms of the true one (2 ms is the jitter's mean), tempo within 1 %."""
    follower, worst, tempo = started(), 0.0, []
    times = pulses(bpm, int(bpm * 24 * 2), jitter=0.004)
    for number, at in enumerate(times):
        follower.pulse(float(at))
        if number > 96 and number % 24 == 0:
            ask = 10.0 + (number + 12) * 60 / bpm / 24  # half a beat ahead
            worst = max(worst, abs(follower.beat_at(ask) - (number + 12) / 24) * 60 / bpm)
            tempo.append(follower.bpm)
    assert worst < 0.005
    np.testing.assert_allclose(tempo, bpm, rtol=0.01)


def test_a_change_of_tempo_is_followed_within_a_beat():
    first = pulses(100.0, 24 * 8, jitter=0.002)
    second = pulses(140.0, 24 * 2, start=first[-1] + 60 / 140 / 24, jitter=0.002, seed=1)
    follower = follow(first, started())
    follow(second[:24], follower)
    assert follower.bpm == pytest.approx(140.0, rel=0.05)
    follow(second[24:], follower)
    assert follower.bpm == pytest.approx(140.0, rel=0.02)
    assert follower.beat_at(float(second[-1])) == pytest.approx((24 * 10 - 1) / 24, abs=0.02)


@pytest.mark.parametrize("lost", [[100], [100, 101, 102], [50, 120, 170]])
def test_lost_pulses_do_not_shift_the_beat(lost):
    times = pulses(120.0, 240, jitter=0.002)
    follower = follow(np.delete(times, lost), started())
    assert follower.beat_at(float(times[-1])) == pytest.approx(239 / 24, abs=0.02)


def test_a_late_pulse_is_no_lost_pulse():
    times = pulses(120.0, 240)
    times[100] += 0.017  # 0.8 of a pulse late; the next one is in time
    follower = follow(times, started())
    assert follower.beat_at(float(times[-1])) == pytest.approx(239 / 24, abs=0.02)


def test_start_stop_and_continue():
    follower = follow(pulses(120.0, 48))  # pulses before the start: tempo only
    assert follower.bpm == pytest.approx(120.0, rel=1e-6)
    assert not follower.running
    follower.start()
    times = pulses(120.0, 96, start=11.0)
    follow(times, follower)
    assert follower.beat_at(float(times[-1])) == pytest.approx(95 / 24, abs=1e-6)
    follower.stop()
    idle = pulses(120.0, 30, start=13.0)
    follow(idle, follower)
    follower.resume()
    again = pulses(120.0, 24, start=float(idle[-1]) + 60 / 120 / 24)
    follow(again, follower)
    assert follower.beat_at(float(again[-1])) == pytest.approx((96 + 23) / 24, abs=1e-6)
    follower.song_position(16)  # bar 2
    more = pulses(120.0, 24, start=float(again[-1]) + 60 / 120 / 24)
    follow(more, follower)
    assert follower.beat_at(float(more[0])) == pytest.approx(4.0, abs=1e-6)


def test_nothing_is_known_at_first_and_a_lost_master_leaves_its_tempo():
    follower = MidiClockFollower()
    assert (follower.bpm, follower.beat_at(0.0), follower.locked) == (None, None, False)
    assert follower.is_lost(0.0)
    times = pulses(90.0, 60)
    follow(times, follower)
    assert follower.locked and not follower.is_lost(float(times[-1]) + 0.1)
    assert follower.is_lost(float(times[-1]) + 1.0)
    assert follower.bpm == pytest.approx(90.0)
