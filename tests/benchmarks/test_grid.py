"""The judgement of a change of tempo, the drifting clock, and the program on a tiny bundle."""

import importlib
import json

import numpy as np
import pytest

from magenta_rt_py.cli import evaluate_clock, evaluate_offline
from magenta_rt_py.live import transport
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.transport import TempoPoint, Transport


@pytest.fixture
def grid(root, monkeypatch):
    """benchmarks/grid.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("grid")


OLD, NEW = TempoPoint(0.0, 0.0, 105.0), TempoPoint(180.0, 12.6, 130.0)


def test_a_change_is_followed_after_the_bars_before_three_good_ones_in_a_row(grid):
    good, bad = [0.5, 0.0], [0.0, 0.5]
    for rows, wanted in (
        ([good] * 5, 0),
        ([bad, bad] + [good] * 3, 2),
        ([good, good, bad, good, good, good], 3),
        ([good, good], None),
        ([bad] * 6, None),
    ):
        new, old = (list(side) for side in zip(*rows))
        assert grid.bars_to_follow(new, old) == wanted


def test_true_renders_follow_at_once_and_a_sound_that_goes_on_never_does(grid):
    changed = grid.true_change("techno", OLD, NEW, seed=950_000_001, is_changed=True)
    assert changed.bars == 0
    assert len(changed.new_scores) == grid.BARS_AFTER - 1
    assert changed.found_bpm == pytest.approx(130.0, rel=0.04)
    kept = grid.true_change("techno", OLD, NEW, seed=950_000_001, is_changed=False)
    assert kept.bars is None
    assert kept.found_bpm == pytest.approx(105.0, rel=0.04)


def test_a_sound_that_follows_late_is_said_to(grid):
    """For two bars it goes on with the old beat; then it is where the transport is."""
    bars = round(2 * 4 * 60 / 130.0 * 48_000)
    pieces = {}
    for name, bpm, beat in (("old", 105.0, 12.6), ("new", 130.0, 12.6 + 8.0)):
        skipped = round(beat % 4 * 60 / bpm * 48_000)
        pieces[name] = grid.estimators.render("techno", seed=950_000_001, bpm=bpm, seconds=16.0).samples[skipped:]
    change = grid.judge(np.concatenate([pieces["old"][:bars], pieces["new"]]), OLD, NEW)
    assert change.bars == 2
    assert change.found_bpm == pytest.approx(130.0, rel=0.04)


def test_the_clock_drifts_and_its_pulses_tell_it(grid):
    clock = evaluate_clock.DriftingClock(120.0, 80.0, seed=1)
    times = np.linspace(0.0, 79.0, 500)
    slope = np.gradient(clock.beats(times), times)
    assert slope.max() == pytest.approx(2.0 * 1.03, rel=0.002)
    np.testing.assert_allclose(1.0 / slope[1:-1], clock.beat_seconds(times)[1:-1], rtol=1e-3)
    virtual = VirtualClock()
    master = clock.master(virtual)
    assert master(0.5) is None  # nothing has come yet
    off = []
    for now in np.arange(2.0, 79.0, 0.5):
        virtual.wait_until(float(now))
        beat, bpm = master(now + 0.8)
        off.append(beat - clock.beats(now + 0.8))
        assert bpm == pytest.approx(60.0 / clock.beat_seconds(now), rel=0.01)
    assert np.abs(off).max() < 0.03


def test_beats_against_a_clock_are_measured_where_they_are_heard(grid):
    """Clicks on a clock's beats are on it; 40 ms later they are 40 ms off; at a random phase a quarter of a beat."""
    clock = evaluate_clock.DriftingClock(120.0, 40.0, seed=1)
    times = np.interp(np.arange(8, 70), clock.beats(np.arange(0, 39, 0.001)), np.arange(0, 39, 0.001))
    for late in (0.0, 0.04):
        samples = np.zeros((48_000 * 36, 2), np.float32)
        burst = np.random.default_rng(1).normal(0.0, 0.3, (960, 2)) * np.linspace(1.0, 0.0, 960)[:, None] ** 2
        for at in times + late - 0.6:
            samples[round(at * 48_000) :][:960] += burst[: max(0, len(samples) - round(at * 48_000))]
        played = grid.offline.Played(samples, Transport(), 0.6, ())
        row, off = evaluate_clock.against_clock(played, clock, 120.0)
        assert row["told_the_tempo"]["median_signed_ms"] == pytest.approx(1000 * late, abs=6)
        assert np.median(off) == pytest.approx(late, abs=0.006)
        assert row["told_the_tempo"]["random_phase_median_ms"] == pytest.approx(125.0, rel=0.1)


class TrueBand(evaluate_offline.OfflineBand):
    """In place of a model that plays: the studio, half a second after the knob."""

    def __init__(self, grid):  # loads nothing
        self.grid, self.config = grid, grid.offline.OfflineConfig()

    def play(self, knobs, *, seed, seconds, moves=(), make_master=None):
        """Keeps to the knobs, and hears no other machine."""
        going = transport.start(knobs["bpm"])
        for at, _, bpm in moves:
            going = going.with_bpm(bpm, round(at * 25) + 13)
        pieces = [np.zeros((-self.grid.offline.STREAM_START, 2), np.float32)]
        ends = [*(point.frame for point in going.points[1:]), seconds * 25]
        for point, end in zip(going.points, ends):
            skipped, length = point.beat % 4 * 60 / point.bpm, (end - point.frame) / 25
            piece = self.grid.estimators.render("techno", seed=seed, bpm=point.bpm, seconds=skipped + length).samples
            pieces.append(piece[round(skipped * 48_000) :][: round(length * 48_000)])
        moved_at = tuple(round(at * 48_000) - 4800 for at, *_ in moves)
        return self.grid.offline.Played(np.concatenate(pieces), going, 0.6, moved_at)


def test_program_measures_both(grid, monkeypatch, capsys, tmp_path):
    """With a band that plays right at once, but not to the clock."""
    monkeypatch.setattr(grid.offline, "OfflineBand", lambda bundle: TrueBand(grid))
    out = tmp_path / "grid.json"
    arguments = ["tempo", "clock", "--prompts", "techno", "--seeds", "1", "--minutes", "0.5", "--out", str(out)]
    assert grid.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == report
    tempo, slaved = report["tempo"], report["clock"]
    for kind in ("sessions", "true_renders"):
        assert tempo[kind]["bars_to_follow"] == [0, 0]
        assert tempo[kind]["within_two_bars"]["hits"] == 2
    assert tempo["no_change"]["median_bars"] is None
    assert tempo["from_knob_to_new_tempo_heard_seconds"]["median"] == pytest.approx(0.62, abs=0.03)
    row = slaved["per_prompt"]["techno"]
    assert row["true_renders"]["told_the_tempo"]["median_ms"] < 10
    assert row["session"]["told_the_tempo"]["median_ms"] > 30
    assert row["session"]["told_the_tempo"]["beats"] > 30


def test_program_refuses_what_it_cannot_measure(grid, capsys):
    with pytest.raises(SystemExit):
        grid.main(["groove"])
    assert "nothing to measure named groove" in capsys.readouterr().err
