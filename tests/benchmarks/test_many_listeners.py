"""Some clients for some seconds: the program runs, its counts are right, and a gap would be seen."""

import importlib
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from magenta_rt_py.serve import wire


@pytest.fixture
def listening(root, monkeypatch):
    """benchmarks/many_listeners.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("many_listeners")


def test_some_clients_play_without_a_gap(root, tmp_path):
    out = tmp_path / "report.json"
    given = ["--minutes", "0.12", "--clients", "5", "--cost", "0.01", "--lead", "3.0", "--out", str(out)]
    command = [sys.executable, str(root / "benchmarks" / "many_listeners.py"), *given]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=180)
    report = json.loads(done.stdout)
    assert json.loads(out.read_text()) == report
    assert report["most"] == report["most_seated"] == 2
    assert report["most_waiting"] == 3
    assert (report["gaps"], report["unexpected"]) == (0, [])
    assert report["hours_played"] > 0.002
    assert min(report["memory_megabytes"]) > 10.0


def test_a_missing_packet_is_a_gap(listening):
    client = listening.Client(listening.one_place("", []), 0.0, "good", 1.0, random.Random(0))
    payload = wire.payload_of(np.zeros((1920, 2), np.float32))
    for position in (0, 1920, 5760, 7680):
        client._take(wire.pack(wire.Packet(wire.SOUND, 0, 2, 0, 0, 1920, 0, position, payload)))
    assert (client.gaps, client.received) == (1, 4 * 1920)


def test_a_slope_is_in_megabytes_a_minute(listening):
    rising = [(second, 100.0 + (30.0 if second < 10 else 0.0) + 2.0 * second / 60.0) for second in range(100)]
    assert listening.slope_of(rising) == pytest.approx(2.0)
    assert listening.slope_of(rising[:5]) is None


def test_nonsense_is_refused(listening, capsys):
    with pytest.raises(SystemExit):
        listening.main(["--minutes", "0"])
    assert "give more than 0 minutes" in capsys.readouterr().err
