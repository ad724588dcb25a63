"""What a busy device forgets."""

import pytest

from magenta_rt_py.live.overload import Overload, RequestQueue


@pytest.mark.parametrize(
    ("overload", "served", "forgotten"),
    [(Overload.FIFO, [1, 2, 3], 0), (Overload.LATEST, [3], 2), (Overload.DROP, [], 3)],
)
def test_while_busy(overload, served, forgotten):
    line = RequestQueue(overload)
    for number in (1, 2, 3):
        line.put(number, busy=True)
    taken = []
    while (number := line.take()) is not None:
        taken.append(number)
    assert taken == served
    assert line.num_forgotten == forgotten
    assert len(line) == 0


@pytest.mark.parametrize("overload", list(Overload))
def test_an_idle_device_serves_at_once(overload):
    line = RequestQueue(overload)
    line.put("a", busy=False)
    assert len(line) == 1
    assert line.take() == "a"
    assert line.take() is None
    assert line.num_forgotten == 0


def test_clear_counts_what_it_forgets():
    line = RequestQueue(Overload.FIFO)
    line.put("a", busy=True)
    line.put("b", busy=True)
    line.clear()
    assert (len(line), line.num_forgotten) == (0, 2)
