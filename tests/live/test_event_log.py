"""The log keeps every number, survives a crash, and says what is wrong with a damaged one."""

import errno
import io
import subprocess
import sys
import threading

import numpy as np
import pytest

from magenta_rt_py.live.event_log import Event, EventLog, read_events, read_header


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


def test_what_goes_in_comes_out(path):
    log = EventLog(path, {"seed": 7, "model": "starter"})
    third = np.float32(1 / 3)
    assert log.append(0, "prompt", {"text": "Käse\n\"jazz\"", "weight": 0.1 + 0.2})
    assert log.append(96_000, "controls", {"temperature": third, "vector": np.array([1, 2], np.int32)})
    assert log.append(96_000, "underrun")
    log.close()
    assert read_header(path) == {"seed": 7, "model": "starter"}
    events = list(read_events(path))
    assert events[0] == Event(0, "prompt", {"text": "Käse\n\"jazz\"", "weight": 0.1 + 0.2})
    assert np.float32(events[1].data["temperature"]) == third and events[1].data["vector"] == [1, 2]
    assert events[2] == Event(96_000, "underrun", {})
    assert len(path.read_bytes().splitlines()) == 4


def test_every_event_is_in_the_file_at_once(path):
    log = EventLog(path, {})
    for sample in range(5):
        log.append(sample, "tick")
        assert [event.sample for event in read_events(path)] == [*range(sample + 1)]


def test_a_torn_last_line_is_left_out_and_a_resumed_log_goes_on(path):
    log = EventLog(path, {"seed": 1})
    for sample in range(3):
        log.append(sample, "tick", {"value": sample})
    log.close()
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        assert [event.sample for event in read_events(path)] == [0, 1]
    path.write_bytes(whole[:-3])
    resumed = EventLog.resume(path)
    assert resumed.append(9, "tick") and resumed.problem is None
    resumed.close()
    assert [event.sample for event in read_events(path)] == [0, 1, 9]
    path.write_bytes(path.read_bytes() + b"\0\0\0\xff")  # what a power cut may leave
    assert [event.sample for event in read_events(path)] == [0, 1, 9]


def test_a_line_damaged_in_the_middle_is_an_error(path):
    log = EventLog(path, {})
    for sample in range(4):
        log.append(sample, "tick")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2][:9] + b"\n", *lines[3:]]))
    with pytest.raises(ValueError, match="line 3 is damaged"):
        list(read_events(path))
    path.write_bytes(b"".join([*lines[:2], b"[1]\n", *lines[3:]]))
    with pytest.raises(ValueError, match="line 3 is no event"):
        list(read_events(path))


@pytest.mark.parametrize("content", [b"", b"hello\n", b"[]\n", b'{"format": "other"}\n', b"\xff\xfe\n"])
def test_what_is_no_log_is_refused(path, content):
    path.write_bytes(content)
    for function in (read_header, EventLog.resume, lambda path: list(read_events(path))):
        with pytest.raises(ValueError, match="not an event log"):
            function(path)
    assert path.read_bytes() == content
    path.write_bytes(b'{"format": "magenta_rt_py event log", "version": 99, "header": {}}\n')
    with pytest.raises(ValueError, match="version 99"):
        read_header(path)


def test_events_that_could_not_be_replayed_are_refused(path):
    log = EventLog(path, {})
    for data in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(ValueError, match="not JSON"):
            log.append(0, "bad", data)
    with pytest.raises(ValueError, match="-1"):
        log.append(-1, "early")
    assert log.problem is None and list(read_events(path)) == []


def test_a_place_that_takes_no_log_is_a_problem_and_not_an_error(path, tmp_path):
    missing = EventLog(tmp_path / "nowhere" / "a.jsonl", {})
    assert not missing.append(0, "tick") and "no folder" in missing.problem
    path.write_text("precious")
    taken = EventLog(path, {})
    assert not taken.append(0, "tick") and "exists already" in taken.problem
    assert path.read_text() == "precious"
    closed = EventLog(tmp_path / "b.jsonl", {})
    closed.close()
    assert not closed.append(0, "tick") and "closed" in closed.problem


class FullDisk(io.FileIO):
    """Takes so many bytes, and part of the line that does not fit."""

    room = 1000

    def write(self, line: bytes) -> int:
        taken = super().write(line[: self.room])
        FullDisk.room -= taken
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return taken


def test_a_full_disk_ends_the_log_at_a_whole_line(path):
    log = EventLog(path, {})
    log.close()
    log = EventLog.resume(path)
    log._file = FullDisk(path, "ab")
    kept = sum(log.append(sample, "tick") for sample in range(100))
    assert 0 < kept < 100 and "the music goes on" in log.problem and "full" in log.problem
    assert path.read_bytes().endswith(b"\n")
    FullDisk.room = 1000  # room again: what was missed stays missed
    assert not log.append(100, "tick")
    assert [event.sample for event in read_events(path)] == [*range(kept)]


def test_a_killed_process_leaves_every_event(path):
    program = f"""
from magenta_rt_py.live.event_log import EventLog
log = EventLog({str(path)!r}, {{"seed": 3}})
for sample in range(200):
    log.append(sample, "tick")
print("written", flush=True)
while True:
    log.append(sample := sample + 1, "tick", {{"text": "x" * 999}})
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"written\n"
        process.kill()
    samples = [event.sample for event in read_events(path)]
    assert samples == [*range(len(samples))] and len(samples) >= 200
    resumed = EventLog.resume(path)
    assert resumed.append(10**6, "resumed")
    assert [event.sample for event in read_events(path)][-1] == 10**6


def test_several_threads_may_write(path):
    log = EventLog(path, {})
    threads = [
        threading.Thread(target=lambda which=which: [log.append(i, "tick", {"thread": which}) for i in range(100)])
        for which in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = list(read_events(path))
    for which in range(4):
        assert [event.sample for event in events if event.data["thread"] == which] == [*range(100)]
