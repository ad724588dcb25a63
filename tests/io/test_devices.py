"""Names find the devices that are meant, and what is missing is said."""

import sys
from types import SimpleNamespace

import pytest

from magenta_rt_py.errors import AudioDeviceError, MissingExtraError
from magenta_rt_py.io import devices


def toy(names=("HDA Intel: ALC\n(hw:0,0)", "Scarlett", "Scarlett", "Scarlett Solo", "Mic"), default=(-1, -1)):
    """A sounddevice with five devices under two host APIs."""
    apis = (
        {"name": "ALSA", "default_input_device": -1, "default_output_device": 0},
        {"name": "JACK", "default_input_device": 2, "default_output_device": 2},
    )
    channels = [(0, 2), (2, 4), (2, 4), (1, 2), (1, 0)]
    found = [
        {"name": name, "hostapi": int(index == 2), "max_input_channels": ins, "max_output_channels": outs}
        | {"default_samplerate": 44100.0}
        for index, (name, (ins, outs)) in enumerate(zip(names, channels))
    ]
    return SimpleNamespace(
        query_hostapis=lambda: apis,
        query_devices=lambda: found,
        default=SimpleNamespace(device=default),
        PortAudioError=RuntimeError,
    )


@pytest.fixture
def found(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", toy())
    return devices.query()


def test_what_there_is(found):
    assert found[0] == devices.Device(0, "HDA Intel: ALC (hw:0,0)", "ALSA", 0, 2, 44_100, False, True)
    assert [device.index for device in found if device.is_default_input] == [2]
    assert [device.index for device in found if device.is_default_output] == [0]


def test_portaudios_defaults_come_first(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", toy(default=(4, 3)))
    found = devices.query()
    assert (found[4].is_default_input, found[3].is_default_output) == (True, True)
    assert sum(device.is_default_input + device.is_default_output for device in found) == 2


@pytest.mark.parametrize(
    ("wanted", "is_input", "index"),
    [
        (None, True, 2),
        (None, False, 0),
        (3, True, 3),
        ("scarlett", False, 1),
        ("Scarlett, jack", False, 2),
        ("scarlett solo", False, 3),
        ("solo", True, 3),
        ("mic", True, 4),
        ("hda", False, 0),
    ],
)
def test_choosing(found, wanted, is_input, index):
    assert devices.choose(found, wanted, is_input=is_input).index == index


@pytest.mark.parametrize(("wanted", "is_input"), [("mic", False), (0, True), (9, False), (-1, True), ("zither", True)])
def test_what_is_not_there_is_answered_with_what_is(found, wanted, is_input):
    with pytest.raises(AudioDeviceError, match="1 'Scarlett, ALSA'.*mrtpy devices") as caught:
        devices.choose(found, wanted, is_input=is_input)
    assert repr(wanted) in str(caught.value) and "\n" not in str(caught.value)


def test_none_at_all():
    with pytest.raises(AudioDeviceError, match="no output devices at all"):
        devices.choose([], None, is_input=False)


def test_what_has_to_be_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"magenta-rt-py\[audio\]"):
        devices.query()


def test_portaudio_is_missing_or_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AudioDeviceError, match="PortAudio library not found.*apt install libportaudio2"):
        devices.query()
    broken = toy()
    broken.query_devices = lambda: (_ for _ in ()).throw(RuntimeError("Unanticipated host error"))
    monkeypatch.setitem(sys.modules, "sounddevice", broken)
    with pytest.raises(AudioDeviceError, match="Unanticipated.*sound server"):
        devices.query()
