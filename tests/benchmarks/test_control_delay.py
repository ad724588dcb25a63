"""The change detector finds what two whole replays would, on a tiny bundle, in real time for some seconds."""

import importlib
import json
import time

import numpy as np
import pytest

from magenta_rt_py.generators import performance, system
from magenta_rt_py.generators.live_lm import LiveLM, LiveSound
from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live import replay
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.planner import PlannerConfig
from magenta_rt_py.live.session_parts import SessionConfig


@pytest.fixture
def delaying(root, monkeypatch):
    """benchmarks/control_delay.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("control_delay")


@pytest.fixture(scope="module")
def model(tiny_bundle):
    """A loaded bundle of random weights."""
    return system.load(tiny_bundle)


@pytest.fixture(scope="module")
def ready(model):
    """To begin from nothing, with one program."""
    planner = PlannerConfig(short_frames=10, cost_seconds={10: 0.15, 50: 0.3})
    return performance.Ready(LiveLM(model.models, lengths=(10,)), planner, ())


@pytest.fixture(scope="module")
def log(model, ready, tmp_path_factory):
    """A session of 4 s, in which the temperature is turned twice, and a knob that changes no sound once."""
    path = tmp_path_factory.mktemp("log") / "session.jsonl"
    clock = VirtualClock()
    board = Board(performance.initial_knobs(model))
    config = SessionConfig(log_path=path)
    playing = performance.Performance(model, NullCard(clock=clock), board, ready, config=config, clock=clock)
    for name, value in (("temperature", 0.3), ("metronome", 0.5), ("temperature", 2.0)):
        playing.session.run(1.0)
        board.set(name, value)
    playing.session.run(1.0)
    playing.close()
    return path


def replayed(model, script):
    """The sound of a script."""
    lm = LiveLM(model.models, lengths=script.header["lengths"])
    sound = LiveSound(model.models, seed=script.header["seed"], past=script.origins[0].past)
    return np.concatenate(list(replay.play(script, lm, sound)))


def test_changes_are_found_where_two_whole_replays_part(delaying, model, log):
    """The log is played again with the old temperature in every request with the new one."""
    found, verdict = delaying.heard_differences(model, log)
    assert verdict.is_identical
    assert [difference.sequence for difference in found] == [1, 2, 3]
    assert found[1].sample is None  # the metronome is not in the music
    as_it_was = replayed(model, replay.read_script(log))
    for difference in (found[0], found[2]):
        script = replay.read_script(log)
        before = {n: data for n, data in script.requests.items() if data["sequence"] < difference.sequence}
        old = before[max(before)]["conditioning"]
        for data in script.requests.values():
            if data["sequence"] >= difference.sequence:
                data["conditioning"] = {**old, "transport": data["conditioning"]["transport"]}
        apart = np.abs(replayed(model, script) - as_it_was).max(1) > delaying.AUDIBLE
        # The output stage's limiter is between: the detector looks before it, and adds its 72 samples.
        assert apart.any()
        assert abs(int(np.argmax(apart)) - difference.sample) <= 72


def test_a_card_is_where_its_notes_say_it_is(delaying):
    """Blocks of 512 are averaged out."""
    notes = [delaying.Note(100.0 + at, int(48_000 * at) // 512 * 512) for at in np.arange(0.0, 4.0, 0.013)]
    assert delaying.heard_at(notes, 96_000) == pytest.approx(102.0 + 256 / 48_000, abs=0.003)
    assert delaying.heard_at(notes, 1_000_000) is None


def test_a_noted_card_counts_what_has_left_it(delaying):
    clock = VirtualClock()
    card = delaying.NotedCard(NullCard(clock=clock, block_samples=480))
    assert card.queued_samples() == 0
    assert not card.notes  # nothing was written: nothing is heard
    assert card.wait_for_room(1920, 0.0)
    card.write(np.zeros((1920, 2), np.float32))
    clock.wait_until(0.021)
    assert card.queued_samples() == 960
    assert card.notes[-1].sample == 960
    assert card.notes[-1].seconds == pytest.approx(time.perf_counter(), abs=5.0)
    assert (card.block_samples, card.input_channels, card.has_cue, card.opening) == (480, 0, False, 0)
    assert card.read() == []
    assert card.status.is_running
    card.close()
    assert not card.status.is_running


def test_program_measures_both_cases_on_a_tiny_bundle(delaying, model, ready, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(delaying, "SETTLED_SECONDS", 0.5)
    monkeypatch.setattr(delaying, "PAUSE_SECONDS", (0.3, 0.5))
    has_inputs = []

    def get_ready(model, board, *, seed, has_input, say):
        has_inputs.append(has_input)
        return ready

    monkeypatch.setattr(delaying.performance, "get_ready", get_ready)
    out = tmp_path / "delay.json"
    assert delaying.main(["--seconds", "3", "--bundle", str(model.bundle.path), "--out", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == report
    assert has_inputs == [False, True]
    for case in ("style", "inject"):
        figures = report[case]
        assert figures["changes"] >= 2
        assert figures["replay_is_identical"]
        assert set(figures["meter"]) == {"hop", "compute", "buffer", "device", "total"}
        # How long anything takes is the machine's affair, and what the two measures find is tested above and below.
        assert figures["meter"]["total"]["count"] >= 1
        assert figures["audible"]["count"] >= 1
        assert figures["audible"]["median_seconds"] > 0.0


def test_audible_delay_is_from_the_turn_to_the_sample(delaying):
    """Sample n sounds at 50 s + n / 48000; the knobs were turned at 51 s and 53 s, another in vain."""
    notes = [delaying.Note(50.0 + sample / 48_000, sample) for sample in range(0, 6 * 48_000, 500)]
    found = [delaying.Difference(1, 72_000), delaying.Difference(2, None), delaying.Difference(3, 4 * 48_000)]
    figures = delaying._audible(found, {1: 51.0, 2: 52.0, 3: 53.0}, notes)
    assert figures["count"] == 2
    assert figures["same_sound"] == 1
    assert figures["median_seconds"] == pytest.approx(0.75, abs=1e-3)


def test_a_run_too_short_to_turn_anything_is_refused(delaying, capsys):
    with pytest.raises(SystemExit):
        delaying.main(["--seconds", "5"])
    assert "give more than 10" in capsys.readouterr().err
