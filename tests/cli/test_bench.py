"""`mrtpy bench live`: its figures are figures, and its moves are the same every time."""

import json

import pytest

from magenta_rt_py.cli.bench import make_moves
from magenta_rt_py.generators import system
from magenta_rt_py.live.event_log import read_events
from magenta_rt_py.live.knobs import find


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_everything_is_measured(run, tiny_bundle, loop, tmp_path):
    code, out, err = run(
        *("bench", "live", "--seconds", "4", "--device", "none", "--inject", loop, "--bundle", tiny_bundle, "--json"),
        *("--log", tmp_path / "take.jsonl", "--record", tmp_path / "take.wav"),
    )
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report["seconds"] == pytest.approx(4.0, abs=0.05) and report["moves"] == 1
    assert report["rtf"] > 0 and report["wall_seconds"] > 3.0
    assert report["machine"]["cores"] >= 1 and report["machine"]["load_average"] >= 0
    assert report["request_seconds"] and report["cost_seconds"]
    for figures in report["request_seconds"].values():
        ordered = [figures[name] for name in ("p50", "p95", "p99", "max")]
        assert ordered == sorted(ordered) and ordered[0] > 0
    assert report["planner_steps"][0][1] in (1, 2, 3, 4)
    assert {"underruns", "underruns_after_10_s", "missing_seconds", "late_input_samples", "faults"} <= set(report)
    delay = report["control_delay_seconds"]
    assert set(delay["split_median"]) == set(delay["split_p95"]) == {"hop", "compute", "buffer", "device"}
    assert {"underflows", "callback_p999_seconds", "callback_within_quarter_block", "block_seconds"} <= set(report["device"])
    samples = report["samples"]
    assert samples["lost_or_repeated"] == 0 and samples["written"] == samples["handed_to_the_device"] + samples["queued"]
    assert report["memory_megabytes"]["at_the_end"] > 10
    assert [event for event in read_events(tmp_path / "take.jsonl") if event.kind == "end"]


def test_moves_are_the_same_for_the_same_seed_and_all_allowed():
    moves = make_moves(600.0, 3, has_input=True)
    assert len(moves) == 200 and moves == make_moves(600.0, 3, has_input=True) != make_moves(600.0, 4, has_input=True)
    for at_seconds, name, value in moves:
        assert 0.0 < at_seconds <= 600.0
        find(name).check(value)
    assert any(name.startswith("inject/") for _, name, _ in moves)
    assert not any(name.startswith("inject/") for _, name, _ in make_moves(600.0, 3, has_input=False))
    still = {name for _, name, _ in make_moves(600.0, 3, has_input=False, is_still=True)}
    assert "bpm" not in still and "rewind" not in still


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "nan"], "--seconds is nan"),
        (["--seconds", "1"], "--seconds is 1"),
        (["--inject", "missing.wav"], "missing.wav"),
        (["--channels", "1,1"], "output_channels"),
        (["--record", "take.mp3"], "ending is .mp3"),
        (["--input", "a", "--inject", "b.wav"], "both given"),
    ],
)
def test_bad_input_is_refused_before_any_work(refuse, tiny_bundle, monkeypatch, arguments, message):
    def load(*given):
        raise AssertionError("a model was loaded before the input was checked")

    monkeypatch.setattr(system, "load", load)
    assert message in refuse("bench", "live", "--bundle", tiny_bundle, "--device", "none", *arguments)
