"""The benchmark of batches runs at a tiny size, and its figures are figures."""

import importlib
import json

import pytest


@pytest.fixture
def streams(root, monkeypatch):
    """benchmarks/many_streams.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("many_streams")


def test_every_size_is_measured_and_plays_as_alone(streams, capsys, tmp_path, unchecked):
    out = tmp_path / "figures.json"
    given = ["--tiny", "--sizes", "2", "--hops", "0.4", "--rows", "2", "--requests", "2", "--out", str(out)]
    assert streams.main(given) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == report
    assert [row["size"] for row in report["batches"]] == [1, 2]
    for row in report["batches"]:
        assert row["rtf"] == pytest.approx(row["size"] * 0.4 / (row["language_model_seconds"] + row["sound_seconds"]))
        assert row["streams"] == int(row["rtf"]) and row["equal_alone"] == 1.0 and row["compilations"] == 0
        assert 0.0 < row["batch_seconds"]["p50"] <= row["batch_seconds"]["p99"] <= row["batch_seconds"]["max"]
    assert report["batches"][0]["gain"] == 1.0 and report["bundle"] == "tiny, random" and report["machine"]["cores"] >= 1


@pytest.mark.parametrize("wrong", [["--sizes", "0"], ["--hops", "3"], ["--requests", "0"]])
def test_nonsense_is_refused(streams, capsys, wrong):
    with pytest.raises(SystemExit):
        streams.main(wrong)
    assert "give sizes and requests of 1 or more" in capsys.readouterr().err
