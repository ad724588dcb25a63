"""The ring loses nothing, doubles nothing, and keeps the order, also between processes."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.io import card_memory
from magenta_rt_py.io.ring import POSITION_BYTES, Ring


def make_ring(capacity: int, channels: int = 1) -> tuple[Ring, Ring]:
    """Both sides of a ring."""
    positions, store = np.zeros(POSITION_BYTES // 8, np.int64), np.zeros((capacity, channels), np.float32)
    return Ring(positions, store), Ring(positions, store)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 17), st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60))
def test_a_ring_is_a_queue(capacity, steps):
    writer, reader = make_ring(capacity, 2)
    queue, number = [], 0
    for is_write, count in steps:
        if is_write:
            block = np.arange(number, number + count, dtype=np.float32)[:, None].repeat(2, axis=1)
            if count > capacity - len(queue):
                with pytest.raises(ValueError, match="room"):
                    writer.write(block)
            else:
                writer.write(block)
                queue += block[:, 0].tolist()
                number += count
        else:
            got = reader.read(count)
            assert got.tolist() == [[value, value] for value in queue[:count]]
            del queue[:count]
        assert (writer.room(), reader.available()) == (capacity - len(queue), len(queue))
    assert reader.taken + len(queue) == writer.written == number


def test_positions_may_be_large():
    positions, store = np.zeros(16, np.int64), np.zeros((8, 1), np.float32)
    positions[[0, 8]] = 2**52 + 3
    ring = Ring(positions, store)
    ring.write(np.arange(7, dtype=np.float32)[:, None])
    assert ring.read()[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert ring.taken == 2**52 + 10


def test_nothing_is_lost_between_processes():
    """Sixty thousand samples through a ring of 1000, in ragged blocks, as fast as both can."""
    size = card_memory.MemorySize(1000, 2, 1, 0)
    memory, handle, inherited = card_memory.create(size)
    program = f"""
import time
import numpy as np
from magenta_rt_py.io import card_memory
ends = time.monotonic() + 60
ring = card_memory.attach({handle!r}, card_memory.MemorySize(*{tuple(size)!r})).output
rng, number = np.random.default_rng(1), 0
while number < 60_000 and time.monotonic() < ends:
    count = min(int(rng.integers(1, 400)), ring.room(), 60_000 - number)
    ring.write(np.arange(number, number + count, dtype=np.float32)[:, None] * np.float32([1, -1]))
    number += count
"""
    with subprocess.Popen([sys.executable, "-c", program], pass_fds=inherited) as writer:
        ends = time.monotonic() + 60
        number, rng, out = 0, np.random.default_rng(2), np.empty((400, 2), np.float32)
        while number < 60_000:
            count = memory.output.read_into(out[: int(rng.integers(1, 400))])
            expected = np.arange(number, number + count, dtype=np.float32)
            assert (out[:count, 0] == expected).all() and (out[:count, 1] == -expected).all()
            number += count
            assert 0 <= count and writer.poll() in (None, 0) and time.monotonic() < ends
    assert writer.returncode == 0 and memory.output.available() == 0
