"""`mrtpy devices`."""

import json
import sys

import pytest

from magenta_rt_py.io import devices

FOUND = [
    devices.Device(0, "Scarlett 2i2", "Core Audio", 2, 2, 48_000, True, False),
    devices.Device(7, "Loudspeaker", "Core Audio", 0, 2, 44_100, False, True),
]


@pytest.fixture
def two_devices(monkeypatch):
    monkeypatch.setattr(devices, "query", lambda: FOUND)


def test_lines_for_people(run, two_devices):
    code, out, err = run("devices")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(">   0 Scarlett 2i2, Core Audio") and lines[1].endswith("2    2  48000 Hz")
    assert lines[2].startswith(" <  7 Loudspeaker, Core Audio") and lines[2].endswith("0    2  44100 Hz")


def test_json(run, two_devices):
    report = json.loads(run("devices", "--json")[1])
    assert report["command"] == "devices" and len(report["devices"]) == 2
    first = report["devices"][0]
    assert (first["index"], first["full_name"], first["host_api"]) == (0, "Scarlett 2i2, Core Audio", "Core Audio")
    assert (first["input_channels"], first["default_rate_hz"], first["is_default_input"]) == (2, 48_000, True)


def test_a_machine_without_sound(run, monkeypatch):
    monkeypatch.setattr(devices, "query", list)
    code, out, _ = run("devices")
    assert code == 0 and "no sound cards" in out


def test_what_is_missing_is_one_line(refuse, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "pip install 'magenta-rt-py[audio]'" in refuse("devices")
    monkeypatch.delitem(sys.modules, "sounddevice")
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")')
    monkeypatch.syspath_prepend(tmp_path)
    assert "apt install libportaudio2" in refuse("devices")
