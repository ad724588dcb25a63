"""Everything is written down in order, no disk is waited for, and no disk can stop the music."""

import threading
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live import transport as transports
from magenta_rt_py.live.event_log import read_events, read_header
from magenta_rt_py.live.frame import Conditioning
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.journal import Journal, pack_codes, unpack_codes
from magenta_rt_py.live.timeline import Slot

CONDITIONING = Conditioning(1.1, 40, 0.5, 0.0, (1, 2, 3), transports.start(125.0))


class BrokenFile:
    """A file on a full disk."""

    def tell(self):
        return 0

    def write(self, line):
        raise OSError(28, "No space left on device")

    def truncate(self, size):
        raise OSError(5, "Input/output error")

    def close(self):
        pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


def test_events_survive_in_order(path):
    journal = Journal(path, {"seed": 7})

    def write(thread):
        for number in range(200):
            journal.event(number, "knob", {"thread": thread, "number": number, "value": 0.1 + 0.2})

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    journal.event(-5, "knob", {"thread": 0, "number": 200})  # before the first sample
    journal.close()
    assert read_header(path) == {"seed": 7}
    events = list(read_events(path))
    assert len(events) == 601 and journal.log.problem is None and journal.problem is None
    for thread in range(3):
        mine = [event for event in events if event.data["thread"] == thread][:200]
        assert [event.data["number"] for event in mine] == [event.sample for event in mine] == [*range(200)]
    assert events[0].data["value"] == 0.1 + 0.2 and events[-1].sample == 0


def test_requests_and_what_is_played(path):
    journal = Journal(path, {})
    heard = np.array([[-1, 1023], [5, 6]], np.int32)
    journal.request(9, Request(3, 40, 50, 15, (1,) * 250, CONDITIONING, sequence=12, seed=1), heard)
    journal.request(9, Request(4, 40, 60, 15, (), CONDITIONING), None)
    heard[:] = 0  # it is the generator's again
    for place, (request, index) in enumerate([(3, 0), (3, 1), (3, 2), (4, 1), (4, 2), (4, 4)]):
        journal.play(1920 * place, 50 + place, Slot("payload", request, index, 12))
    journal.close()
    first, second, *plays = read_events(path)
    assert (first.kind, first.data["number"], first.data["start"], first.data["length"]) == ("request", 3, 50, 15)
    assert (first.data["sequence"], first.data["seed"], second.data["seed"]) == (12, 1, 0)
    assert Conditioning.from_json(first.data["conditioning"]) == CONDITIONING
    np.testing.assert_array_equal(unpack_codes(first.data["heard"]), [[-1, 1023], [5, 6]])
    assert second.data["heard"] is None
    assert [(each.sample, each.data["unit"], each.data["request"], each.data["index"]) for each in plays] == [
        (0, 50, 3, 0),
        (3 * 1920, 53, 4, 1),
        (5 * 1920, 55, 4, 4),
    ]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 5), st.integers(1, 17), st.integers(0, 2**32 - 1))
def test_codes_pack(frames, levels, seed):
    codes = np.random.default_rng(seed).integers(-1, 1024, (frames, levels)).astype(np.int32)
    back = unpack_codes(pack_codes(codes))
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, codes)


def test_checksums_are_those_of_all_that_went_out(path):
    rng = np.random.default_rng(0)
    journal, sent, written = Journal(path, {}), b"", 0
    while written < 1_000_000:
        samples = rng.normal(size=(2 * int(rng.integers(1, 9000)), 2))[::2]  # neither float32 nor in one piece
        journal.heard(written, samples)
        sent += samples.astype(np.float32).tobytes()
        written += len(samples)
    journal.end(written, 700)
    journal.close()
    *checks, end = read_events(path)
    assert [check.kind for check in checks] == ["check"] * 3 and (end.kind, end.data) == ("end", {"unit": 700})
    samples = [check.sample for check in checks]
    assert samples[-1] == end.sample == written
    assert all(480_000 <= gap < 490_000 for gap in np.diff([0, *samples[:-1]]))
    assert [check.data["crc"] for check in checks] == [zlib.crc32(sent[: 8 * sample]) for sample in samples]


def test_a_full_disk_is_a_problem_and_no_error(path):
    journal = Journal(path, {})
    journal.event(0, "knob", {"value": 1})
    done = threading.Event()
    journal.later(done.set)
    assert done.wait(10.0)
    journal.log._file.close()
    journal.log._file = BrokenFile()
    for sample in range(5):
        journal.event(sample, "knob", {"value": sample})
        journal.heard(480_000 * sample, np.zeros((480_000, 2), np.float32))
    journal.end(5, 5)
    journal.close()
    assert "stopped, the music goes on" in journal.log.problem
    assert [event.data for event in read_events(path)] == [{"value": 1}]


def test_a_place_that_takes_no_log(tmp_path):
    journal = Journal(tmp_path / "missing" / "log.jsonl", {})
    journal.event(0, "knob", {})
    journal.close()
    assert "there is no folder" in journal.log.problem


def test_an_event_that_cannot_be_written_down(path):
    journal = Journal(path, {})
    journal.event(0, "knob", {"value": object()})
    journal.close()
    assert "missed something" in journal.log.problem


def test_other_work_that_fails_does_not_end_the_log(path):
    journal = Journal(path, {})

    def fail():
        raise OSError("no place for a checkpoint")

    journal.later(fail)
    journal.event(0, "knob", {})
    journal.close()
    assert "no place for a checkpoint" in journal.problem
    assert journal.log.problem is None and len(list(read_events(path))) == 1


def test_nobody_waits_for_a_slow_disk(path):
    journal, slow = Journal(path, {}), threading.Event()
    journal.later(lambda: slow.wait(30.0))
    began = time.monotonic()
    for sample in range(1000):
        journal.event(sample, "knob", {})
    assert time.monotonic() - began < 10.0 and not slow.is_set()
    slow.set()
    journal.close()
    assert len(list(read_events(path))) == 1000


def test_without_a_file():
    journal, done = Journal(None, {}), []
    journal.event(0, "knob", {})
    journal.heard(0, np.zeros((480_000, 2), np.float32))
    journal.later(lambda: done.append(1))
    journal.end(480_000, 250)
    journal.close()
    assert journal.log is None and done == [1]
