"""What was played is found again by bar, and a checkpoint is there whole or not at all."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live import memory
from magenta_rt_py.live import transport as transports
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.memory import Checkpoint, Memory, read_checkpoint, write_checkpoint


def frame(number):
    return Frame(np.array([number, 7], np.int32), number / 12, 125.0)


def numbers(frames):
    return [None if each is None else int(each.codes[0]) for each in frames]


def same(first, second):
    return len(first) == len(second) and all(
        (a is None) == (b is None) and (a is None or (np.array_equal(a.codes, b.codes) and a[1:] == b[1:]))
        for a, b in zip(first, second)
    )


def test_the_ten_seconds_before():
    kept = Memory((None, *map(frame, range(-249, 0))))
    assert numbers(kept.before(0)) == [None, *range(-249, 0)]
    for number in range(300):
        kept.add(frame(number))
    assert kept.end == 300
    assert numbers(kept.before(300)) == [*range(50, 300)]
    assert numbers(kept.before(100)) == [*range(-150, 100)]
    assert numbers(kept.before(-200)) == [None, *range(-249, -200)]
    for wrong in (301, -250, -1000):
        with pytest.raises(ValueError, match=rf"frame {wrong} is not in memory; give -249 \.\. 300"):
            kept.before(wrong)


def test_it_forgets_after_twenty_minutes():
    kept = Memory()
    one = frame(0)
    for _ in range(30_010):
        kept.add(one)
    assert len(kept.before(30_010)) == 250 and len(kept.before(11)) == 1
    with pytest.raises(ValueError, match="not in memory"):
        kept.before(10)


def test_a_snapshot_is_not_changed_by_what_comes_after():
    kept = Memory(tuple(map(frame, range(-250, 0))))
    saved = kept.before(0)
    kept.add(frame(0))
    assert numbers(saved) == [*range(-250, 0)]


def test_bar_lines():
    transport = transports.start(125.0)  # a bar is 48 frames
    assert [memory.bar_line_before(transport, at) for at in (0, 47, 48, 95, 96)] == [0, 0, 48, 48, 96]
    assert [memory.bar_line_before(transport, 100, bars=bars) for bars in (1, 2, 3)] == [48, 0, -48]
    assert [memory.bar_line_after(transport, at) for at in (0, 1, 48, 49)] == [0, 48, 48, 96]


@settings(max_examples=80, deadline=None)
@given(
    st.floats(40.0, 250.0),
    st.integers(1, 7),
    st.lists(st.tuples(st.integers(1, 200), st.floats(40.0, 250.0)), max_size=4),
    st.integers(0, 2000),
    st.integers(0, 5),
)
def test_bar_lines_of_any_tempo(bpm, beats_per_bar, changes, at, bars):
    transport, place = transports.start(bpm, beats_per_bar=beats_per_bar), 0
    for frames, other in changes:
        place += frames
        transport = transport.with_bpm(other, place)
    before, after = memory.bar_line_before(transport, at), memory.bar_line_after(transport, at)
    assert before <= at <= after
    earlier = memory.bar_line_before(transport, at, bars=bars)
    for line in (before, after, earlier):  # within the frame before
        assert transport.bar_position(line + 1e-5).bar == transport.bar_position(line - 1.0 + 1e-5).bar + 1
    one_bar = [transport.bar_position(line + 1e-5).bar for line in (earlier, before)]
    assert one_bar[1] - one_bar[0] == bars
    assert transport.bar_position(after + 1e-5).bar - one_bar[1] == (after > before)


CHECKPOINT = Checkpoint(
    past=(None, *map(frame, range(100)), Frame(np.array([1023, 0], np.int32), 0.1 + 0.2, 1 / 3)),
    settings={"prompt/1/text": "Käse \"jazz\" 🎹", "temperature": 0.1 + 0.2, "midi_clock": True, "top_k": 7},
    beat=1 / 3,
    bpm=127.3,
)


def test_a_checkpoint_comes_back(tmp_path):
    path = tmp_path / "last.json"
    write_checkpoint(path, CHECKPOINT)
    write_checkpoint(path, CHECKPOINT)  # over the one before
    back = read_checkpoint(path)
    assert same(back.past, CHECKPOINT.past) and back[1:] == CHECKPOINT[1:]
    assert os.listdir(tmp_path) == ["last.json"]


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """Whatever fails, and whenever the process dies: the file is the old one or the new one."""
    path = tmp_path / "last.json"
    write_checkpoint(path, CHECKPOINT)
    old = path.read_bytes()
    newer = CHECKPOINT._replace(bpm=90.0)
    write, seen = Path.write_text, []

    def write_half(self, text, **options):
        write(self, text[: len(text) // 2], **options)
        seen.append(path.read_bytes())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, newer)
    assert seen == [old] and path.read_bytes() == old
    monkeypatch.undo()
    write_checkpoint(path, newer)
    assert read_checkpoint(path).bpm == 90.0


def test_a_torn_checkpoint_is_refused(tmp_path):
    path = tmp_path / "last.json"
    write_checkpoint(path, CHECKPOINT._replace(past=CHECKPOINT.past[:3]))
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"last.json: no checkpoint of a performance .*; start without --resume"):
            read_checkpoint(path)


GOOD = {"format": "magenta_rt_py checkpoint", "past": [[[1], 0.0, 120.0]], "settings": {}, "beat": 0.0, "bpm": 120.0}


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\xff\xfe",
        b"RIFF....WAVEfmt ",
        b"[]",
        b"3",
        b"null",
        b"{}",
        json.dumps({**GOOD, "format": "magenta_rt_py event log"}).encode(),
        *(
            json.dumps({**GOOD, name: wrong}).encode()
            for name, wrong in (
                ("past", 3),
                ("past", [[]]),
                ("past", [[["x"], 0.0, 1.0]]),
                ("past", [[[2**40], 0.0, 1.0]]),
                ("settings", [1, 2]),
                ("settings", None),
                ("beat", None),
                ("beat", float("nan")),
                ("bpm", "fast"),
            )
        ),
        *(json.dumps({key: GOOD[key] for key in keys}).encode() for keys in itertools.combinations(GOOD, 4)),
    ],
)
def test_a_foreign_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "last.json"
    path.write_text(json.dumps(GOOD))
    assert numbers(read_checkpoint(path).past) == [1]
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no checkpoint of a performance"):
        read_checkpoint(path)
    with pytest.raises(OSError):
        read_checkpoint(tmp_path / "none.json")
