"""The log forgets old units and keeps the counts."""

import pytest

from magenta_rt_py.live.timeline import Slot
from magenta_rt_py.live.trace import Trace


def test_memory_is_bounded():
    trace = Trace(0.1, kept_units=5)
    for unit in range(12):
        trace.add_unit(Slot("x", 0, unit, 0) if unit % 2 else None)
    assert trace.num_units == 12
    assert trace.index.tolist() == [7, -1, 9, -1, 11]
    assert trace.sequence.tolist() == [0, -1, 0, -1, 0]
    assert trace.summary().isr == 0.6
    with pytest.raises(ValueError, match="12 units were played, 5 are remembered"):
        trace.control_delays()
