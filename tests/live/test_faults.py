"""Faults, put in one by one: each ends in music or in one clear message, never in a click or a hang.

docs/reliability.md has the table; tests/test_reliability.py holds it against these tests. Types are not checked while these
tests run: what a broken model or card hands over must be caught in the field, too, where nobody checks them.
"""

import errno
import math
import re
import threading
import time

import jaxtyping
import numpy as np
import pytest
import soundfile

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.io.osc import OscServer
from magenta_rt_py.live import memory, planner, recording_file, replay, session
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.clock import VirtualClock, WallClock
from magenta_rt_py.live.event_log import read_events
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.live.worker import SimulatedWorker, ThreadWorker

FRAME = 1920
STEP = 0.5 * 2 * np.pi * 200 / 48_000
"""Largest step between neighbouring samples of the music."""
CROSSFADE = 1.6
"""Where the music comes back, two sounds of equal power are added for 20 ms. A click would be a step of 38 times."""


@pytest.fixture(autouse=True)
def unchecked():
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def make_past():
    return tuple(Frame(np.array([number - 250, 0], np.int32), 0.0, 120.0) for number in range(250))


class Model:
    """Counts on from the last frame of its history, unless there is trouble."""

    def __init__(self):
        self.trouble = None  # given the frames it would have made
        self.times_slower = 1.0
        self.heard = []

    def generate(self, request):
        if request.heard is not None:
            self.heard.append(request.heard.samples)
        last = next(frame.codes[0] for frame in reversed(request.history) if frame is not None)
        frames = [Frame(np.array([last + 1 + place, 0], np.int32), 0.0, 120.0) for place in range(request.length)]
        return frames if self.trouble is None else self.trouble(frames)

    def seconds(self, request):
        return (0.2 if request.length <= 20 else 0.5) * self.times_slower


class Sine:
    """Eight periods a frame, so that the music itself has no seams; made anew from the frame's number for a replay."""

    is_coarse, width = False, 1

    def __init__(self):
        self.trouble = None  # given the samples it would have made
        self.frame = 0.5 * np.sin(2 * np.pi * 200 * np.arange(FRAME) / 48_000)

    def render(self, frames):
        samples = np.tile(np.stack([self.frame, self.frame], 1), (len(frames), 1)).astype(np.float32)
        return samples if self.trouble is None else self.trouble(samples)

    peek = render


class Prompts:
    """No styles, ready at once."""

    problem = None
    latest = (-1, None)

    def ask(self, settings):
        self.latest = (settings.sequence, None)

    def hear(self, prompt):
        return prompt


class Stand:
    """A performance on a clock that only its waits move, and all around it."""

    def __init__(self, tmp_path, *, clock=None, worker=None, card=None, wrap=lambda card: card, knobs=None, **options):
        self.clock = clock or VirtualClock()
        self.model, self.sound, self.styles, self.board = Model(), Sine(), Prompts(), Board(knobs)
        self.log, self.out = tmp_path / "log.jsonl", []
        self.card = NullCard(clock=self.clock, on_play=lambda main, cue: self.out.append(main.copy()), **(card or {}))
        self.worker = worker or SimulatedWorker(self.clock, self.model.seconds)
        past = make_past()
        self.session = session.Session(
            self.model, self.sound, wrap(self.card), self.board, self.styles, worker=self.worker, clock=self.clock,
            past=past, planner_config=planner.PlannerConfig(
                short_frames=20, cost_seconds={20: 0.2, 50: 0.5}, window=8, calm=10
            ), config=SessionConfig(log_path=self.log, **options),
        )  # fmt: skip

    def play(self, seconds):
        """Lets so much time pass, whether there is music or not."""
        ends = self.clock.now_seconds() + seconds
        steps = 0
        while self.clock.now_seconds() < ends and not self.session.is_stopping:
            if self.session.card.wait_for_room(FRAME, 0.02):
                self.session.step()
            steps += 1
            assert steps < 1000 * seconds, "time stands still"
        return self.session.status

    def finish(self):
        """What left the card."""
        self.session.close()
        self.clock.wait_until(self.clock.now_seconds() + 0.2)
        self.card.queued_samples()
        return np.concatenate(self.out)

    def said(self, *parts):
        """Messages with these words. After `finish`."""
        texts = [event.data["text"] for event in read_events(self.log) if event.kind == "message"]
        return [text for text in texts if all(part in text for part in parts)]

    def music_seconds(self):
        return self.session.engine.timeline.playhead * 0.04

    def replays(self):
        """Whether the log gives the same samples."""
        script = replay.read_script(self.log)
        self.sound.trouble = None
        return replay.verify(script, replay.play(script, Model(), Sine())).is_identical


