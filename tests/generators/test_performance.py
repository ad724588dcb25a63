"""A performance of a tiny bundle on a virtual clock: whatever happens in it, its log gives the same samples."""

import functools

import jaxtyping
import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.generators import performance
from magenta_rt_py.generators.live_lm import LiveLM
from magenta_rt_py.generators.past_of import past_of
from magenta_rt_py.generators.performance import Performance, get_ready, replay_log, short_frames
from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.io.played_along import PlayedAlong
from magenta_rt_py.live import replay
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.event_log import read_events, read_header
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.live.worker import SimulatedWorker

KNOBS = {"prompt/1/text": "solo piano", "temperature": 1.0, "top_k": 40, "bpm": 120.0}


@pytest.fixture(autouse=True)
def unchecked():
    """Types are checked in the tests of the parts; here they would take most of the time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="module")
def ready(model):
    return get_ready(model, Board(KNOBS), is_offline=True)


class Stage:
    """A performance, and what it played."""

    def __init__(self, model, ready, log, *, latency=None, performer=None, monkeypatch=None, knobs=None):
        self.clock, self.out, self.board, self.log = VirtualClock(), [], Board({**KNOBS, **(knobs or {})}), log
        card = NullCard(clock=self.clock, on_play=lambda main, cue: self.out.append(main.copy()))
        card = card if performer is None else PlayedAlong(card, performer)
        if latency is not None:
            make = functools.partial(SimulatedWorker, self.clock, latency)
            monkeypatch.setattr(performance, "SimulatedWorker", lambda clock, usual: make())
        config = SessionConfig(seed=5, log_path=log, has_input=performer is not None)
        self.playing = Performance(model, card, self.board, ready, config=config, clock=self.clock)
        self.session, self.card = self.playing.session, card

    def finish(self):
        status = self.session.status
        self.playing.close()
        self.clock.wait_until(self.clock.now_seconds() + 0.2)
        self.card.queued_samples()
        return status, np.concatenate(self.out)


def again(model, log):
    script, pieces = replay_log(model, log)
    pieces = list(pieces)
    return script, replay.verify(script, iter(pieces)), np.concatenate(pieces)


def check_same(sound, made):
    """The replay is what was played, silence at the ends aside."""
    first = np.flatnonzero(np.abs(sound).sum(1))[0] - np.flatnonzero(np.abs(made).sum(1))[0]
    assert first >= 0 and len(made) > 0
    heard = sound[first : first + len(made)]
    assert np.abs(made).max() > 0.001
    assert np.array_equal(heard, made[: len(heard)]) and len(heard) > 0.99 * len(made)


def turn_everything(stage, seconds, changes):
    """Turns knobs all the time; some of them actions."""
    rng = np.random.default_rng(3)
    texts = ["disco", "techno", "solo piano", "ambient pads"]
    turned = 0
    for number in range(changes):
        board, kind = stage.board, int(rng.integers(0, 8))
        before = board.settings.sequence
        if kind == 0:
            board.set(f"prompt/{rng.integers(1, 4)}/text", texts[int(rng.integers(0, 4))])
        elif kind == 1:
            board.set(f"prompt/{rng.integers(1, 4)}/weight", float(rng.uniform(0, 2)))
        elif kind == 2:
            board.set("bpm", float(rng.uniform(80, 160)))
        elif kind == 3:
            board.set("temperature", float(rng.uniform(0.5, 1.5)))
        elif kind == 4:
            board.set("volume", float(rng.uniform(0.1, 1.0)))
        elif kind == 5:
            board.set("guidance", float(rng.uniform(0, 4)))
        elif kind == 6:
            board.set("top_k", int(rng.integers(0, 500)))
        else:
            board.set_many({"inject/gain": float(rng.uniform(0, 1)), "inject/feedback": float(rng.uniform(0.5, 1))})
        turned += board.settings.sequence > before
        action = {20: ("snapshot/save", 1), 60: ("rewind", 1), 110: ("snapshot/recall", 1), 150: ("panic", None)}.get(number)
        if action is not None:
            board.act(*action)
        stage.session.run(seconds / changes)
    return turned


def test_the_adapters_strength_is_turned_while_it_plays_and_replays_bit_for_bit(adapted_model, tmp_path):
    stage = Stage(adapted_model, get_ready(adapted_model, Board(KNOBS), is_offline=True), tmp_path / "log.jsonl")
    for strength in (0.0, 1.5):
        stage.board.set("adapter_strength", strength)
        stage.session.run(1.5)
    _, sound = stage.finish()
    script, verdict, made = again(adapted_model, stage.log)
    strengths = [request["conditioning"]["adapter_strength"] for request in script.requests.values()]
    assert {0.0, 1.5} <= set(strengths) and verdict.is_identical
    check_same(sound, made)


def test_two_hundred_changes_replay_bit_for_bit(model, ready, tmp_path):
    stage = Stage(model, ready, tmp_path / "log.jsonl")
    turned = turn_everything(stage, 30.0, 200)
    status, sound = stage.finish()
    script, verdict, made = again(model, stage.log)
    assert turned >= 190 and script.knob_changes >= turned
    assert status.seconds >= 30.0 and verdict.is_identical and verdict.checked_samples == len(made)
    check_same(sound, made)


def test_a_performer_and_underruns_replay_bit_for_bit(model, tmp_path, monkeypatch):
    ready = get_ready(model, Board(KNOBS), is_offline=True, has_input=True)
    rng = np.random.default_rng(0)
    performer = rng.normal(0, 0.1, (5 * 48_000, 2)).astype(np.float32)
    performer[48_000:96_000] = 0.0
    late = lambda request: 1.7 if request.number % 11 == 10 else 0.2  # noqa: E731
    knobs = {"inject/live_prompt": 0.5, "input_guidance": 1.0, "inject/loop_beats": 0}
    stage = Stage(
        model, ready, tmp_path / "log.jsonl", latency=late, performer=performer, monkeypatch=monkeypatch, knobs=knobs
    )
    turn_everything(stage, 12.0, 60)
    status, sound = stage.finish()
    assert status.underruns >= 2
    requests = [event.data for event in read_events(stage.log) if event.kind == "request"]
    assert sum(data["heard"] is not None for data in requests) > len(requests) / 2
    assert len({tuple(data["conditioning"]["style"]) for data in requests}) > 3
    script, verdict, made = again(model, stage.log)
    assert verdict.is_identical and verdict.checked_samples == len(made)
    check_same(sound, made)


def test_seeds_resets_pasts_and_a_performer_who_comes_and_goes_replay_bit_for_bit(model, tmp_path):
    ready = get_ready(model, Board(KNOBS), is_offline=True, has_input=True)
    performer = np.random.default_rng(0).normal(0, 0.1, (5 * 48_000, 2)).astype(np.float32)
    knobs = {"input_guidance": 1.0, "prompt/2/text": "techno", "prompt/2/weight": 1.0, "bpm": 150.0}
    stage = Stage(model, ready, tmp_path / "log.jsonl", performer=performer, knobs=knobs)
    song = past_of(model.models, audio.Audio(performer[: 4 * 48_000], 48_000))
    moves = [
        lambda: stage.board.set("seed", 77),
        lambda: stage.board.set("inject/on", False),
        lambda: stage.board.set("prompt/1/mute", True),
        lambda: stage.board.act("reset"),
        lambda: stage.board.set("prompt/2/solo", True),
        lambda: stage.board.set_many({"seed": 2**32 - 1, "prompt/2/mute": True}),
        lambda: stage.session.bring(song, "song.wav"),
        lambda: stage.board.set("inject/on", True),
        lambda: stage.board.act("reset"),
        lambda: stage.board.set_many({"prompt/2/mute": False, "prompt/2/solo": False, "prompt/1/mute": False}),
        lambda: stage.board.act("panic"),
    ]
    for move in moves:
        stage.session.run(2.1)
        move()
    stage.session.run(3.0)
    status, sound = stage.finish()
    events = list(read_events(stage.log))
    requests = [event.data for event in events if event.kind == "request"]
    assert {data["seed"] for data in requests} == {5, 77, 2**32 - 1}
    assert {data["heard"] is None for data in requests} == {True, False}
    assert {data["conditioning"]["style"] is None for data in requests} == {True, False}
    turns = [event.data["past"] for event in events if event.kind == "turn"]
    assert len(turns) == 4 and turns[1][:150] == [None] * 150 and turns[1][150][1:] == [None, None]
    assert status.step == 1 and status.underruns <= 1, "but for the panic, nothing was late"
    _, verdict, made = again(model, stage.log)
    assert verdict.is_identical and verdict.checked_samples == len(made)
    check_same(sound, made)


def test_a_failing_model_and_a_slow_one_replay_bit_for_bit(model, ready, tmp_path, monkeypatch):
    stage = Stage(model, ready, tmp_path / "log.jsonl", latency=lambda request: slow[0], monkeypatch=monkeypatch)
    slow, inner = [0.2], LiveLM.generate
    stage.session.run(1.0)
    slow[0] = 0.9  # without the finer levels after a while
    stage.session.run(9.0)
    assert stage.session.status.step >= 3

    def fail(self, request):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(LiveLM, "generate", fail)
    slow[0] = 0.001
    stage.session.run(10.0, patience_seconds=1.5)
    monkeypatch.setattr(LiveLM, "generate", inner)
    slow[0] = 0.2
    stage.session.run(3.0)
    status, sound = stage.finish()
    assert status.missing_samples > 48_000
    _, verdict, made = again(model, stage.log)
    assert verdict.is_identical and verdict.checked_samples == len(made)
    check_same(sound, made)


def test_another_bundle_cannot_replay_it(model, ready, tmp_path, tmp_path_factory):
    from magenta_rt_py.generators import system
    from magenta_rt_py.generators.tiny import save_tiny_bundle

    stage = Stage(model, ready, tmp_path / "log.jsonl")
    stage.session.run(0.5)
    stage.finish()
    header = read_header(stage.log)
    assert header["lengths"] == [20, 50] and header["seed"] == 5
    other = system.load(save_tiny_bundle(tmp_path_factory.mktemp("other") / "tiny", seed=1))
    with pytest.raises(ValueError, match="made with bundle"):
        replay_log(other, stage.log)


def test_the_same_moves_give_the_same_music(model, ready, tmp_path):
    takes = []
    for name in ("a", "b"):
        stage = Stage(model, ready, tmp_path / f"{name}.jsonl")
        turn_everything(stage, 4.0, 30)
        takes.append(stage.finish()[1])
    assert np.array_equal(*takes)


def test_short_requests_take_a_fifth_of_a_second():
    assert short_frames(0.2 / 25) == 25
    assert short_frames(0.2 / 15) == 15
    assert short_frames(1.0) == 10
    assert short_frames(0.2 / 25, 0.12) == 15


def test_this_machine_is_measured(model):
    lines = []
    made = get_ready(model, Board(KNOBS), say=lines.append)
    assert set(made.planner.cost_seconds) == {made.planner.short_frames, 25, 50}
    assert all(0.0 < cost < 60.0 for cost in made.planner.cost_seconds.values())
    assert len(made.past) == 250 and lines[-1] == "measuring this machine"


def test_a_past_of_a_checkpoint_is_gone_on_from(model, ready):
    made = get_ready(model, Board(KNOBS), is_offline=True, past=ready.past[:100])
    assert made.past is not None and len(made.past) == 100
