"""A whole performance on a virtual clock, with a model that plays its frame numbers."""

import json
import threading
import zlib

import numpy as np
import pytest

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live import planner, replay, session
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.event_log import read_events
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.injection import Mix
from magenta_rt_py.live.intro import Intro
from magenta_rt_py.live.memory import read_checkpoint
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.live.worker import SimulatedWorker

FRAME = 1920
LATE = 72
"""Samples by which the output stage lags."""


@pytest.fixture(autouse=True)
def types_are_checked_once(request):
    if request.node.name != "test_every_frame_is_heard_once_and_in_order":
        request.getfixturevalue("unchecked")


def make_past(count=250):
    return tuple(Frame(np.array([number - count, 0], np.int32), 0.0, 120.0) for number in range(count))


class Counter:
    """Continues the count of the last frame in its history; the second level is the style."""

    heard_context = None

    def __init__(self):
        self.requests = []

    def generate(self, request):
        self.requests.append(request)
        last = next(frame.codes[0] for frame in reversed(request.history) if frame is not None)
        conditioning = request.controls
        style = conditioning.style[0] if conditioning.style else 0
        frames = []
        for place in range(request.length):
            beat = conditioning.transport.beat_at(request.start + place)
            bpm = conditioning.transport.bpm_at(request.start + place)
            frames.append(Frame(np.array([last + 1 + place, style], np.int32), beat, bpm))
        return frames


class Clicks:
    """A click at the start of each frame, one frame late: its loudness tells the frame's number modulo 8."""

    is_coarse, width = False, 1

    def __init__(self, last):
        self.last = last

    def render(self, frames):
        heard = [self.last, *frames][: len(frames)]
        self.last = frames[-1]
        return self._sound(heard)

    def peek(self, frames):
        return self._sound([self.last, *frames][: len(frames)])

    def _sound(self, frames):
        samples = np.zeros((len(frames) * FRAME, 2), np.float32)
        for place, frame in enumerate(frames):
            samples[place * FRAME] = 0.1 + 0.05 * (frame.codes[0] % 8)
        return samples


class Prompts:
    """Style 100 * weight of prompt 1, ready at once."""

    problem = None

    def __init__(self):
        self.latest = (-1, None)

    def ask(self, settings):
        self.latest = (settings.sequence, (round(100 * settings.values["prompt/1/weight"]),))

    def hear(self, prompt):
        return prompt


class Stand:
    """A session and all around it."""

    def __init__(self, tmp_path, latency=0.2, *, knobs=None, card=None, master=None, **options):
        self.clock, self.out, self.cue = VirtualClock(), [], []
        of = latency if callable(latency) else lambda request: latency

        def on_play(main, cue):
            self.out.append(main.copy())
            self.cue.append(cue.copy())

        self.card = NullCard(clock=self.clock, on_play=on_play, has_cue=True, **(card or {}))
        self.board, self.generator = Board(knobs), Counter()
        self.log = tmp_path / f"log{len(list(tmp_path.iterdir()))}.jsonl"
        past = make_past()
        self.session = session.Session(
            self.generator, Clicks(past[-1]), self.card, self.board, Prompts(),
            worker=SimulatedWorker(self.clock, of), clock=self.clock, past=past,
            planner_config=planner.PlannerConfig(short_frames=20, cost_seconds={20: 0.2, 50: 0.5}),
            config=SessionConfig(log_path=self.log, **options), master=master,
        )  # fmt: skip

    def run(self, seconds):
        self.session.run(seconds)
        return self.session.status

    def finish(self):
        self.session.close()
        self.clock.wait_until(self.clock.now_seconds() + 0.2)
        self.card.queued_samples()
        return np.concatenate(self.out)


def clicks(sound):
    """Places and numbers modulo 8 of the clicks."""
    places = np.flatnonzero(sound[:, 0] > 0.05)
    return places, np.round((sound[places, 0] - 0.1) / 0.05).astype(int)


def test_every_frame_is_heard_once_and_in_order(tmp_path):
    stand = Stand(tmp_path)
    stand.run(20.0)
    places, numbers = clicks(stand.finish())
    assert len(places) > 490
    assert np.all(np.diff(places) == FRAME)
    assert np.all(np.diff(numbers) % 8 == 1)
    assert stand.session.status.underruns == 0


