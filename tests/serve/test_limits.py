"""A bucket gives a burst and then so much a second, never more; what it refuses costs nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.serve.limits import LimitsConfig, SocketLimits, TokenBucket


def test_a_burst_and_then_a_rate():
    clock = VirtualClock(7.0)
    bucket = TokenBucket(10.0, 5.0, clock)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    clock.wait_until(7.35)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.wait_until(1000.0)
    assert bucket.level == 5.0 and not bucket.take(5.5) and bucket.take(5.0)
    assert bucket.take_some(3.0) == 0.0
    clock.wait_until(1000.1)
    assert bucket.take_some(3.0) == pytest.approx(1.0)


@given(some.lists(some.tuples(some.floats(0.0, 3.0), some.floats(0.0, 30.0)), max_size=20), some.booleans())
def test_never_more_than_the_burst_and_the_rate(steps, is_partial):
    clock = VirtualClock()
    bucket, taken = TokenBucket(7.0, 20.0, clock), 0.0
    for pause, amount in steps:
        clock.wait_until(clock.now_seconds() + pause)
        level = bucket.level
        got = bucket.take_some(amount) if is_partial else amount * bucket.take(amount)
        assert got == (min(amount, level) if is_partial else amount * (amount <= level))
        taken += got
        assert taken <= 20.0 + 7.0 * clock.now_seconds() + 1e-6


@pytest.mark.parametrize(
    ("a_second", "burst"), [(0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (1.0, float("inf")), (-1.0, 1.0)]
)
def test_numbers_that_make_no_bucket(a_second, burst):
    with pytest.raises(ValueError, match="above 0"):
        TokenBucket(a_second, burst, VirtualClock())


@pytest.mark.parametrize("amount", [-1.0, float("nan")])
def test_amounts_that_cannot_be_taken(amount):
    bucket = TokenBucket(1.0, 1.0, VirtualClock())
    for take in (bucket.take, bucket.take_some):
        with pytest.raises(ValueError, match="0 or more"):
            take(amount)


def test_a_busy_page_is_within_the_limits_and_a_flood_is_not():
    clock = VirtualClock()
    limits = SocketLimits(LimitsConfig(), clock)
    for step in range(150):  # 6 s: a hundred messages a second, a microphone in blocks of 40 ms
        clock.wait_until(step * 0.04)
        assert all(limits.text(120) for _ in range(4)) and limits.packet() and limits.microphone(1920)
    assert sum(limits.text(120) for _ in range(1000)) <= 400
    assert sum(limits.packet() for _ in range(1500)) <= 800
    assert sum(limits.microphone(4800) for _ in range(100)) <= 50
    clock.wait_until(200.0)
    assert sum(limits.text(8192) for _ in range(100)) == 24  # the bytes run out before the messages do
