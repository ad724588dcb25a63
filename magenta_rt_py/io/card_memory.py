"""Card memory: what the engine's process and the card's process share.

    fields (64-bit numbers) | texts | histogram | output ring | input ring | marks ring

The memory has no name in any file system: it is handed on as an open file, and is gone when the last process that has
it ends, however it ends. Stateful view; each part is written by one side only, the fields and texts by the card's process.
"""

from __future__ import annotations

import enum
import mmap
import os
import sys
import tempfile
import uuid
from typing import NamedTuple

import numpy as np

from magenta_rt_py.io import durations
from magenta_rt_py.io.ring import POSITION_BYTES, Ring

__all__ = ["CardMemory", "CardState", "Field", "MemorySize"]

NUM_FIELDS = 64
NAME_BYTES, REASON_BYTES = 1024, 16384
MARKS = 256
"""Breaks in the input that the reader may be behind."""
ALIGNMENT = 128


class CardState(enum.IntEnum):
    """How far the card's process has come."""

    STARTING = 0
    RUNNING = 1
    """The driver calls."""
    FAILED = 2
    """It could not be opened; the reason says why."""
    NOT_INSTALLED = 3
    """The Python package is missing."""
    LOST = 4
    """It was open and stopped."""


class Field(enum.IntEnum):
    """Places of the numbers."""

    STATE = 0
    OUTPUT_RATE_HZ = 1
    INPUT_RATE_HZ = 2
    BLOCK_DEVICE_SAMPLES = 3
    OUTPUT_LATENCY_NS = 4
    HEARTBEATS = 5
    CALLBACKS = 6
    UNDERFLOWS = 7
    DRIVER_UNDERFLOWS = 8
    INPUT_LOST = 9
    """Device samples of input for which there was no room."""
    IS_DUPLEX = 10


class MemorySize(NamedTuple):
    """How much is shared."""

    output_capacity: int
    """Device samples in the output ring."""
    output_lanes: int
    """2, or 3 with a cue."""
    input_capacity: int
    """Device samples in the input ring."""
    input_lanes: int
    """0 .. 2."""

    def offsets(self) -> list[int]:
        """Where each part begins, and the whole size at the end, in bytes."""
        parts = (
            8 * NUM_FIELDS,
            NAME_BYTES,
            REASON_BYTES,
            8 * durations.NUM_BINS,
            POSITION_BYTES + 4 * self.output_capacity * self.output_lanes,
            POSITION_BYTES + 4 * self.input_capacity * max(self.input_lanes, 1),
            POSITION_BYTES + 8 * MARKS * 2,
        )
        starts = [0]
        for part in parts:
            starts.append(starts[-1] + -(-part // ALIGNMENT) * ALIGNMENT)
        return starts


class CardMemory:
    """One process's view of the shared memory."""

    def __init__(self, shared: mmap.mmap, size: MemorySize) -> None:
        """Views a mapping that `create` or `attach` has made."""
        fields, name, reason, counts, output, inputs, marks, _ = size.offsets()
        self._fields = np.frombuffer(shared, np.int64, NUM_FIELDS, fields)
        self._name = np.frombuffer(shared, np.uint8, NAME_BYTES, name)
        self._reason = np.frombuffer(shared, np.uint8, REASON_BYTES, reason)
        self.callback_counts = np.frombuffer(shared, np.int64, durations.NUM_BINS, counts)
        """Histogram of the driver's calls (`durations`)."""
        self.output = _ring(shared, output, np.float32, size.output_capacity, size.output_lanes)
        """Main left and right, and the cue, at the device's rate."""
        self.input = _ring(shared, inputs, np.float32, size.input_capacity, max(size.input_lanes, 1))
        """What came in, at the input's rate."""
        self.marks = _ring(shared, marks, np.int64, MARKS, 2)
        """Breaks in the input: (position in the input ring, device sample of the output at it)."""

    def get(self, field: Field) -> int:
        """A number."""
        return int(self._fields[field])

    def set(self, field: Field, value: int) -> None:
        """Sets a number."""
        self._fields[field] = value

    def add(self, field: Field, value: int = 1) -> None:
        """Counts up; only the thread that a field belongs to may."""
        self._fields[field] += value

    @property
    def name(self) -> str:
        """Of the device that was opened."""
        return _text(self._name)

    @name.setter
    def name(self, text: str) -> None:
        _set_text(self._name, text)

    @property
    def reason(self) -> str:
        """Why the card does not run."""
        return _text(self._reason)

    @reason.setter
    def reason(self, text: str) -> None:
        _set_text(self._reason, text)


def create(size: MemorySize) -> tuple[CardMemory, str, tuple[int, ...]]:
    """Makes shared memory, all zero.

    Returns:
      the view, what `attach` has to be told in the other process, and the file descriptors that it must inherit. They may
      be closed once it has been started.
    """
    total = size.offsets()[-1]
    if sys.platform == "win32":
        tag = f"magenta_rt_py_{uuid.uuid4().hex}"
        return CardMemory(mmap.mmap(-1, total, tagname=tag), size), tag, ()
    descriptor = _nameless_file()
    os.ftruncate(descriptor, total)
    return CardMemory(mmap.mmap(descriptor, total), size), str(descriptor), (descriptor,)


def attach(handle: str, size: MemorySize) -> CardMemory:
    """Views the memory that another process has made.

    Args:
      handle: what `create` returned there.
      size: the same as there.
    """
    total = size.offsets()[-1]
    if sys.platform == "win32":
        return CardMemory(mmap.mmap(-1, total, tagname=handle), size)
    shared = mmap.mmap(int(handle), total)
    os.close(int(handle))
    return CardMemory(shared, size)


def _nameless_file() -> int:
    """Descriptor of a file that no directory lists."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("magenta_rt_py card")
    with tempfile.TemporaryFile() as file:  # unlinked as soon as it is made
        return os.dup(file.fileno())


def _ring(shared: mmap.mmap, offset: int, kind: type, capacity: int, lanes: int) -> Ring:
    positions = np.frombuffer(shared, np.int64, POSITION_BYTES // 8, offset)
    store = np.frombuffer(shared, kind, capacity * lanes, offset + POSITION_BYTES)
    return Ring(positions, store.reshape(capacity, lanes))


def _text(area: np.ndarray) -> str:
    return bytes(area).split(b"\0", 1)[0].decode(errors="replace")


def _set_text(area: np.ndarray, text: str) -> None:
    kept = text.encode(errors="replace")[: len(area) - 1]
    area[:] = 0
    area[: len(kept)] = np.frombuffer(kept, np.uint8)
