"""Reading runs: whole ones, old ones, broken ones."""

import json
import os
import time

import pytest

from magenta_rt_py.train.runs import RunRecord, find_runs, read_run, runs_folder


def write_metrics(directory, *lines):
    directory.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (directory / "metrics.jsonl").write_text("".join(f"{text}\n" for text in texts))


def make_old(directory, seconds):
    for path in directory.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_loop_without_a_record_is_a_run(tmp_path):
    write_metrics(tmp_path / "codec", {"step": 50, "mel": 2.0}, {"step": 100, "mel": 1.5, "band": 0.25})
    run = read_run(tmp_path / "codec")
    assert (run.status, run.model, run.step, run.commit) == ("no record", "codec", 100, "")
    assert run.last(("loss", "mel")) == ("mel", 1.5) and run.curve("mel") == ([50.0, 100.0], [2.0, 1.5])
    assert run.last(("eval/loss",)) is None


def test_the_style_runs_own_settings_file_is_no_record(tmp_path):
    write_metrics(tmp_path, {"step": 1, "loss": 3.0})
    (tmp_path / "run.json").write_text(json.dumps({"config": {}, "seed": 0}))
    assert read_run(tmp_path).status == "no record"


def test_a_line_cut_short_and_lines_that_are_none_are_left_out(tmp_path):
    write_metrics(tmp_path, {"step": 1, "loss": 3.0}, "[1, 2]", '{"loss": 2.0}', '{"step": 2, "lo')
    assert read_run(tmp_path).metrics == [{"step": 1, "loss": 3.0}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ('{"format": 1, "mod', "cannot be read"),
        ("[]", "expected 1"),
        ('{"format": 7}', "format 7"),
        ('{"format": 1}', "no whole record (model, parent, data_hash"),
    ],
)
def test_a_broken_record_is_listed_as_such(tmp_path, text, said):
    write_metrics(tmp_path / "bad", {"step": 4, "loss": 1.0})
    (tmp_path / "bad" / "record.json").write_text(text)
    (run,) = find_runs(tmp_path)
    assert run.status == "broken" and said in run.error and run.step == 4


@pytest.mark.parametrize("field", ["sessions", "began", "source", "last_step", "no session"])
def test_a_record_of_other_types_is_broken(tmp_path, field):
    RunRecord.begin(tmp_path, {}, model="lm")
    fields = json.loads((tmp_path / "record.json").read_text())
    if field == "sessions":
        fields["sessions"] = "none"
    elif field == "no session":
        fields["sessions"] = []
    else:
        fields["sessions"][0][field] = ["?"]
    (tmp_path / "record.json").write_text(json.dumps(fields))
    assert read_run(tmp_path).status == "broken"


def test_a_silent_run_that_never_ended_was_cut_off(tmp_path):
    RunRecord.begin(tmp_path, {}, model="lm")
    assert read_run(tmp_path).status == "running"
    make_old(tmp_path, 3600)
    assert read_run(tmp_path).status == "cut off"
    write_metrics(tmp_path, {"step": 1, "loss": 3.0})  # a sign of life
    assert read_run(tmp_path).status == "running"


def test_runs_are_found_below_in_the_order_of_time(train, tmp_path):
    train(tmp_path / "b", 2)
    write_metrics(tmp_path / "starter" / "lm", {"step": 1, "loss": 3.0})
    make_old(tmp_path / "starter" / "lm", 1e6)
    (tmp_path / "empty").mkdir()
    write_metrics(tmp_path / "1" / "2" / "3" / "too deep", {"step": 1})
    assert [run.directory.name for run in find_runs(tmp_path)] == ["lm", "b"]
    assert [run.directory for run in find_runs(tmp_path / "b")] == [tmp_path / "b"]


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run"):
        read_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        find_runs(tmp_path / "nowhere")


def test_commits_of_changed_sources_are_marked(tmp_path, monkeypatch):
    source = {"version": "0", "commit": "0123456789abcdef", "changed": True}
    monkeypatch.setattr("magenta_rt_py.train.runs.record.source_state", lambda: source)
    RunRecord.begin(tmp_path, {}, model="lm")
    assert read_run(tmp_path).commit == "01234567+"


def test_runs_without_a_place_go_to_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert runs_folder() == tmp_path / "magenta_rt_py" / "runs"
