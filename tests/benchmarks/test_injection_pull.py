"""The F-measures and the interval of the comparison, and the program on a tiny bundle."""

import importlib
import json

import numpy as np
import pytest

from magenta_rt_py.live import transport


@pytest.fixture
def pulling(root, monkeypatch):
    """benchmarks/injection_pull.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("injection_pull")


def played_with(pulling, shift):
    """A sound that is nothing but the loop, at its place in the stream."""
    offline = pulling.offline
    loop = np.roll(pulling.shifted_loop(0, shift), -offline.STREAM_START, axis=0)
    return offline.Played(np.tile(loop, (5, 1)), transport.start(pulling.BPM), 0.0, ())


def test_a_sound_on_the_loop_is_told_from_one_on_the_transport(pulling):
    on_loop, on_transport = (pulling.pull(played_with(pulling, shift), 0.5) for shift in (0.5, 0.0))
    assert on_loop.loop > 0.9 > 0.1 > on_loop.transport
    assert on_transport.transport > 0.9 > 0.1 > on_transport.loop
    assert on_loop.loop_phase > 0.05 > -0.05 > on_transport.loop_phase
    assert pulling.loop_alone(0) > 0.9


def test_difference_and_its_interval(pulling):
    without = [pulling.Pull(0.1, 0.9, -0.2)] * 10
    moved = [pulling.Pull(0.1 + 0.02 * seed, 0.9, -0.1) for seed in range(10)]
    row = pulling.difference(without, moved)
    assert row["loop"]["difference"] == pytest.approx(0.09)
    low, high = row["loop"]["bootstrap_95"]
    assert 0.04 < low < 0.07 < 0.11 < high < 0.14
    assert row["transport"]["bootstrap_95"] == [0.0, 0.0]
    assert row["loop_phase"]["bootstrap_95"] == pytest.approx([0.1, 0.1])


class Follower:
    """In place of a model that plays: drums on the transport's beats, and once it hears a loop, that loop."""

    def __init__(self, pulling, config):
        self.pulling, self.config, self.asked = pulling, config, []

    def play(self, knobs, *, seed, seconds, loop=None):
        """Gives up its own beat from some guidance on."""
        self.asked.append((knobs, loop is not None))
        drums = self.pulling.shifted_loop(seed, 0.0)
        heard = drums if loop is None or knobs["input_guidance"] < 1.0 else loop
        start = self.pulling.offline.STREAM_START
        samples = np.tile(np.roll(heard, -start, axis=0), (5, 1))[: round(seconds * 48_000)]
        return self.pulling.offline.Played(samples, transport.start(knobs["bpm"]), 0.0, ())


def test_program_compares(pulling, monkeypatch, capsys, tmp_path):
    bands = []

    def make(bundle):
        bands.append(Follower(pulling, pulling.offline.OfflineConfig()))
        return bands[-1]

    monkeypatch.setattr(pulling.offline, "OfflineBand", make)
    out = tmp_path / "pull.json"
    arguments = ["--prompts", "piano", "--seeds", "2", "--seconds", "14", "--no-clock", "--out", str(out)]
    assert pulling.main([*arguments, "--cases", "0:2:0.9", "1:2:0.9"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == report
    deaf, pulled = report["prompts"]["piano"]
    assert (deaf["input_guidance"], pulled["input_guidance"], pulled["shift_beats"]) == (0.0, 1.0, 0.5)
    assert deaf["loop"]["difference"] == 0.0
    assert pulled["loop"]["difference"] > 0.8
    assert pulled["loop"]["bootstrap_95"][0] > 0.8
    assert pulled["transport"]["difference"] < -0.8
    (band,) = bands
    assert report["session"]["has_clock"] is False
    assert [has_loop for _, has_loop in band.asked] == [False, True, True] * 2
    for knobs, has_loop in band.asked:
        assert knobs["inject/loop_beats"] == 8 and knobs["keep_time"] is False
        assert not has_loop or (knobs["inject/gain"], knobs["inject/feedback"]) == (2.0, 0.9)


def test_a_case_is_three_numbers(pulling, capsys):
    assert pulling.Case.read("2:1:0.95") == (2.0, 1.0, 0.95)
    with pytest.raises(SystemExit):
        pulling.main(["--cases", "2:1"])
    assert "invalid" in capsys.readouterr().err


def test_a_session_too_short_to_judge_is_refused(pulling, capsys):
    with pytest.raises(SystemExit):
        pulling.main(["--seconds", "9"])
    assert "give 12 or more" in capsys.readouterr().err
