"""Resampled streams hold the same sound at the same moments, however they are cut, for however long."""

import numpy as np
import pytest

from magenta_rt_py.io.resampling import InputResampler, RateChange, from_48k, to_48k

RATES = [44_100, 48_000, 96_000]
LATE_SECONDS = 0.025


def tone(samples: int, rate_hz: int) -> np.ndarray:
    angle = 2.0 * np.pi * 997.0 * np.arange(samples) / rate_hz
    return np.stack([np.sin(angle), 0.5 * np.cos(angle)], axis=1).astype(np.float32)


def cuts(samples: int, most: int = 3000) -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).integers(0, most, 4 * samples // most))


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("is_output", [True, False])
def test_a_tone_stays_where_it_was(rate_hz, is_output):
    from_hz, to_hz = (48_000, rate_hz) if is_output else (rate_hz, 48_000)
    sound, change = tone(2 * from_hz, from_hz), RateChange(from_hz, to_hz, 2)
    parts, gone_in = [], 0
    for part in np.split(sound, cuts(len(sound))):
        parts.append(change.step(part))
        gone_in += len(part)
        late = gone_in / from_hz - sum(map(len, parts)) / to_hz
        assert -1e-9 <= late < LATE_SECONDS
    got = np.concatenate(parts)
    edge = to_hz // 50
    np.testing.assert_allclose(got[edge:-edge], tone(len(got), to_hz)[edge:-edge], atol=1e-5)


@pytest.mark.parametrize("rate_hz", RATES)
def test_ten_minutes_do_not_drift(rate_hz):
    """Counts stay right: silence is cheap."""
    change, block, count = RateChange(rate_hz, 48_000, 1), np.zeros((rate_hz * 10, 1), np.float32), 0
    for number in range(1, 61):
        count += len(change.step(block))
        assert 0 <= number * 480_000 - count < LATE_SECONDS * 48_000


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", RATES)
def test_input_carries_its_place(rate_hz, channels):
    """A tone by device sample: whatever is lost, what comes out is the tone at the place it says."""
    sound = tone(3 * rate_hz, rate_hz)[:, :channels]
    resampler, position = InputResampler(rate_hz, rate_hz, channels), None
    parts = ((0, 20_000, True), (20_000, 20_011, False), (20_011, 60_000, False), (70_001, 120_000, True))
    for first, last, breaks in parts:
        start, got = resampler.step(first if breaks else None, sound[first:last])
        assert start == (to_48k(first, rate_hz) if breaks else position)
        position = start + len(got)
        expected = tone(position, 48_000)[start:]
        edge = slice(2000, -2000) if breaks else slice(None, -2000)
        # A break may begin between two samples: half a sample of 997 Hz at most.
        near = 1e-5 if first < 70_000 or rate_hz == 48_000 else 0.14
        if len(got) > 4000:
            np.testing.assert_allclose(got[edge, 0], expected[edge, 0], atol=near)
            np.testing.assert_array_equal(got[:, 1] if channels == 1 else got[:, 0], got[:, 0])
        assert got.shape[1] == 2


def test_positions_convert_exactly():
    for rate_hz in (44_100, 96_000, 11_025, 192_000):
        hours = 100 * 3600
        assert to_48k(hours * rate_hz, rate_hz) == hours * 48_000
        assert from_48k(hours * 48_000, rate_hz) == hours * rate_hz
        for sample in (0, 1, 479, 48_001):
            assert to_48k(from_48k(sample, rate_hz), rate_hz) >= sample
            assert from_48k(to_48k(sample, rate_hz), rate_hz) <= sample