def check_no_click(sound):
    steps = np.abs(np.diff(sound, axis=0))
    assert np.isfinite(sound).all()
    assert steps.max() <= STEP * CROSSFADE, (int(steps.max(axis=1).argmax()), steps.max())


def is_silent(sound):
    return np.abs(sound).max() < 1e-4


def wait_for(condition, seconds=20.0):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never happened"
        time.sleep(0.01)


# The model.


def test_a_model_three_times_slower_plays_on_with_longer_requests(tmp_path):
    stand = Stand(tmp_path)
    stand.play(3.0)
    stand.model.times_slower = 3.0
    status = stand.play(12.0)
    assert status.step == 3 and status.hop_seconds > 1.0
    held = status.missing_samples
    assert stand.play(6.0).missing_samples == held  # in its step, nothing is missing any more
    stand.model.times_slower = 1.0
    assert stand.play(40.0).step == 1
    check_no_click(stand.finish())
    assert held < 48_000
    assert stand.said("coarse: hop") and stand.said("full: hop")
    assert stand.replays()


def test_a_model_ten_times_slower_plays_what_it_can_and_recovers(tmp_path):
    stand = Stand(tmp_path)
    stand.play(2.0)
    stand.model.times_slower = 10.0
    played = stand.music_seconds()
    status = stand.play(30.0)
    assert status.step == 4
    assert 6.0 < stand.music_seconds() - played < 16.0  # five seconds of work for two of music
    stand.model.times_slower = 1.0
    assert stand.play(60.0).step == 1
    missing = stand.session.status.missing_samples
    assert stand.play(3.0).missing_samples == missing
    check_no_click(stand.finish())
    assert len(stand.said("overloaded")) == 1
    assert stand.replays()


def test_a_model_that_hangs_fades_out_and_is_said_once(tmp_path):
    stand = Stand(tmp_path)
    stand.play(3.0)
    stand.model.times_slower = math.inf
    stand.play(20.0)
    stand.board.act("quit")
    stand.play(1.0)
    assert stand.session.is_stopping and stand.card.status.underflows == 0
    began = time.monotonic()
    sound = stand.finish()
    assert time.monotonic() - began < 4.0
    check_no_click(sound)
    assert np.abs(sound[:96_000]).max() > 0.45 and is_silent(sound[-10 * 48_000 :])
    assert len(stand.said("has not answered")) == 1
    assert stand.replays()


def test_a_thread_that_never_answers_holds_nothing_up(tmp_path):
    clock, release = WallClock(), threading.Event()
    worker = ThreadWorker(clock)
    stand = Stand(tmp_path, clock=clock, worker=worker)
    stand.model.trouble = lambda frames: frames if stand.music_seconds() < 0.2 else release.wait(60.0) and frames
    player = threading.Thread(target=stand.session.run, daemon=True)
    player.start()
    wait_for(lambda: stand.session.status.missing_samples > 0)
    began = time.monotonic()
    stand.session.stop()
    player.join(3.0)
    assert not player.is_alive()
    stand.session.close()
    worker.close()
    assert time.monotonic() - began < 5.0
    release.set()


def test_a_model_that_fails_once_is_not_heard(tmp_path):
    stand = Stand(tmp_path)
    stand.play(2.0)

    def fail(frames):
        stand.model.trouble = None
        raise RuntimeError("out of memory")

    stand.model.trouble = fail
    status = stand.play(4.0)
    check_no_click(stand.finish())
    assert status.missing_samples == 0
    assert len(stand.said("failed (RuntimeError: out of memory)")) == 1 and len(stand.said("answers again")) == 1
    assert stand.replays()


