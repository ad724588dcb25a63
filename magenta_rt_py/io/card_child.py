"""Card child: the engine's end of the card's process: starts it, sees how it is doing, ends it. Stateful."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import magenta_rt_py
from magenta_rt_py.errors import AudioDeviceError, MissingExtraError
from magenta_rt_py.io import card_memory
from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.card_memory import CardState, Field, MemorySize

__all__ = ["CardChild"]

POLL_SECONDS = 0.005
STALE_SECONDS = 3.0
"""A process without a heartbeat for so long hangs."""
CLOSING_SECONDS = 1.5
"""Time for an orderly end; then it is killed."""
INPUT_CAPACITY = 2**20
"""Samples of input that are kept for an engine that is busy: 20 s at 48 kHz."""
FASTEST_FACTOR = 8  # 384 kHz
SLACK_SAMPLES = 9600
PROGRAM = "from magenta_rt_py.io.card_process import main; main()"


class CardChild:
    """A card's process. Its devices are those that there are when it is made."""

    def __init__(self, config: CardConfig) -> None:
        """Starts the process; `wait_until_open` says what became of it."""
        self._config = config
        most = (config.buffer_samples + SLACK_SAMPLES) * FASTEST_FACTOR
        size = MemorySize(
            output_capacity=2 ** (most - 1).bit_length(),
            output_lanes=3 if config.cue_channels else 2,
            input_capacity=INPUT_CAPACITY if config.has_input else 1,
            input_lanes=len(config.input_channels) if config.has_input else 0,
        )
        self.memory, handle, inherited = card_memory.create(size)
        """What is shared with it."""
        request = {"memory": handle, "size": list(size), "config": config.to_json()}
        # The package is imported from where it is here, installed or not.
        root = str(Path(magenta_rt_py.__file__).parents[1])
        paths = [path for path in (os.environ.get("PYTHONPATH"), root) if path]
        self._complaints = tempfile.TemporaryFile()  # a pipe that nobody empties would block it  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=None if "MRT_DEBUG" in os.environ else self._complaints,
                pass_fds=inherited,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C is for the engine
            )
        finally:
            for descriptor in inherited:
                os.close(descriptor)
        self._beats, self._beat_at = -1, time.monotonic()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def output_name(self) -> str:
        """Full name of the output device; empty before it is open."""
        return self.memory.name.partition("\n")[0]

    @property
    def input_name(self) -> str:
        """Full name of the input device; empty without one."""
        return self.memory.name.partition("\n")[2]

    def wait_until_open(self, ending: threading.Event | None = None) -> None:
        """Waits until the driver asks for sound.

        Args:
          ending: set to stop waiting.
        Raises:
          MissingExtraError: sounddevice is not installed.
          AudioDeviceError: it cannot be opened, does not answer, or `ending` was set. The process has been ended.
        """
        ends = time.monotonic() + self._config.opening_seconds
        try:
            while not (ending and ending.is_set()):
                has_ended = self._process.poll() is not None  # before the state, which it may set and end
                state = self.memory.get(Field.STATE)
                if state == CardState.RUNNING:
                    return
                if state == CardState.NOT_INSTALLED:
                    raise MissingExtraError("a sound card", "sounddevice", "audio")
                if state == CardState.FAILED:
                    raise AudioDeviceError(self._named(self.memory.reason))
                if has_ended:
                    raise AudioDeviceError(self._named(f"its process ended while opening it ({self._last_words()})"))
                if time.monotonic() > ends:
                    seconds = f"{self._config.opening_seconds:g} s"
                    advice = "close other programs that use it, ask for a longer latency, or choose another (mrtpy devices)"
                    raise AudioDeviceError(self._named(f"it has not asked for sound within {seconds}; {advice}"))
                time.sleep(POLL_SECONDS)
            raise AudioDeviceError("opening the sound card was stopped")
        except BaseException:
            self.kill()
            raise

    def problem(self) -> str | None:
        """Why a card that was open runs no more; None if it does."""
        if self._process.poll() is not None:
            return self.memory.reason or f"its process ended ({self._last_words()})"
        beats, now = self.memory.get(Field.HEARTBEATS), time.monotonic()
        if beats != self._beats:
            self._beats, self._beat_at = beats, now
        return f"its driver hangs since {STALE_SECONDS:g} s" if now - self._beat_at > STALE_SECONDS else None

    def close(self) -> None:
        """Ends the process in an orderly way: the sound fades; after 1.5 s it is killed."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSING_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs inside the kernel cannot even be killed
            self._process.wait(CLOSING_SECONDS)
        if self._process.stdin:
            self._process.stdin.close()
        self._complaints.close()

    def _named(self, reason: str) -> str:
        """With the device in front, if the reason does not tell it."""
        name = self.output_name
        return f"sound card {name!r}: {reason}" if name and name not in reason else reason

    def _last_words(self) -> str:
        """What the process said before it ended."""
        said = b""
        if not self._complaints.closed:
            self._complaints.seek(0)
            said = self._complaints.read()
        lines = said.decode(errors="replace").strip().splitlines()
        return f"exit code {self._process.returncode}" + (f": {lines[-1].strip()}" if lines else "")
