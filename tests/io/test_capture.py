"""Every captured sample comes with its device sample, whatever is lost and wherever it breaks off."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.io.capture import CaptureReader, CaptureWriter
from magenta_rt_py.io.ring import Ring


def make(capacity: int, marks: int = 8) -> tuple[CaptureWriter, CaptureReader]:
    ring = Ring(np.zeros(16, np.int64), np.zeros((capacity, 1), np.float32))
    mark_ring = Ring(np.zeros(16, np.int64), np.zeros((marks, 2), np.int64))
    return CaptureWriter(ring, mark_ring), CaptureReader(ring, mark_ring)


@settings(max_examples=50, deadline=None)
@given(st.integers(10, 50), st.integers(1, 3), st.lists(st.tuples(st.integers(1, 20), st.integers(-5, 5), st.booleans())))
def test_samples_keep_their_numbers(capacity, marks, steps):
    """Each sample's value is its device sample, so that reading tells whether the numbers are right."""
    writer, reader = make(capacity, marks)
    device, position, got, kept = 100, None, [], 0
    for count, gap, reads in steps:
        device += gap if gap in (-5, 5) else 0
        lost = writer.lost
        writer.write(np.arange(device, device + count, dtype=np.float32)[:, None], device)
        kept += count if writer.lost == lost else 0
        device += count
        for run in reader.read() if reads else []:
            position = run.device_start if run.device_start is not None else position
            got += (run.samples[:, 0] == np.arange(position, position + len(run.samples))).tolist()
            position += len(run.samples)
    for run in reader.read():
        position = run.device_start if run.device_start is not None else position
        got += (run.samples[:, 0] == np.arange(position, position + len(run.samples))).tolist()
        position += len(run.samples)
    assert all(got) and len(got) == kept


def test_a_full_ring_loses_whole_blocks_and_says_so():
    writer, reader = make(10)
    for start in (0, 4, 8, 12):
        writer.write(np.zeros((4, 1), np.float32), start)
    assert writer.lost == 8
    assert [(run.device_start, len(run.samples)) for run in reader.read()] == [(0, 8)]
    writer.write(np.zeros((4, 1), np.float32), 16)
    writer.write(np.zeros((4, 1), np.float32), 20)
    assert [(run.device_start, len(run.samples)) for run in reader.read()] == [(16, 8)]


def test_input_at_another_rate_goes_on_without_marks():
    writer, reader = make(100)
    writer.write(np.zeros((4, 1), np.float32), 0, 8)
    writer.write(np.zeros((4, 1), np.float32), 8, 8)
    assert [(run.device_start, len(run.samples)) for run in reader.read()] == [(0, 8)]