def test_a_model_that_always_fails_fades_out_and_comes_back(tmp_path):
    stand = Stand(tmp_path)
    stand.play(2.0)

    def fail(frames):
        raise RuntimeError("out of memory")

    stand.model.trouble = fail
    stand.play(6.0)
    assert not stand.session.is_stopping
    stand.model.trouble = None
    stand.play(5.0)
    sound = stand.finish()
    check_no_click(sound)
    assert is_silent(sound[5 * 48_000 : 7 * 48_000]) and np.abs(sound[-48_000:]).max() > 0.45
    assert len(stand.said("failed (RuntimeError")) == 1 and len(stand.said("answers again")) == 1
    assert stand.replays()


WRONG = {
    "None": lambda frames: None,
    "no frames": lambda frames: [],
    "a list of None": lambda frames: [None] * len(frames),
    "texts": lambda frames: ["music"] * len(frames),
    "another shape": lambda frames: [frame._replace(codes=np.zeros((2, 2), np.int32)) for frame in frames],
    "more levels": lambda frames: [frame._replace(codes=np.zeros(5, np.int32)) for frame in frames],
    "no whole numbers": lambda frames: [frame._replace(codes=np.array([0.5, np.nan])) for frame in frames],
    "NaN": lambda frames: [frame._replace(beat=math.nan) for frame in frames],
    "no number": lambda frames: 7,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_no_music_is_a_failure(tmp_path, wrong):
    stand = Stand(tmp_path)
    stand.play(1.0)
    stand.model.trouble = WRONG[wrong]
    stand.play(1.5)
    stand.model.trouble = None
    stand.play(2.0)
    sound = stand.finish()
    check_no_click(sound)
    assert np.abs(sound[-4800:]).max() > 0.45
    assert len(stand.said("failed (")) == 1


def test_an_answer_that_is_too_long_is_cut(tmp_path):
    stand = Stand(tmp_path)
    stand.model.trouble = lambda frames: frames + frames
    status = stand.play(3.0)
    check_no_click(stand.finish())
    assert status.missing_samples == 0 and len(stand.said("units, cut to")) == 1
    assert stand.replays()


BROKEN_SOUND = {
    "NaN": lambda samples: np.full_like(samples, np.nan),
    "infinite": lambda samples: np.where(np.arange(len(samples))[:, None] % 700 == 0, np.float32(np.inf), samples),
    "another shape": lambda samples: samples[:-1],
    "None": lambda samples: None,
    "an error": lambda samples: samples[10**9],
}


@pytest.mark.parametrize("broken", BROKEN_SOUND)
def test_sound_that_cannot_be_made_fades(tmp_path, broken):
    stand = Stand(tmp_path)
    stand.play(1.0)
    stand.sound.trouble = BROKEN_SOUND[broken]
    stand.play(1.5)
    stand.sound.trouble = None
    played = stand.music_seconds()
    stand.play(1.0)
    sound = stand.finish()
    check_no_click(sound)
    assert played > 2.3, "the music stood still"
    assert np.abs(sound[-4800:]).max() > 0.45
    assert len(stand.said("the model's sound fails")) == 1


def test_a_broken_sound_does_not_get_into_what_the_model_hears(tmp_path):
    stand = Stand(tmp_path, has_input=True, card={"performance": np.ones((480, 2), np.float32), "is_looped": True})
    stand.play(1.0)
    stand.sound.trouble = BROKEN_SOUND["NaN"]
    stand.play(1.0)
    stand.finish()
    assert len(stand.model.heard) > 5 and all(np.isfinite(samples).all() for samples in stand.model.heard)


# The sound card.


def test_a_lost_device_comes_back_softly_and_music_time_went_on(tmp_path):
    stand = Stand(tmp_path, record_path=tmp_path / "take.flac")
    stand.play(2.0)
    before = len(np.concatenate(stand.out))
    stand.card.unplug()
    stand.play(3.0)
    assert 4.7 < stand.music_seconds() < 5.3
    stand.card.plug_in()
    stand.play(2.0)
    sound = stand.finish()
    check_no_click(sound[:before])
    check_no_click(np.concatenate([np.zeros((1, 2)), sound[before:]]))
    assert np.abs(sound[before + FRAME :]).max() > 0.45
    assert len(stand.said("was unplugged")) == 1
    take, _ = soundfile.read(tmp_path / "take.flac", dtype="float32")
    assert len(take) > 6.7 * 48_000
    check_no_click(take)  # all of it, as if nothing had been
    assert stand.replays()


class Moody:
    """A card whose one method raises while it is told to."""

    def __init__(self, card, method):
        self.inner, self.method, self.is_raising = card, method, False

    def __getattr__(self, name):
        if name == self.method and self.is_raising:
            raise RuntimeError("driver gone mad")
        return getattr(self.inner, name)


@pytest.mark.parametrize("method", ["write", "read", "wait_for_room", "queued_samples", "status", "opening"])
def test_a_card_that_raises_does_not_end_the_music(tmp_path, method):
    cards = []
    wrap = lambda card: cards.append(Moody(card, method)) or cards[0]  # noqa: E731
    stand = Stand(tmp_path, wrap=wrap, has_input=method == "read")
    stand.play(1.0)
    cards[0].is_raising = True
    stand.play(2.0)
    played = stand.music_seconds()
    cards[0].is_raising = False
    stand.play(1.0)
    sound = stand.finish()
    assert 2.5 < played < 3.5
    assert np.abs(sound[-4800:]).max() > 0.45
    assert len(stand.said("the sound card failed", "driver gone mad")) == 1
    assert stand.replays()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_input_that_is_no_sound_is_silence(tmp_path, value):
    performance = np.full((4800, 2), 0.1, np.float32)
    performance[::7] = value
    stand = Stand(tmp_path, has_input=True, card={"performance": performance, "is_looped": True})
    status = stand.play(3.0)
    check_no_click(stand.finish())
    assert status.missing_samples == 0
    heard = np.concatenate(stand.model.heard)
    assert np.isfinite(heard).all() and 0.05 < np.abs(heard).max() <= 65.0


# Disks.


class FullDisk:
    """A file on a disk without room."""

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    def tell(self):
        return 0

    def truncate(self, size):
        pass

    def close(self):
        pass


def test_a_full_disk_ends_the_recording_and_not_the_music(tmp_path, monkeypatch):
    stand = Stand(tmp_path, record_path=tmp_path / "take.wav")
    stand.play(1.0)
    wait_for(lambda: stand.session._stage._recorder.status.recorded_samples > 0)
    monkeypatch.setattr(recording_file.RecordingFile, "append", lambda self, samples: FullDisk().write(samples))
    stand.play(0.5)
    wait_for(lambda: stand.session.status.recording is None or stand.play(0.1) is None)
    status = stand.play(0.5)
    check_no_click(stand.finish())
    assert status.recording is None and status.missing_samples == 0
    assert len(stand.said("recording to", "stopped, the music goes on")) == 1
    soundfile.read(tmp_path / "take.wav")


def test_a_full_disk_ends_the_log_and_not_the_music(tmp_path):
    stand = Stand(tmp_path)
    stand.play(1.0)
    journal = stand.session._journal
    wait_for(lambda: journal._work.empty())
    kept, journal.log._file = journal.log._file, FullDisk()
    status = stand.play(2.0)
    assert "event log" in status.message and "the music goes on" in status.message
    check_no_click(stand.finish())
    kept.close()
    assert status.missing_samples == 0
    assert stand.replays()  # as far as it goes


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.json"
    stand = Stand(tmp_path, checkpoint_path=path)
    stand.play(5.5)
    wait_for(path.exists)
    first = path.read_bytes()

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(memory.os, "replace", full)
    stand.play(5.0)
    wait_for(lambda: stand.session._journal.problem is not None)
    stand.play(5.0)
    check_no_click(stand.finish())
    assert path.read_bytes() == first and memory.read_checkpoint(path).bpm
    assert len(stand.said("could not be written", "No space left")) == 1


def test_a_recording_never_replaces_a_file(tmp_path):
    (tmp_path / "take.flac").write_bytes(b"mine")
    stand = Stand(tmp_path, record_folder=tmp_path)
    stand.board.act("record", "take.flac")
    stand.play(0.5)
    wait_for(lambda: stand.session._stage.recording is None)
    stand.board.act("record", "take.mp3")
    stand.board.act("record", "no/such/folder/take.wav")
    stand.play(0.5)
    wait_for(lambda: stand.session._stage.recording is None)
    check_no_click(stand.finish())
    assert (tmp_path / "take.flac").read_bytes() == b"mine"
    assert stand.said("exists already") and stand.said("record:", "'.mp3'") and stand.said("there is no folder")


# Clocks.


class Jumping(VirtualClock):
    """Three minutes are lost at once."""

    def jump(self):
        self._seconds += 180.0


class Frozen(VirtualClock):
    """Stands still for so many looks at it."""

    looks = 0

    def wait_until(self, seconds):
        if self.looks > 0:
            self.looks -= 1
        else:
            super().wait_until(seconds)


def test_a_clock_that_jumps_costs_a_moment(tmp_path):
    stand = Stand(tmp_path, clock=Jumping())
    stand.play(2.0)
    for _ in range(3):
        stand.clock.jump()
        played = stand.music_seconds()
        stand.play(2.0)
        assert stand.music_seconds() - played > 1.5
    assert np.abs(stand.finish()[-4800:]).max() > 0.45
    assert len(stand.said("has not answered")) <= 3
    assert stand.replays()


def test_a_clock_that_stands_still_stops_nothing_for_good(tmp_path):
    stand = Stand(tmp_path, clock=Frozen())
    stand.play(1.0)
    stand.clock.looks = 300
    stand.play(2.0)
    assert stand.clock.looks == 0
    check_no_click(stand.finish())
    assert stand.replays()


# People, and what they send.


def test_a_prompt_that_cannot_be_used_is_said_and_hides_nothing(tmp_path):
    stand = Stand(tmp_path)
    stand.styles.problem = "prompt 'x.wav' is left out: no such file"
    stand.play(1.0)

    def fail(frames):
        raise RuntimeError("out of memory")

    stand.model.trouble = fail
    stand.play(1.0)
    stand.card.unplug()
    stand.play(0.5)
    stand.finish()
    assert len(stand.said("is left out")) == len(stand.said("RuntimeError")) == len(stand.said("unplugged")) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, "loud", None, 10**400])
