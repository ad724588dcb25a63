"""Beats and bars over stream frames."""

import numpy as np
import pytest

from magenta_rt_py.live import transport as transports
from magenta_rt_py.live.transport import TempoSource, Transport


def test_beats_and_bars():
    transport = transports.start(125.0)  # a beat is 12 frames
    assert transport.beat_at(12.0) == pytest.approx(1.0)
    assert transport.bar_position(60.0) == pytest.approx((1, 1.0))
    assert transport.bar_position(-6.0) == pytest.approx((-1, 3.5))
    assert transports.start(125.0, beats_per_bar=3).bar_position(60.0) == pytest.approx((1, 2.0))
    assert transport.next_bar(1.0) == pytest.approx(48.0)
    assert transport.next_bar(48.0) == pytest.approx(48.0)
    assert transport.next_bar(49.0, bars=4) == pytest.approx(192.0)


def test_any_history_of_tempo():
    """Beats go on without a jump, many frames at once are each frame alone, and frame_at is the inverse."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        transport, frame = transports.start(float(rng.uniform(60, 180))), 0.0
        for _ in range(6):
            frame += float(rng.uniform(1, 80))
            before = transport.beat_at(frame)
            past = [transport.beat_at(frame * part) for part in (0.0, 0.3, 0.9)]
            transport = transport.with_bpm(float(rng.uniform(30, 390)), frame)
            assert transport.beat_at(frame) == pytest.approx(before)
            assert [transport.beat_at(frame * part) for part in (0.0, 0.3, 0.9)] == pytest.approx(past)
        frames = np.linspace(-20, frame + 50, 101)
        beats = transport.beats(frames)
        np.testing.assert_allclose(beats, [transport.beat_at(float(at)) for at in frames])
        assert np.all(np.diff(beats) > 0)
        np.testing.assert_allclose([transport.frame_at(float(beat)) for beat in beats], frames, atol=1e-6)
        late = transport.without_past(frame - 1.0)
        assert len(late.points) <= 2 < len(transport.points)
        assert late.beat_at(frame + 9) == pytest.approx(transport.beat_at(frame + 9))


def test_a_change_in_the_past_replaces_what_came_after():
    transport = transports.start(100.0).with_bpm(200.0, 50.0).with_bpm(60.0, 10.0, source=TempoSource.TAPPED)
    assert transport.bpm_at(60.0) == 60.0
    assert transport.source is TempoSource.TAPPED


def test_relocated():
    transport = transports.start(125.0).relocated(0.0, 100.0)
    assert transport.bar_position(112.0) == pytest.approx((0, 1.0))
    assert transport.beat_at(96.0) == pytest.approx(8.0)
    assert transport.frame_at(2.0) == pytest.approx(124.0)  # the later of two places
    assert transport.bpm_at(100.0) == 125.0


def test_a_slaved_transport_catches_up_and_stays():
    """The master drifts and wobbles; told every half second, the transport is within 5 ms after four seconds."""
    transport, worst = transports.start(120.0), 0.0
    for step in range(1, 200):
        frame = 12.5 * step
        seconds = frame / 25.0
        beat = 0.3 + seconds * 2.02 + 0.05 * np.sin(seconds / 7)
        bpm = 60 * (2.02 + 0.05 / 7 * np.cos(seconds / 7))
        if seconds > 4:
            worst = max(worst, abs(transport.beat_at(frame) - beat) / 2.0)
        transport = transport.following(frame, beat=float(beat), bpm=float(bpm)).without_past(frame - 250)
    assert worst < 0.005
    assert transport.source is TempoSource.MIDI_CLOCK
    assert len(transport.points) < 30


def test_it_leans_or_jumps():
    transport = transports.start(120.0)
    leaning = transport.following(25.0, beat=2.2, bpm=120.0)
    assert leaning.beat_at(25.0) == pytest.approx(2.0)
    assert 120.0 < leaning.bpm_at(26.0) <= 120.0 * 1.08
    jumping = transport.following(25.0, beat=9.0, bpm=120.0)
    assert jumping.beat_at(25.0) == 9.0
    assert jumping.bpm_at(26.0) == 120.0


@pytest.mark.parametrize("bpm", [0.0, -3.0, 19.9, 401.0, float("nan"), float("inf")])
def test_refuses_what_is_no_tempo(bpm):
    with pytest.raises(ValueError, match="give a number from 20 to 400"):
        transports.start(bpm)
    with pytest.raises(ValueError, match="bpm is"):
        transports.start(120.0).with_bpm(bpm, 1.0)


def test_refuses_what_is_no_bar():
    with pytest.raises(ValueError, match="from 1 to 16"):
        transports.start(120.0, beats_per_bar=0)
    with pytest.raises(ValueError, match="without a tempo"):
        Transport(points=())
