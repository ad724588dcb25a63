"""A generator whose answers are looked at can still be asked for several at once."""

import numpy as np
import pytest

from magenta_rt_py.live.checked import Checked, CheckedBatch, checked
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.generator import BatchGenerator, Kind, Request

REQUEST = Request(0, 0, 0, 2)


class Alone:
    def __init__(self, frames):
        self.frames = frames

    def generate(self, request):
        return self.frames


class Together(Alone):
    def kind(self, request):
        return Kind("together", (1, 2), (0.1, 0.2))

    def begin(self, request):
        return request.number

    def run(self, parts):
        return [10 * part for part in parts]

    def end(self, request, made):
        return self.frames if made == 10 * request.number else []


def frames_of(*codes):
    return [Frame(np.array(each, np.int32), 0.0, 120.0) for each in codes]


def test_one_that_serves_one_at_a_time_stays_so():
    found = checked(Alone(frames_of([1, 2])), levels=2)
    assert type(found) is Checked and not isinstance(found, BatchGenerator)
    assert len(found.generate(REQUEST)) == 1


def test_one_that_serves_several_is_asked_in_its_three_parts_and_its_answer_is_looked_at():
    good = checked(Together(frames_of([1, 2], [3, 4])), levels=2)
    assert isinstance(good, CheckedBatch) and isinstance(good, BatchGenerator)
    assert good.kind(REQUEST).sizes == (1, 2)
    made = good.run([good.begin(REQUEST._replace(number=number)) for number in (3, 5)])
    assert len(good.end(REQUEST._replace(number=5), made[1])) == 2
    with pytest.raises(ValueError, match="no frames"):
        good.end(REQUEST._replace(number=5), made[0])
    with pytest.raises(ValueError, match="frame 0 has 2 codes; expected 3"):
        checked(Together(frames_of([1, 2])), levels=3).end(REQUEST, 0)
