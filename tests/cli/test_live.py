"""`mrtpy live`: what it keeps when it is killed, how it ends, and what it refuses before anything is loaded."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time

import jaxtyping
import numpy as np
import pytest
import soundfile

from magenta_rt_py import audio
from magenta_rt_py.generators import system
from magenta_rt_py.live.event_log import read_events
from magenta_rt_py.live.memory import read_checkpoint

PATIENCE_SECONDS = 200.0


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Folder of logs and checkpoint."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "magenta_rt_py"


@pytest.fixture(autouse=True)
def unchecked():
    """Types are checked in tests/generators; checking them here would take most of the time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def no_model(monkeypatch):
    """Fails the test if a model is loaded: the input must have been refused before."""

    def load(*arguments):
        raise AssertionError("a model was loaded before the input was checked")

    monkeypatch.setattr(system, "load", load)


@pytest.fixture
def playing(tiny_bundle, tmp_path, root):
    """Starts `mrtpy live` in a process of its own, and waits until its recording has so many bytes."""
    started = []

    def start(*arguments, num_bytes=400_000):
        command = [sys.executable, "-m", "magenta_rt_py", "live", "--bundle", tiny_bundle, "--device", "none", *arguments]
        process = subprocess.Popen(
            [*map(str, command), "--json"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        take, ends = tmp_path / "take.flac", time.monotonic() + PATIENCE_SECONDS
        while not take.exists() or take.stat().st_size < num_bytes:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < ends, "it never played"
            time.sleep(0.05)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read(path):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 48_000
    return samples


def offline(run, tiny_bundle, *arguments):
    code, out, err = run("live", "--bundle", tiny_bundle, "--offline", "--json", *arguments)
    assert code == 0, err
    return json.loads(out)


def replayed(run, tiny_bundle, log, out):
    code, text, err = run("replay", log, "--out", out, "--bundle", tiny_bundle, "--json")
    assert code == 0, err
    return json.loads(text), read(out)


def test_kill_9_leaves_a_playable_take_and_a_log_that_replays(run, playing, tiny_bundle, tmp_path):
    take, log = tmp_path / "take.flac", tmp_path / "take.jsonl"
    process = playing("--record", take, "--log", log, "--prompt", "solo piano", "--set", "volume=0.5")
    process.send_signal(signal.SIGKILL)
    assert process.wait(10.0) == -signal.SIGKILL
    heard = read(take)
    assert len(heard) > 48_000  # the last flush is a second ago at most
    assert np.abs(heard).max() > 0.001
    report, again = replayed(run, tiny_bundle, log, tmp_path / "again.flac")
    assert report["is_identical"]
    both = min(len(heard), len(again))
    assert both > 48_000 and len(again) > len(heard) - 48_000
    assert np.array_equal(heard[:both], again[:both])


def test_sigterm_ends_politely_and_the_next_performance_goes_on(run, playing, state, tiny_bundle, tmp_path):
    moves = tmp_path / "moves.json"
    moves.write_text(json.dumps([[1.0, "temperature", 0.7], [1.0, "prompt/2/text", "techno"]]))
    take, log = tmp_path / "take.flac", tmp_path / "take.jsonl"
    process = playing("--record", take, "--log", log, "--set", "inject/gap=0.4", "--moves", moves)
    ends = time.monotonic() + 60.0
    while not (state / "last.json").exists():
        assert time.monotonic() < ends
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60.0)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert len(read(take)) == round((report["seconds"] + report["missing_seconds"]) * 48_000)
    assert [event.kind for event in read_events(log)][-1] == "end"
    checkpoint = read_checkpoint(state / "last.json")
    assert checkpoint.settings["temperature"] == 0.7 and checkpoint.settings["prompt/2/text"] == "techno"
    second = tmp_path / "second.jsonl"
    offline(run, tiny_bundle, "--seconds", "1", "--resume", "--log", second, "--set", "top_k=7")
    first = next(event.data for event in read_events(second) if event.kind == "request")
    assert first["conditioning"]["temperature"] == 0.7 and first["conditioning"]["top_k"] == 7
    header = json.loads(second.read_text().splitlines()[0])["header"]
    assert [codes for codes, *_ in header["past"]] == [frame.codes.tolist() for frame in checkpoint.past]


def test_offline_twice_and_the_replay_are_the_same(run, tiny_bundle, tmp_path, loop):
    moves = tmp_path / "moves.json"
    moves.write_text(json.dumps(
        [[0.3, "prompt/1/text", "disco"], [0.3, "inject/live_prompt", 1.0], [0.6, "volume", 0.4], [1.0, "bpm", 100]]
    ))  # fmt: skip
    takes = []
    for name in ("a", "b"):
        report = offline(
            *(run, tiny_bundle, "--seconds", "3", "--moves", moves, "--inject", loop, "--prompt", "techno"),
            *("--record", tmp_path / f"{name}.wav", "--log", tmp_path / f"{name}.jsonl"),
        )
        assert (report["seconds"], report["underruns"]) == (3.0, 0)
        takes.append(read(tmp_path / f"{name}.wav"))
    assert np.array_equal(*takes) and np.abs(takes[0]).max() > 0.001
    report, again = replayed(run, tiny_bundle, tmp_path / "a.jsonl", tmp_path / "again.wav")
    assert report["is_identical"] and report["checked_seconds"] == 3.0 and report["knob_changes"] == 4
    assert np.array_equal(takes[0], again)
    other = read_styles(tmp_path / "a.jsonl")
    assert len(other) >= 2  # prompts and the performer's sound did change the style
    assert other == read_styles(tmp_path / "b.jsonl")


def read_styles(log):
    """Styles that requests were made with, in order."""
    styles = [tuple(event.data["conditioning"]["style"]) for event in read_events(log) if event.kind == "request"]
    return [style for number, style in enumerate(styles) if not number or style != styles[number - 1]]


def test_a_model_that_never_answers_ends_an_offline_take_with_one_line(refuse, tiny_bundle, tmp_path, monkeypatch):
    from magenta_rt_py.generators.live_lm import LiveLM

    live = importlib.import_module("magenta_rt_py.cli.live")
    inner = LiveLM.generate

    def fail(self, request):
        if request.history and request.start >= 25:
            raise RuntimeError("out of memory")
        return inner(self, request)

    monkeypatch.setattr(LiveLM, "generate", fail)
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 2.0)
    line = refuse("live", "--bundle", tiny_bundle, "--offline", "--seconds", "3", "--log", tmp_path / "x.jsonl")
    assert "no music came in 2 s" in line and "out of memory" in line