def test_a_late_answer_stops_time_and_nothing_is_lost(tmp_path):
    stand = Stand(tmp_path, lambda request: 2.0 if request.number % 15 == 14 else 0.2)
    status = stand.run(20.0)
    places, numbers = clicks(stand.finish())
    assert status.underruns >= 1
    heard = np.flatnonzero(np.diff(places) >= FRAME - 200)  # a bridged hole echoes clicks of the last 100 ms
    steps = np.diff(numbers[np.concatenate([heard, [len(numbers) - 1]])]) % 8
    assert np.mean(steps == 1) > 0.95
    starts = [request.start for request in stand.generator.requests]
    for request in stand.generator.requests:  # each goes on from the very frame before it
        assert request.history[-1].codes[0] == request.start - 1
    assert starts == sorted(starts)


def test_controls_are_heard_soon_and_the_delay_is_told(tmp_path):
    stand = Stand(tmp_path)
    stand.run(3.0)
    stand.board.set("prompt/1/weight", 0.5)
    before = stand.session.engine.timeline.playhead
    stand.run(3.0)
    first = next(r.start for r in stand.generator.requests if r.controls.style == (50,))
    assert (first - before) * 0.04 < 0.7
    delay = stand.session.delays.delays[0]
    assert 0.0 <= delay.hop <= 0.3 and 0.2 <= delay.compute <= 0.5 and 0.0 < delay.buffer < 0.12
    assert delay.total == pytest.approx((first - before) * 0.04 + delay.buffer, abs=0.09)


def test_a_snapshot_and_a_rewind_come_back_on_the_bar(tmp_path):
    stand = Stand(tmp_path, knobs={"bpm": 120.0})  # a bar is 50 frames
    stand.run(9.0)
    stand.board.act("snapshot/save", 1)  # the last bar line is frame 200
    stand.run(7.0)
    stand.board.act("snapshot/recall", 1)
    stand.run(4.0)
    turned = [r for r in stand.generator.requests if r.history[-1].codes[0] == 199 and r.start > 300]
    assert [r.start for r in turned] == [450]
    played = [r.history[-1].codes[0] for r in stand.generator.requests if r.start > 460]
    assert min(played) > 199 and max(played) < 300
    stand.board.act("rewind", 2)
    stand.run(4.0)
    places = [(r.start, r.history[-1].codes[0]) for r in stand.generator.requests if r.start > 505]
    assert (550, 399) in places  # two bars before frame 500
    assert "2 bars back" in stand.session.status.message
    stand.board.act("snapshot/recall", 7)
    stand.run(0.2)
    assert "there is no snapshot 7; saved: 1" in stand.session.status.message
    stand.finish()


def test_going_back_just_before_a_bar_line_leaves_no_gap(tmp_path):
    stand = Stand(tmp_path, 0.27, knobs={"bpm": 150.0})  # a bar is 40 frames
    stand.run(6.0)
    stand.board.act("snapshot/save", 1)
    timeline = stand.session.engine.timeline
    for left in (1, 2, 3, 8):
        while -timeline.frozen_until % 40 != left:
            stand.run(0.04)
        stand.board.act("snapshot/recall", 1)
        stand.run(2.5)
    assert stand.session.status.underruns == 0
    turned = [r.start for r in stand.generator.requests if r.start > 160 and r.history[-1].codes[0] == 119]
    assert len(turned) >= 4 and all(start % 40 == 0 for start in turned)


def test_a_tempo_change_is_in_the_next_request_and_the_past_keeps_its_beats(tmp_path):
    stand = Stand(tmp_path, knobs={"bpm": 120.0})
    stand.run(4.0)
    stand.board.set("bpm", 150.0)
    stand.run(4.0)
    changed = next(r for r in stand.generator.requests if r.controls.transport.bpm_at(r.start) == 150.0)
    assert changed.history[-1].bpm == 120.0
    beats = [frame.beat for frame in stand.generator.requests[-1].history[-120:]]
    steps = np.diff(beats) * 1500
    assert set(np.round(steps, 6)) == {120.0, 150.0}


def test_another_clock_is_followed(tmp_path):
    import time

    origin = time.perf_counter()
    knobs = {"bpm": 100.0, "midi_clock": True}
    stand = Stand(tmp_path, knobs=knobs, master=lambda seconds: ((seconds - origin) * 2.0, 120.0))
    stand.run(2.0)
    assert abs(stand.session.transport.bpm_at(60) - 120.0) < 120.0 * 0.081
    stand.finish()


