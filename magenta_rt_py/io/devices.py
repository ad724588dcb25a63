"""Devices: which sound cards there are, and which of them a name means. PortAudio is loaded when it is first asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from magenta_rt_py.errors import AudioDeviceError, MissingExtraError

__all__ = ["Device", "choose", "describe", "load_sounddevice", "query"]

MOST_LISTED = 24


class Device(NamedTuple):
    """A device as PortAudio knows it."""

    index: int
    """Its number; it may change when devices come and go."""
    name: str
    """As the driver calls it."""
    host_api: str
    """ALSA, JACK Audio Connection Kit, Core Audio, Windows WASAPI, ASIO, ..."""
    input_channels: int
    """0: it cannot record."""
    output_channels: int
    """0: it cannot play."""
    default_rate_hz: int
    """Samples a second it likes best."""
    is_default_input: bool
    """Taken where no input is named."""
    is_default_output: bool
    """Taken where no output is named."""

    @property
    def full_name(self) -> str:
        """The name that tells it from the same device under another host API."""
        return f"{self.name}, {self.host_api}"


def load_sounddevice() -> Any:
    """The sounddevice module.

    Raises:
      MissingExtraError: it is not installed.
      AudioDeviceError: it is, but PortAudio is not.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError("a sound card", "sounddevice", "audio") from error
    except OSError as error:  # sounddevice loads PortAudio while it is imported
        raise AudioDeviceError(
            f"PortAudio is missing ({error}); install it: apt install libportaudio2, dnf install portaudio, "
            "or brew install portaudio"
        ) from error
    return sounddevice


def query() -> list[Device]:
    """The devices there are now, in PortAudio's order.

    Raises:
      MissingExtraError: sounddevice is not installed.
      AudioDeviceError: PortAudio is missing or does not answer.
    """
    sounddevice = load_sounddevice()
    try:
        apis = sounddevice.query_hostapis()
        default_input, default_output = _defaults(sounddevice, apis)
        return [
            Device(
                index=index,
                name=_one_line(found["name"]),
                host_api=apis[found["hostapi"]]["name"],
                input_channels=found["max_input_channels"],
                output_channels=found["max_output_channels"],
                default_rate_hz=round(found["default_samplerate"]),
                is_default_input=index == default_input,
                is_default_output=index == default_output,
            )
            for index, found in enumerate(sounddevice.query_devices())
        ]
    except sounddevice.PortAudioError as error:
        raise AudioDeviceError(f"PortAudio does not answer ({error}); is the sound server running?") from error


def choose(devices: Sequence[Device], wanted: str | int | None, *, is_input: bool) -> Device:
    """The device that is meant.

    Args:
      devices: those there are.
      wanted: its index, a part of its full name in any case, or None for the default one. A whole name wins over parts,
        and of several the first host API's.
      is_input: it has to record; otherwise to play.
    Raises:
      AudioDeviceError: there is none; the message lists what there is.
    """
    kind = "input" if is_input else "output"
    usable = [device for device in devices if (device.input_channels if is_input else device.output_channels)]
    if wanted is None:
        found = [device for device in usable if (device.is_default_input if is_input else device.is_default_output)]
        found = found or usable
    elif isinstance(wanted, int):
        found = [device for device in usable if device.index == wanted]
    else:
        low = wanted.lower()
        found = [device for device in usable if low in {device.name.lower(), device.full_name.lower()}]
        found = found or [device for device in usable if low in device.full_name.lower()]
    if found:
        return found[0]
    asked = f"no {kind} device {wanted!r}" if wanted is not None else f"no {kind} device"
    raise AudioDeviceError(f"{asked}; there are {describe(usable, kind)}; connect it, or choose another (mrtpy devices)")


def describe(devices: Sequence[Device], kind: str) -> str:
    """What there is, in one line."""
    if not devices:
        return f"no {kind} devices at all"
    names = [f"{device.index} {device.full_name!r}" for device in devices[:MOST_LISTED]]
    rest = len(devices) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def _defaults(sounddevice: Any, apis: Sequence[Any]) -> tuple[int, int]:
    """Default input and output: PortAudio's, or those of the first host API that has one; -1 if there is none."""
    chosen = []
    for device, key in zip(sounddevice.default.device, ("default_input_device", "default_output_device"), strict=True):
        known = [int(device), *(int(api[key]) for api in apis)]
        chosen.append(next((index for index in known if index >= 0), -1))
    return chosen[0], chosen[1]


def _one_line(name: str) -> str:
    return " ".join(name.split())