def test_a_knob_takes_no_nonsense(tmp_path, value):
    stand = Stand(tmp_path)
    stand.play(0.5)
    before = stand.board.settings
    for name in ("temperature", "bpm", "volume", "guidance", "inject/gain", "prompt/1/weight", "top_k"):
        with pytest.raises(ValueError, match=re.escape(name)):
            stand.board.set(name, value)
    with pytest.raises(ValueError, match="nudge"):
        stand.board.act("nudge", math.nan)
    assert stand.board.settings == before
    assert stand.play(0.5).missing_samples == 0
    check_no_click(stand.finish())


def test_garbage_by_osc_changes_nothing(tmp_path):
    import socket

    stand = Stand(tmp_path)
    stand.play(0.5)
    before = stand.board.settings
    noise = np.random.default_rng(0)
    packets = [noise.bytes(int(size)) for size in noise.integers(0, 2000, 100)]
    packets += [
        b"/temperature\0\0\0\0,f\0\0\x7f\xc0\0\0",
        b"/volume\0,f\0\0\x7f\x80\0\0",
        b"/\0\0\0",
        b"#bundle\0" + b"\xff" * 40,
    ]
    with OscServer(stand.board, port=0) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, (server.host, server.port))
        wait_for(lambda: server.counts.errors >= 50)
        status = stand.play(1.0)
        sender.sendto(b"/volume\0,f\0\0\x3f\0\0\0", (server.host, server.port))
        wait_for(lambda: stand.board.settings.values["volume"] == 0.5)
        assert {**stand.board.settings.values, "volume": 1.0} == before.values
    check_no_click(stand.finish())
    assert status.missing_samples == 0


def test_a_moment_that_is_not_kept_cannot_be_brought_back(tmp_path):
    stand = Stand(tmp_path, knobs={"bpm": 120.0})
    stand.play(2.0)
    stand.board.act("snapshot/recall", 5)
    stand.play(0.5)
    stand.board.act("rewind", 64)
    status = stand.play(1.0)
    check_no_click(stand.finish())
    assert stand.said("there is no snapshot 5; saved: none") and stand.said("rewind: frame", "is not in memory")
    assert status.missing_samples == 0
