"""The style pool: work is done in turn, by as many threads as there are, and texts are remembered."""

import threading

import numpy as np
import pytest

from magenta_rt_py.generators.style_pool import StylePool


def vector(number):
    return np.full(4, number, np.float32)


def test_work_is_done_in_order_and_errors_end_nothing():
    pool, done, all_done = StylePool(), [], threading.Event()

    def fail():
        raise RuntimeError("no memory")

    for number in range(5):
        pool.submit(lambda number=number: done.append(number))
        pool.submit(fail)
    pool.submit(all_done.set)
    assert all_done.wait(10.0) and done == [0, 1, 2, 3, 4]
    assert pool.close()
    pool.submit(lambda: done.append("late"))
    assert pool.close() and done == [0, 1, 2, 3, 4]


def test_two_threads_work_side_by_side():
    pool, meeting = StylePool(threads=2), threading.Barrier(3)
    for _ in range(2):
        pool.submit(lambda: meeting.wait(10.0))
    meeting.wait(10.0)
    assert pool.close()


def test_a_thread_that_hangs_is_not_waited_for():
    pool, begun, release = StylePool(), threading.Event(), threading.Event()

    def hang():
        begun.set()
        release.wait(30.0)

    pool.submit(hang)
    assert begun.wait(10.0)
    assert not pool.close(timeout_seconds=0.05)
    release.set()


def test_the_texts_that_were_used_last_are_kept():
    pool = StylePool(kept_texts=3)
    for number, text in enumerate("abc"):
        pool.keep(text, vector(number))
    assert pool.find("a")[0] == 0
    pool.keep("d", vector(3))
    assert pool.find("b") is None
    assert [pool.find(text)[0] for text in "acd"] == [0, 2, 3]
    pool.close()


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"kept_texts": 0}])
def test_a_pool_of_nothing(wrong):
    with pytest.raises(ValueError, match="give 1 or more of each"):
        StylePool(**wrong)
