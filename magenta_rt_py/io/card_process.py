"""Card process: the program that has the driver's calls, so that nothing in the engine's process can hold them up.

It imports neither JAX nor a model, and its garbage collector rests. It says how it is doing in the shared memory, and ends
by itself when the engine's process does. A driver that hangs can be killed with it, and a new process knows devices that
were plugged in since. Stateful; `main` is what `card_child` starts.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from typing import NoReturn

from magenta_rt_py.errors import AudioDeviceError, MissingExtraError
from magenta_rt_py.io import card_memory
from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.card_memory import CardMemory, CardState, Field, MemorySize
from magenta_rt_py.io.card_streams import OpenStreams, open_streams

__all__ = ["main"]

POLL_SECONDS = 0.05
SILENT_POLLS = 20
"""A driver that has not called for so many polls (1 s) is lost. Polls, not time: a machine that slept is forgiven."""
FIRST_SILENT_POLLS, SETTLING_POLLS = 60, 120
"""The same for the first 6 s: sound servers call a few times and then may pause for two seconds."""
LAST_BLOCKS = 3
"""Driver's calls in which the sound fades at the end."""
EXIT_SECONDS = 1.0
"""Time for an orderly end; then the process ends anyway."""


def main() -> None:
    """Runs the card until it is lost or the engine's process closes our standard input or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which then closes the card
    request = json.loads(sys.argv[1])
    memory = card_memory.attach(request["memory"], MemorySize(*request["size"]))
    ending = threading.Event()
    threading.Thread(target=_watch_engine, args=(ending,), daemon=True).start()
    _hush()
    try:
        opened = open_streams(memory, CardConfig.from_json(request["config"]))
    except MissingExtraError as error:
        _give_up(memory, CardState.NOT_INSTALLED, str(error))
    except AudioDeviceError as error:
        _give_up(memory, CardState.FAILED, str(error))
    except Exception as error:  # PortAudio's, and whatever a driver makes of itself
        _give_up(memory, CardState.FAILED, f"it could not be opened: {error or type(error).__name__}")
    gc.collect()
    gc.freeze()
    gc.disable()
    _attend(memory, opened, ending)
    _close(memory, opened)


def _watch_engine(ending: threading.Event) -> None:
    """Notices that the engine's process has closed the pipe, by ending or on purpose."""
    while os.read(0, 64):
        pass
    ending.set()
    time.sleep(EXIT_SECONDS)  # if the driver hangs, the orderly end never comes
    os._exit(0)


def _attend(memory: CardMemory, opened: OpenStreams, ending: threading.Event) -> None:
    """Watches over the driver until the end."""
    parent = os.getppid()
    calls, silent, polls = 0, 0, 0
    while not ending.wait(POLL_SECONDS) and os.getppid() == parent:
        memory.add(Field.HEARTBEATS)
        before, calls = calls, memory.get(Field.CALLBACKS)
        silent = 0 if calls > before else silent + 1
        polls += min(calls, 1)
        most = FIRST_SILENT_POLLS if polls < SETTLING_POLLS else SILENT_POLLS
        is_running = memory.get(Field.STATE) == CardState.RUNNING
        if calls and not is_running:
            memory.set(Field.STATE, CardState.RUNNING)
        if not all(stream.active for stream in opened.streams):
            _give_up(memory, CardState.LOST if is_running else CardState.FAILED, "the driver has stopped")
        if is_running and silent >= most:
            _give_up(memory, CardState.LOST, f"the driver has not asked for sound for {most * POLL_SECONDS:g} s")


def _close(memory: CardMemory, opened: OpenStreams) -> None:
    opened.playback.end()
    last = memory.get(Field.CALLBACKS) + LAST_BLOCKS
    for _ in range(round(EXIT_SECONDS / 2 / 0.01)):
        if memory.get(Field.CALLBACKS) >= last:
            break
        time.sleep(0.01)
    for stream in opened.streams:
        stream.abort()
        stream.close()


def _give_up(memory: CardMemory, state: CardState, reason: str) -> NoReturn:
    """Says why and ends at once: closing a device that is gone may hang, or abort the process."""
    memory.reason = " ".join(reason.split())
    memory.set(Field.STATE, state)
    os._exit(0)


def _hush() -> None:
    """Drivers write to the terminal as they like; what matters is in the shared memory."""
    if "MRT_DEBUG" in os.environ:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