def test_the_report_has_all_fields(run, tiny_bundle, tmp_path):
    code, out, _ = run("live", "--bundle", tiny_bundle, "--device", "none", "--json", "--seconds", "3")
    report = json.loads(out)
    assert code == 0
    assert set(report) >= {
        "command", "seconds", "underruns", "underruns_after_10_s", "missing_seconds", "rtf", "step", "hop_seconds",
        "delay_median_seconds", "device_underflows", "callback_p999_seconds", "late_input_samples", "log", "record",
        "problem",
    }  # fmt: skip
    assert report["seconds"] == 3.0 and report["rtf"] > 0 and report["hop_seconds"] >= 0.2
    assert str(tmp_path) in report["log"] and os.path.exists(report["log"])


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "loudness=1"], "there is no knob 'loudness'"),
        (["--set", "volume=9"], "volume is 9.0; give a number from 0 to 2"),
        (["--set", "volume=loud"], "volume is 'loud'"),
        (["--set", "volume"], "KNOB=VALUE"),
        (["--set", "tap=1"], "tap is an action"),
        (["--temperature", "nan"], "temperature is nan"),
        (["--bpm", "5"], "bpm is 5.0"),
        (["--prompt", "techno:nan"], "weight nan"),
        (["--prompt", "missing.wav"], "missing.wav"),
        (["--prompt", "x"] * 9, "9 prompts"),
        (["--seed", "-1"], "seed is -1"),
        (["--moves", "moves.json"], "there is no knob 'wah'"),
        (["--moves", "range.json"], "temperature is 99"),
        (["--moves", "text.json"], "no list of moves"),
        (["--moves", "missing.json"], "missing.json"),
        (["--resume"], "nothing to resume"),
        (["--calibrate"], "--input"),
        (["--input", "a", "--inject", "loop.wav"], "both given"),
        (["--log", "old.jsonl"], "exists already"),
        (["--log", "no/folder/x.jsonl"], "no folder"),
        (["--record", "old.flac"], "exists already"),
        (["--record", "take.mp3"], "ending is .mp3"),
        (["--inject", "song.wav"], "song.wav"),
        (["--inject", "missing.wav"], "missing.wav"),
        (["--channels", "1,1"], "output_channels is (1, 1)"),
        (["--channels", "0,1"], "output_channels"),
        (["--channels", "left"], "give numbers such as 1,2"),
        (["--cue", "1,2"], "overlap"),
        (["--block", "0"], "block_samples is 0"),
        (["--buffer", "nan"], "--buffer is nan"),
        (["--rate", "7"], "sample_rate is 7"),
        (["--latency", "soon"], "'soon'"),
        (["--round-trip", "nan"], "--round-trip is nan"),
        (["--intro-loops", "-1"], "-1"),
        (["--osc", "99999"], "--osc is 99999"),
        (["--seconds", "0"], "--seconds is 0"),
        (["--offline"], "give --seconds"),
    ],
)
def test_bad_input_is_one_line_before_any_work(refuse, tiny_bundle, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("old.jsonl", "old.flac", "song.wav"):
        (tmp_path / name).write_text("something else")
    audio.write(tmp_path / "loop.wav", np.zeros((4800, 2), np.float32), 48_000)
    for name, moves in (("moves", [[1, "wah", 1]]), ("range", [[1, "temperature", 99]]), ("text", "soon")):
        (tmp_path / f"{name}.json").write_text(json.dumps(moves))
    assert message in refuse("live", "--bundle", tiny_bundle, "--device", "none", *arguments)
    assert not (tmp_path / "state").exists()