def test_an_intro_keeps_the_model_silent_and_the_metronome_on(tmp_path):
    stand = Stand(tmp_path, knobs={"bpm": 120.0}, intro=Intro(loops=1, beats_per_loop=4), has_input=True,
                  card={"performance": np.zeros((48_000, 2), np.float32), "is_looped": True})  # fmt: skip
    stand.run(6.0)
    sound = stand.finish()
    cue = np.concatenate(stand.cue)
    assert np.abs(sound[: 3 * 48_000]).max() == 0.0 and np.abs(sound[5 * 48_000 :]).max() > 0.05
    assert np.abs(cue[: 3 * 48_000]).max() > 0.2 and np.abs(cue[5 * 48_000 :]).max() == 0.0


def test_recording_is_what_was_played(tmp_path):
    import soundfile

    stand = Stand(tmp_path, record_path=tmp_path / "take.flac", record_folder=tmp_path)
    stand.run(3.0)
    stand.board.act("record/stop")
    stand.run(1.0)
    stand.board.act("record", "second.wav")
    stand.run(1.0)
    sound = stand.finish()
    take, _ = soundfile.read(tmp_path / "take.flac", dtype="float32")
    start = np.flatnonzero(sound[:, 0])[0] - np.flatnonzero(take[:, 0])[0]
    assert len(take) == 75 * FRAME
    np.testing.assert_allclose(take, sound[start : start + len(take)], atol=2**-23)
    assert len(soundfile.read(tmp_path / "second.wav")[0]) == 25 * FRAME


def test_log_and_checkpoint_say_how_to_go_on(tmp_path):
    stand = Stand(tmp_path, checkpoint_path=tmp_path / "last.json", knobs={"bpm": 100.0})
    stand.run(11.0)
    stand.board.set("temperature", 0.7)
    stand.run(1.0)
    sound = stand.finish()
    events = list(read_events(stand.log))
    assert {event.kind for event in events} >= {"request", "play", "check", "end", "knob"}
    last = [event for event in events if event.kind == "check"][-1]
    assert last.sample == 300 * FRAME
    first = np.flatnonzero(sound[:, 0])[0] - LATE  # the click of the frame before the first
    assert last.data["crc"] == zlib.crc32(sound[first : first + last.sample].tobytes())
    checkpoint = read_checkpoint(tmp_path / "last.json")
    assert [frame.codes[0] for frame in checkpoint.past] == list(range(250))
    assert checkpoint.bpm == 100.0
    assert json.loads(stand.log.read_text().splitlines()[0])["header"]["seed"] == 0


def test_a_replay_is_the_same_to_the_last_bit(tmp_path):
    stand = Stand(tmp_path, lambda request: 1.5 if request.number % 20 == 19 else 0.21)
    for seconds, name, value in ((3.0, "temperature", 0.5), (2.0, "volume", 0.3), (3.0, "bpm", 90.0), (4.0, "volume", 1.0)):
        stand.run(seconds)
        stand.board.set(name, value)
    stand.board.act("snapshot/save", 2)
    stand.run(5.0)
    stand.board.act("snapshot/recall", 2)
    stand.run(5.0)
    stand.board.act("panic")
    status = stand.run(4.0)
    sound = stand.finish()
    assert status.underruns >= 1
    script = replay.read_script(stand.log)
    pieces = list(replay.play(script, Counter(), Clicks(make_past()[-1])))
    again = np.concatenate(pieces)
    assert replay.verify(script, iter(pieces)).is_identical
    start = np.flatnonzero(sound[:, 0])[0] - np.flatnonzero(again[:, 0])[0]
    assert np.array_equal(sound[start : start + len(again)], again)
    assert len(again) == script.checks[-1][0]
    broken = [piece.copy() for piece in pieces]
    broken[40][7] += 1e-6
    assert not replay.verify(script, iter(broken)).is_identical


def impulses(seconds, every, total):
    """An impulse at each multiple of `every` seconds."""
    sound = np.zeros((round(total * 48_000), 2), np.float32)
    sound[:: round(every * 48_000)] = 0.5
    return sound


