"""What a run leaves behind, however it ends."""

import json

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.train.runs import RunRecord, read_run
from magenta_rt_py.train.runs.provenance import source_state


def test_a_finished_run_has_all_its_parts(train, tmp_path):
    train(tmp_path / "one", 5)
    run = read_run(tmp_path / "one")
    assert (run.status, run.model, run.data_hash, run.step) == ("finished", "toy", "ab12", 5)
    assert run.config == {"max_steps": 5, "model": {"rate": 0.05, "sizes": [3]}}
    (session,) = run.sessions
    assert session["source"] == source_state() and session["machine"]["cores"] >= 1
    assert session["began"] <= session["ended"] and (session["first_step"], session["last_step"]) == (0, 5)
    assert (tmp_path / "one" / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert {"loss", "eval/loss", "learning_rate"} <= run.numbers.keys()


def test_the_record_is_on_disk_before_the_first_step(tmp_path):
    RunRecord.begin(tmp_path / "run", {"a": 1}, "cd", model="lm", parent="starter")
    fields = json.loads((tmp_path / "run" / "record.json").read_text())
    assert fields["status"] == "running" and fields["parent"] == "starter"
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_a_resumed_run_keeps_its_first_session_and_says_what_changed(train, tmp_path):
    train(tmp_path, 3)
    train(tmp_path, 6, rate=0.01, data_hash="ef")
    run = read_run(tmp_path)
    first, second = run.sessions
    assert (first["last_step"], second["first_step"], second["last_step"]) == (3, 3, 6)
    assert "changed_settings" not in first
    assert second["changed_settings"] == {
        "config.max_steps": [3, 6], "config.model.rate": [0.05, 0.01], "data_hash": ["ab12", "ef"],
    }  # fmt: skip
    assert run.config["max_steps"] == 6 and run.step == 6


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyboardInterrupt(), "stopped", ""),
        (SystemExit(143), "stopped", ""),
        (RuntimeError("the device is gone"), "failed", "RuntimeError: the device is gone"),
    ],
)
def test_how_a_run_was_left_is_written_down(train, tmp_path, error, status, text):
    def source(step):
        if step == 2:
            raise error
        return np.ones((4, 3), np.float32)

    with pytest.raises(type(error)):
        train(tmp_path, 9, source=source)
    run = read_run(tmp_path)
    assert (run.status, run.error) == (status, text)
    # The step before the one that failed has reached the log.
    assert run.sessions[0]["last_step"] == run.step and run.step in (1, 2)


def test_takes_are_kept_with_their_pictures(tmp_path):
    record = RunRecord.begin(tmp_path, {}, model="lm")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (24_000, 2)).astype(np.float32)
    path = record.take("step-10", samples, 48_000)
    assert path == tmp_path / "samples" / "step-10.flac"
    np.testing.assert_allclose(audio.read(path).samples, samples, atol=1e-3)
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert read_run(tmp_path).takes == [path]
    for name in ("", "../out", "a/b", ".hidden"):
        with pytest.raises(ValueError, match="plain file name"):
            record.take(name, samples, 48_000)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["step-10.flac", "step-10.png"]


def test_a_broken_record_does_not_stop_training_and_is_put_aside(train, tmp_path):
    (tmp_path / "record.json").write_text('{"format": 1, "model"')
    train(tmp_path, 2)
    assert read_run(tmp_path).status == "finished"
    assert (tmp_path / "record.broken.json").read_text() == '{"format": 1, "model"'


def test_only_the_first_host_writes(tmp_path, monkeypatch):
    monkeypatch.setattr("jax.process_index", lambda: 1)
    with RunRecord.begin(tmp_path / "run", {}, model="lm") as record:
        record.take("step-1", np.zeros((480, 2), np.float32), 48_000)
    assert not list((tmp_path / "run").iterdir())


def test_a_run_without_matplotlib_is_recorded_without_a_picture(train, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    train(tmp_path, 2)
    assert read_run(tmp_path).status == "finished" and not (tmp_path / "losses.png").exists()
