"""The load test of replicas refuses nonsense; its clients are tested with many_listeners, replicas in tests/serve."""

import importlib

import pytest


def test_nonsense_is_refused(root, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    program = importlib.import_module("many_replicas")
    for given in (["--replicas", "0"], ["--clients", "0"], ["--minutes", "0"], ["--cost", "-1"]):
        with pytest.raises(SystemExit):
            program.main(given)
        assert "1 client and 1 replica or more" in capsys.readouterr().err