class MixKeeper(Counter):
    """Keeps every settled sample of the mixes it is given."""

    def __init__(self):
        super().__init__()
        self.mixed = {}

    def generate(self, request):
        mix: Mix | None = request.heard
        if mix is None:  # nothing has come in so far
            return super().generate(request)
        settled = mix.samples[: mix.settled_frames * FRAME]
        for place in np.flatnonzero(np.abs(settled[:, 0]) > 0.3):
            self.mixed[mix.start_frame * FRAME + int(place)] = float(settled[place, 0])
        return super().generate(request)


@pytest.mark.parametrize("trouble", ["none", "underrun", "device", "tempo"])
@pytest.mark.parametrize("loop_beats", [0, 4])
def test_an_impulse_is_mixed_in_where_it_was_heard_or_one_loop_later(tmp_path, trouble, loop_beats):
    """The performer plays an impulse each second of the device's time; what the device played just then is known exactly."""
    slow = (lambda request: 1.9 if request.number == 20 else 0.2) if trouble == "underrun" else 0.2
    round_trip = 1234
    stand = Stand(
        tmp_path, slow, has_input=True, round_trip_samples=round_trip,
        card={"performance": impulses(0, 1.0, 60), "round_trip_samples": round_trip},
        knobs={"bpm": 120.0, "inject/loop_beats": loop_beats, "inject/feedback": 0.0},
    )  # fmt: skip
    keeper = stand.session._generator = stand.session.engine._generator = MixKeeper()
    placed = {}  # device sample -> stream sample, as it really was
    inner = stand.session._stage._performer.wrote
    state = {"device": 0, "opening": 0}

    def wrote(opening, stream_start, samples):
        if opening != state["opening"]:
            state.update(opening=opening, device=0)
        for sample in range(-(-state["device"] // 48_000) * 48_000, state["device"] + samples, 48_000):
            if stream_start is not None and opening == state["opening"]:
                placed[(opening, sample)] = stream_start + sample - state["device"]
        state["device"] += samples
        inner(opening, stream_start, samples)

    stand.session._stage._performer.wrote = wrote
    stand.run(8.0)
    if trouble == "device":
        stand.card.unplug()
        stand.run(1.0)
        stand.card.plug_in()
    if trouble == "tempo":
        stand.board.set("bpm", 96.0)
    stand.run(12.0)
    stand.finish()
    if trouble == "underrun":
        assert stand.session.status.underruns
    late = {0: {0}, 4: {96_000, 192_000, 120_000, 240_000}}[loop_beats]  # 4 beats at 120 and at 96 bpm, once or twice
    found, wanted = sorted(keeper.mixed), {place for place in placed.values() if place > FRAME}
    assert len(found) >= 7
    assert all(any(place - offset in wanted for offset in late) for place in found)
    if not loop_beats and trouble == "none":
        assert set(found) >= {place for place in wanted if place < 10 * 48_000}


def test_a_reset_begins_afresh_at_the_next_bar_line(tmp_path):
    stand = Stand(tmp_path, knobs={"bpm": 120.0})  # a bar is 50 frames
    stand.run(9.0)
    stand.board.act("reset")
    stand.run(4.0)
    afresh = [r.start for r in stand.generator.requests if r.history[-1].codes[0] == -1 and r.start > 0]
    assert afresh == [250] and "starting afresh: at bar 5" in [
        event.data["text"] for event in read_events(stand.log) if event.kind == "message"
    ]
    assert stand.session.status.underruns == 0
    places, numbers = clicks(stand.finish())
    assert np.all(np.diff(places) == FRAME), "no gap"
    turn = np.flatnonzero(np.diff(numbers) % 8 != 1)
    assert len(turn) == 1 and (numbers[turn[0]], numbers[turn[0] + 1]) == (249 % 8, 0)


def test_what_is_brought_is_gone_on_from_at_the_next_bar_line(tmp_path):
    stand = Stand(tmp_path, knobs={"bpm": 120.0})
    stand.run(5.0)
    sound = tuple(Frame(np.array([number, 0], np.int32), float("nan"), float("nan")) for number in range(1000, 1300))
    thread = threading.Thread(target=stand.session.bring, args=(sound, "a\nsong.wav"))
    thread.start()
    thread.join()
    stand.run(3.0)
    (first,) = [r for r in stand.generator.requests if r.history[-1].codes[0] == 1299]
    assert first.start == 150 and [frame.codes[0] for frame in first.history] == list(range(1050, 1300))
    assert stand.session.status.message == "a song.wav: at bar 3"
    short = (None,) * 200 + sound[:50]
    stand.session.bring(short, "short")
    stand.run(3.0)
    (first,) = [r for r in stand.generator.requests if r.history[-1].codes[0] == 1049 and r.start > 150]
    assert first.history[:200] == (None,) * 200 and first.history[200].codes[0] == 1000
    for wrong, said in (((), "holds no frame"), ((None,), "holds no frame"), (sound[:1] + make_wide(), "2, 3")):
        with pytest.raises(ValueError, match=said):
            stand.session.bring(wrong, "song.wav")
    pieces = [stand.finish()]
    again = np.concatenate(list(replay.play(replay.read_script(stand.log), Counter(), Clicks(make_past()[-1]))))
    start = np.flatnonzero(pieces[0][:, 0])[0] - np.flatnonzero(again[:, 0])[0]
    assert np.array_equal(pieces[0][start : start + len(again)], again) and len(again) > 400 * FRAME * 0.6


def make_wide():
    return (Frame(np.array([1, 2, 3], np.int32), 0.0, 120.0),)


def test_the_seed_is_that_of_the_next_request_and_in_the_log(tmp_path):
    stand = Stand(tmp_path, seed=5)
    assert stand.board.settings.values["seed"] == 5
    stand.run(2.0)
    stand.board.set("seed", 2**32 - 1)
    before = len(stand.generator.requests)
    stand.run(2.0)
    stand.board.set("seed", 0)
    stand.run(1.0)
    seeds = [request.seed for request in stand.generator.requests]
    assert seeds[:before] == [5] * before and seeds[before] == 2**32 - 1 and set(seeds[before:]) == {2**32 - 1, 0}
    stand.finish()
    again = Counter()
    list(replay.play(replay.read_script(stand.log), again, Clicks(make_past()[-1])))
    played = {request.start: request.seed for request in stand.generator.requests}
    assert {request.start: request.seed for request in again.requests}.items() <= played.items()
    assert {request.seed for request in again.requests} == {5, 2**32 - 1, 0}


class Loud(Clicks):
    """Loudness tells the style."""

    def _sound(self, frames):
        samples = np.zeros((len(frames) * FRAME, 2), np.float32)
        for place, frame in enumerate(frames):
            samples[place * FRAME] = 0.1 + 0.005 * frame.codes[1]
        return samples


def test_sound_carries_the_number_of_the_settings_it_was_made_with(tmp_path):
    stand = Stand(tmp_path, knobs={"prompt/1/weight": 0.0})
    stand.session._sound = Loud(make_past()[-1])
    told, inner = [], stand.card.write

    def write(main, cue=None):
        told.append((stand.session.playing_sequence, round((float(main.max()) - 0.1) / 0.005)))
        inner(main, cue)

    stand.card.write = write
    for sequence in range(1, 6):
        stand.run(1.0)
        stand.board.set("prompt/1/weight", sequence / 20)  # style 5, 10, 15, ...
        assert stand.board.settings.sequence == sequence
    stand.run(2.0)
    stand.finish()
    assert [pair for pair in told[1:] if pair[1] != 5 * pair[0]] == []
    assert {sequence for sequence, _ in told} == {0, 1, 2, 3, 4, 5}


def test_what_people_do_counts_while_the_card_has_no_room(tmp_path):
    stand = Stand(tmp_path, knobs={"bpm": 120.0})
    stand.run(2.0)
    room, paused = stand.card.wait_for_room, []

    def wait_for_room(samples, timeout_seconds):  # a page that is paused
        stand.clock.wait_until(stand.clock.now_seconds() + timeout_seconds)
        paused.append(stand.clock.now_seconds())
        if len(paused) == 3:
            stand.board.set("prompt/1/weight", 0.25)
            stand.board.act("snapshot/save", 3)
        return False

    stand.card.wait_for_room = wait_for_room
    playhead = stand.session.engine.timeline.playhead
    stand.session.run(1.0, patience_seconds=1.0)
    assert len(paused) > 20 and stand.session.engine.timeline.playhead == playhead
    assert stand.session._styles.latest == (1, (25,))
    assert stand.session.status.message == "snapshot 3 saved"
    stand.card.wait_for_room = room
    stand.run(2.0)
    assert stand.session.status.underruns <= 1  # the card itself ran on
    stand.finish()


def test_a_performer_who_is_switched_off_costs_nothing_after_ten_seconds(tmp_path):
    rng = np.random.default_rng(0)
    stand = Stand(
        tmp_path, has_input=True, knobs={"input_guidance": 1.0},
        card={"performance": rng.normal(0, 0.1, (48_000, 2)).astype(np.float32), "is_looped": True},
    )  # fmt: skip
    stand.run(6.0)
    late = stand.session.late_input_samples  # those before the first frame
    stand.board.set("inject/on", False)
    stand.run(14.0)
    stand.board.set("inject/on", True)
    stand.run(4.0)
    requests = stand.generator.requests
    off = [r for r in requests if 6.5 < r.start * 0.04 < 20.0]
    heard = [r for r in off if r.heard is not None]
    alone = [r for r in off if r.heard is None]
    assert heard and alone and max(r.start for r in heard) < min(r.start for r in alone)
    assert 240 <= min(r.start for r in alone) - 150 <= 300, "once ten seconds have gone by"
    assert {r.controls.input_guidance_weight for r in heard} == {1.0}
    assert {r.controls.input_guidance_weight for r in alone} == {0.0}
    for request in heard[3:]:  # the model hears what was played, to the last bit, so no codec has to run
        assert not request.heard.is_mixed[: request.heard.settled_frames].any()
    back = [r for r in requests if r.start * 0.04 > 21.0]
    assert all(r.heard is not None for r in back) and back[-1].heard.is_mixed.all()
    assert stand.session.late_input_samples == late
    stand.finish()


def test_a_performer_who_is_off_at_the_start_is_never_mixed_in(tmp_path):
    performance = np.full((48_000, 2), 0.1, np.float32)
    stand = Stand(
        tmp_path, has_input=True, knobs={"inject/on": False}, intro=Intro(loops=1, beats_per_loop=4),
        card={"performance": performance, "is_looped": True},
    )  # fmt: skip
    stand.run(6.0)
    assert all(request.heard is None for request in stand.generator.requests)
    stand.board.set("inject/on", True)
    stand.run(3.0)
    first = next(request.heard for request in stand.generator.requests if request.heard is not None)
    steps = np.abs(np.diff(first.samples[:, 0]))
    steps[FRAME - 1 :: FRAME] = steps[::FRAME] = 0.0  # the model's own clicks
    assert first.is_mixed.any() and first.samples.max() > 0.09 and steps.max() < 0.01, "it comes in by a ramp"
    assert stand.session.late_input_samples == 0
    stand.finish()


def test_how_many_sounds_are_made_together_is_noted_and_told_to_a_replay(tmp_path):
    stand = Stand(tmp_path)
    stand.run(1.0)
    stand.session._sound.width = 4
    stand.run(1.0)
    stand.finish()
    script = replay.read_script(stand.log)
    ((unit, width),) = script.widths
    assert width == 4 and 25 <= unit <= 40
    sound = Clicks(make_past()[-1])
    assert replay.verify(script, replay.play(script, Counter(), sound)).is_identical and sound.width == 4


def test_in_which_batch_a_request_was_served_is_noted_and_asked_for_by_a_replay(tmp_path):
    stand = Stand(tmp_path)
    stand.generator.batch = (4, 2)
    stand.run(1.0)
    stand.generator.batch = (1, 0)  # alone: nothing to note
    stand.run(2.0)
    stand.finish()
    script, again = replay.read_script(stand.log), Counter()
    for _ in replay.play(script, again, Clicks(make_past()[-1])):
        pass
    assert {request.batch for request in again.requests} == {(4, 2), None}
    assert again.requests[0].batch == (4, 2) and again.requests[-1].batch is None


@pytest.mark.parametrize("batch", [[4, 4], [0, 0], [4, -1], [10**6, 0]])
def test_a_batch_that_cannot_be_is_a_damaged_log(tmp_path, batch):
    stand = Stand(tmp_path)
    stand.generator.batch = (4, 2)
    stand.run(1.0)
    stand.finish()
    text = stand.log.read_text()
    assert '"batch": [4, 2]' in text
    stand.log.write_text(text.replace('"batch": [4, 2]', f'"batch": {batch}'))
    with pytest.raises(ValueError, match="damaged"):
        replay.read_script(stand.log)
