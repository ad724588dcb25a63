"""The estimators find what was put in: clicks and renders whose beats are known."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import beat_tracking

RATE = 48_000


def clicks(bpm, seconds, *, first=0.0, strong=1.0):
    """A short burst of noise on each beat."""
    samples = np.random.default_rng(0).normal(0.0, 1e-4, (round(seconds * RATE), 2)).astype(np.float32)
    burst = np.random.default_rng(1).normal(0.0, 0.3, (960, 2)) * np.linspace(1.0, 0.0, 960)[:, None] ** 2
    times = np.arange(first, seconds - 0.03, 60.0 / bpm)
    for at in times:
        samples[round(at * RATE) :][:960] += strong * burst
    return samples, times


@pytest.mark.parametrize("told", [True, False])
def test_beats_of_clicks_are_found_to_a_few_milliseconds(told):
    samples, times = clicks(125.0, 12.0, first=0.31)
    found = beat_tracking.tracked_beats(beat_tracking.onset_curve(samples), bpm=125.0 if told else None) / RATE
    assert beat_tracking.f_measure(found * RATE, times * RATE) > 0.9
    nearest = np.abs(found[:, None] - times).min(1)
    assert np.median(nearest) < 0.006


def test_the_curve_is_the_same_whether_a_sound_is_transformed_at_once_or_in_pieces(monkeypatch):
    samples, _ = clicks(100.0, 5.0)
    whole = beat_tracking.onset_curve(samples)
    monkeypatch.setattr(beat_tracking, "PIECE_SECONDS", 1)
    np.testing.assert_allclose(beat_tracking.onset_curve(samples), whole, atol=1e-4)


def test_too_little_sound_is_refused():
    with pytest.raises(ValueError, match="1000 samples are too few"):
        beat_tracking.onset_curve(np.zeros((1000, 2), np.float32))


def test_a_grid_is_told_from_another_tempo_and_another_phase():
    samples, _ = clicks(120.0, 8.0)
    curve = beat_tracking.onset_curve(samples)
    position = beat_tracking.curve_places(curve) / RATE * 2.0
    right = beat_tracking.grid_score(curve, position)
    assert right > 0.5
    assert abs(beat_tracking.grid_score(curve, position * 1.18)) < 0.3 * right
    assert beat_tracking.grid_score(curve, position + 0.125) < 0.1
    assert beat_tracking.coherence(curve, position, 1) > 0.5
    assert beat_tracking.coherence(curve, position + 0.5, 1) < -0.5


def test_f_measure_counts_each_beat_once():
    wanted = np.arange(10) * 24_000.0
    assert beat_tracking.f_measure(wanted + 3000.0, wanted) == 1.0
    assert beat_tracking.f_measure(wanted + 3400.0, wanted) == 0.0
    twice = np.sort(np.concatenate([wanted - 1000.0, wanted + 1000.0]))
    assert beat_tracking.f_measure(twice, wanted) == pytest.approx(2 * 10 / 30)
    assert beat_tracking.f_measure(wanted[::2], wanted) == pytest.approx(2 * 5 / 15)
    assert beat_tracking.f_measure(wanted[:0], wanted[:0]) == 0.0


def test_off_beat_is_signed():
    np.testing.assert_allclose(beat_tracking.off_beat(np.array([3.9, 4.0, 4.2])), [-0.1, 0.0, 0.2], atol=1e-12)


def test_renders_keep_the_tempo_that_they_are_given():
    piece = beat_tracking.render("techno", seed=5, bpm=118.0, seconds=8.0, stems=("drums",))
    assert piece.beat_samples == round(60 / 118 * RATE)
    assert piece.samples.shape == (8 * RATE, 2)
    curve = beat_tracking.onset_curve(piece.samples)
    position = beat_tracking.curve_places(curve) / piece.beat_samples
    assert beat_tracking.grid_score(curve, position) > 0.2
    assert abs(beat_tracking.grid_score(curve, position * 1.1)) < 0.1


def test_a_render_without_a_sound_is_refused():
    with pytest.raises(ValueError, match="none of the stems drums"):
        beat_tracking.render("ambient", seed=5, bpm=100.0, seconds=4.0, stems=("drums",))
