"""What two processes share, and that it leaves nothing behind."""

import os
from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py.io import card_memory
from magenta_rt_py.io.card_memory import CardMemory, CardState, Field, MemorySize


def test_both_sides_see_the_same():
    size = MemorySize(output_capacity=100, output_lanes=3, input_capacity=50, input_lanes=1)
    here, handle, inherited = card_memory.create(size)
    there = card_memory.attach(handle, size)
    with pytest.raises(OSError):
        os.fstat(inherited[0])  # attach has closed it
    assert (here.name, here.reason, here.get(Field.STATE)) == ("", "", CardState.STARTING)
    there.name, there.reason = "Übercard", "x" * 100_000
    there.set(Field.STATE, CardState.LOST)
    there.add(Field.CALLBACKS)
    there.add(Field.CALLBACKS, 2)
    there.callback_counts[-1] = 7
    assert here.name == "Übercard" and set(here.reason) == {"x"} and here.reason
    assert (here.get(Field.STATE), here.get(Field.CALLBACKS), here.callback_counts[-1]) == (CardState.LOST, 3, 7)
    for near, far, lanes in ((here.output, there.output, 3), (here.input, there.input, 1), (here.marks, there.marks, 2)):
        block = np.arange(near.capacity * lanes).reshape(-1, lanes)
        near.write(block)
        np.testing.assert_array_equal(far.read(), block)
    assert there.callback_counts[-1] == 7 and here.name == "Übercard"  # the rings overlap nothing


@pytest.mark.parametrize("has_memfd", [True, False])
def test_the_memory_has_no_name(monkeypatch, tmp_path, has_memfd):
    if not has_memfd:
        monkeypatch.delattr(os, "memfd_create", raising=False)
        monkeypatch.setattr(card_memory.tempfile, "tempdir", str(tmp_path))
    before = set(os.listdir("/dev/shm")) if Path("/dev/shm").is_dir() else set()
    memory, _, (descriptor,) = card_memory.create(MemorySize(10, 2, 1, 0))
    memory.set(Field.STATE, 1)
    os.close(descriptor)
    assert isinstance(memory, CardMemory) and not os.listdir(tmp_path)
    now = set(os.listdir("/dev/shm")) if Path("/dev/shm").is_dir() else set()
    assert not {name for name in now - before if "magenta" in name or "psm" in name}
