"""`mrtpy runs`: the list, one run, two runs."""

import json

import pytest

from magenta_rt_py.train.metrics_log import MetricsLog
from magenta_rt_py.train.runs import RunRecord


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A user's cache with two recorded runs, a run of a loop alone and a broken one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    home = tmp_path / "magenta_rt_py"
    for name, rate in (("first", 0.1), ("second", 0.2)):
        record = RunRecord.begin(home / "runs" / name, {"rate": rate}, "abcdef0123", model="lm")
        with record, MetricsLog(record.directory, tensorboard=False) as log:
            log.write(10, {"loss": 30 * rate})
            log.write(20, {"loss": 20 * rate, "eval/loss": 1.0})
    with MetricsLog(home / "starter-cpu" / "codec", tensorboard=False) as log:
        log.write(50, {"mel": 0.5})
    (home / "runs" / "broken").mkdir()
    (home / "runs" / "broken" / "record.json").write_text("{")
    return home


def test_the_list_is_of_the_users_cache_or_of_a_folder(run, cache):
    code, text, _ = run("runs")
    names = [line.split()[0] for line in text.splitlines()[1:] if not line.startswith(" ")]
    assert code == 0 and sorted(names) == ["runs/broken", "runs/first", "runs/second", "starter-cpu/codec"]
    code, text, _ = run("runs", "--dir", cache / "starter-cpu", "--json")
    (only,) = json.loads(text)["runs"]
    assert code == 0 and only["model"] == "codec" and only["numbers"]["mel"] == 0.5


def test_an_empty_cache_is_no_error_and_a_wrong_folder_is_one(run, refuse, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    code, text, _ = run("runs")
    assert code == 0 and "no runs in" in text
    assert "no folder" in refuse("runs", "--dir", tmp_path / "nowhere")


def test_one_run_by_name_or_folder(run, refuse, cache):
    for name in ("first", "runs/first", cache / "runs" / "first"):
        code, text, _ = run("runs", "show", name)
        assert code == 0 and "lm, finished, 20 steps" in text and "rate" in text, name
    assert json.loads(run("runs", "--json", "show", "first")[1])["config"] == {"rate": 0.1}
    assert json.loads(run("runs", "show", "first", "--json")[1])["step"] == 20
    code, text, _ = run("runs", "--dir", cache / "starter-cpu", "show", "codec")
    assert code == 0 and "no record" in text
    assert run("runs", "show", "broken")[0] == 0
    assert "no run 'third'" in refuse("runs", "show", "third")
    assert "is no run" in refuse("runs", "show", cache / "runs")


def test_two_runs_and_their_curves_in_one_picture(run, refuse, cache, tmp_path):
    picture = tmp_path / "both.png"
    code, text, _ = run("runs", "compare", "first", "second", "--plot", picture)
    assert code == 0 and picture.read_bytes().startswith(b"\x89PNG")
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ") and line.strip()}
    assert lines["rate"] == ["0.1", "0.2"] and lines["loss"] == ["2", "4", "+100.0", "%"]
    report = json.loads(run("runs", "compare", "first", "second", "--json")[1])
    assert report["settings"] == {"rate": [0.1, 0.2]}
    assert "required: B" in refuse("runs", "compare", "first")
    assert ".txt" in refuse("runs", "compare", "first", "second", "--plot", tmp_path / "both.txt")
    assert "no loss" in refuse("runs", "show", "broken", "--plot", picture)
