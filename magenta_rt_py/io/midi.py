"""MIDI: the ports of this machine, and one of them looked after.

    port (MidiInput: opened by name, comes back after it was unplugged) -> MidiControls (midi_controls.py)

Stateful; `list_midi_ports` and `open_midi_port` are not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from magenta_rt_py.errors import MissingExtraError, MrtError
from magenta_rt_py.io.midi_controls import MidiClockState, MidiControls
from magenta_rt_py.io.midi_map import ControlBinding, MidiMap, NoteBinding

__all__ = [
    "ControlBinding",
    "MidiClockState",
    "MidiControls",
    "MidiInput",
    "MidiMap",
    "MidiPort",
    "NoteBinding",
    "list_midi_ports",
    "open_midi_port",
]

SEQUENCER = "/dev/snd/seq"
"""Linux's MIDI; without this file there is none, and the library would write lines of its own about that."""


@runtime_checkable
class MidiPort(Protocol):
    """An open port."""

    def list_ports(self) -> list[str]:
        """Names of all inputs that are there now, asked without opening anything: JACK stumbles when clients come and go."""
        ...

    def close(self) -> None:
        """No message comes after it."""
        ...


class MidiInput:
    """A port that is looked after, by a thread: found by a part of its name, and found again after it was unplugged."""

    def __init__(
        self,
        controls: MidiControls,
        name: str,
        *,
        poll_seconds: float = 1.0,
        list_ports: Callable[[], list[str]] | None = None,
        open_port: Callable[[str, Callable[[Any], None]], MidiPort] | None = None,
    ) -> None:
        """Opens the port.

        Args:
          controls: gets the messages.
          name: a part of the port's name, in any case; see `list_midi_ports`.
          poll_seconds: how often it is looked whether the port is there.
          list_ports, open_port: instead of this machine's.
        Raises:
          MissingExtraError: mido or python-rtmidi is not installed.
          MrtError: this machine has no MIDI, or the port is in use.
          ValueError: no port has that name; says which there are.
        """
        self._controls, self._wanted, self._poll_seconds = controls, name, poll_seconds
        self._list_ports, self._open_port = list_ports or list_midi_ports, open_port or open_midi_port
        self._port: MidiPort | None = None
        self._name: str | None = None
        self._problem: str | None = None
        names = self._list_ports()
        found = _match(name, names)
        if found is None:
            there = ", ".join(repr(each) for each in names) or "none"
            raise ValueError(f"there is no MIDI input with {name!r} in its name; there are: {there}")
        self._port, self._name = self._open_port(found, controls.handle), found
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="midi", daemon=True)
        self._thread.start()

    def __enter__(self) -> MidiInput:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str | None:
        """Full name of the open port; None while it is gone."""
        return self._name

    @property
    def problem(self) -> str | None:
        """Why nothing comes, or what could not be followed, in one line; None if all is well."""
        return self._problem or self._controls.problem

    def close(self) -> None:
        """Closes the port. Calling it again does nothing."""
        self._ending.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=5.0)
        self._let_go()

    def _watch(self) -> None:
        while not self._ending.wait(self._poll_seconds):
            try:
                self._look()
            except Exception as error:  # whatever the driver says, it is asked again
                self._problem = f"MIDI input {self._wanted!r}: {' '.join(str(error).split())[:200]}; trying again"

    def _look(self) -> None:
        names = self._list_ports() if self._port is None else self._port.list_ports()
        if self._name is not None and self._name not in names:
            gone = self._name
            self._let_go()
            self._problem = f"MIDI input {gone!r} is gone, the music goes on; plug it in again"
        if self._name is None and (found := _match(self._wanted, names)) is not None:
            self._port, self._name = self._open_port(found, self._controls.handle), found
        if self._name is not None:
            self._problem = None

    def _let_go(self) -> None:
        port, self._port, self._name = self._port, None, None
        if port is not None:
            with contextlib.suppress(Exception):  # the device may be gone already
                port.close()


class _MidoPort:
    """A port of mido's (stateful)."""

    def __init__(self, port: Any) -> None:
        """Takes an open port over."""
        self._port = port

    def list_ports(self) -> list[str]:
        """See MidiPort."""
        driver = getattr(self._port, "_rt", None)  # python-rtmidi's own object; other backends have none
        return list_midi_ports() if driver is None else list(driver.get_ports())

    def close(self) -> None:
        """See MidiPort."""
        self._port.close()


def list_midi_ports() -> list[str]:
    """Names of the MIDI inputs of this machine.

    Raises:
      MissingExtraError: mido or python-rtmidi is not installed.
      MrtError: this machine has no MIDI; says in one line what to do.
    """
    _check_sequencer()
    try:
        import mido

        return list(dict.fromkeys(mido.Backend().get_input_names()))
    except ImportError as error:
        raise MissingExtraError("MIDI", error.name or "mido", "midi") from error
    except (OSError, RuntimeError) as error:
        raise _no_midi(str(error)) from error


def open_midi_port(name: str, callback: Callable[[Any], None]) -> MidiPort:
    """Opens an input.

    Args:
      name: in full, as `list_midi_ports` gives it.
      callback: called with each mido.Message, on a thread of the driver.
    Raises:
      MissingExtraError: mido or python-rtmidi is not installed.
      MrtError: it cannot be opened.
    """
    _check_sequencer()
    try:
        import mido

        return _MidoPort(mido.Backend().open_input(name, callback=callback))
    except ImportError as error:
        raise MissingExtraError("MIDI", error.name or "mido", "midi") from error
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise MrtError(f"MIDI input {name!r} cannot be opened ({reason}); close what else uses it") from error


def _check_sequencer() -> None:
    """Says that there is no MIDI before the library has written about it.

    Raises:
      MrtError: on Linux, unless another way than ALSA was chosen.
    """
    way = os.environ.get("MIDO_BACKEND", "")  # mido's own setting
    uses_alsa = not way or way.endswith(("rtmidi", "LINUX_ALSA"))
    if sys.platform.startswith("linux") and uses_alsa and not Path(SEQUENCER).exists():
        raise _no_midi(f"{SEQUENCER} is missing")


def _no_midi(reason: str) -> MrtError:
    advice = "load the kernel's snd-seq module (modprobe snd-seq), or play without MIDI; OSC works everywhere"
    if not sys.platform.startswith("linux"):
        advice = "connect a device, or play without MIDI; OSC works everywhere"
    return MrtError(f"this machine has no MIDI ({' '.join(reason.split())}): {advice}")


def _match(wanted: str, names: list[str]) -> str | None:
    """The port of that name, or the first that has it in its name."""
    if wanted in names:
        return wanted
    return next((name for name in names if wanted.casefold() in name.casefold()), None)
