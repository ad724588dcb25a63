"""Seats with a tiny bundle: they share weights, device and style threads, and nothing that is heard."""

import dataclasses
import threading
import time

import jaxtyping
import numpy as np
import pytest

from magenta_rt_py.generators import performance, system
from magenta_rt_py.generators.live_batch import LiveBatch
from magenta_rt_py.generators.performance import get_batch, get_ready, replay_log
from magenta_rt_py.generators.sound_batch import SoundBatch
from magenta_rt_py.live import replay
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.event_log import read_events
from magenta_rt_py.lm import decode
from magenta_rt_py.serve import events, wire
from magenta_rt_py.serve.device import Device
from magenta_rt_py.serve.model_seats import ModelSeats
from magenta_rt_py.serve.playing import SeatFactory
from magenta_rt_py.serve.recordings import Recordings
from magenta_rt_py.serve.seat import Seat
from magenta_rt_py.serve.uploads import Upload


@pytest.fixture(scope="module", autouse=True)
def unchecked():
    """Types are checked in the tests of the parts; here they would take most of the time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="module")
def factory(tiny_bundle, unchecked):
    model = system.load(tiny_bundle)
    ready = get_ready(model, Board(), is_offline=True)
    ready.lm.warm_up(with_input=True)
    made = ModelSeats(model, ready=ready, suggestions=["rock"], knobs={"bpm": 120.0})
    yield made
    assert made.close()


def wait_for(is_so, seconds=60.0):
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.01)


def hear(seat, seconds):
    """What a page hears that plays from the beginning, faster than time goes by if the model is."""
    card, position, sound, gives_up = seat.card, 0, [], time.monotonic() + 90.0
    while position < seconds * 48_000:
        assert time.monotonic() < gives_up, "the music stands still"
        for data in card.take(position, 4800):
            packet = wire.unpack(data)
            sound.append(wire.samples_of(packet)[:, :2])
            position += packet.samples
        card.report(card.opening, position, 0)
        card.wait_for_sound(position, 0.05)
    return np.concatenate(sound)


def test_two_people_play_on_one_device_and_each_log_gives_the_same_again(factory, tmp_path):
    assert isinstance(factory, SeatFactory)
    assert factory.about.suggestions == ("rock",) and factory.about.knobs["bpm"] == 120.0 and factory.about.rtf > 0.0
    device, recordings, told = Device(), Recordings(tmp_path, most_bytes=10**9), {"a": [], "b": []}
    seats = [Seat(name * 32, factory, device, recordings, told[name].append) for name in told]
    try:
        wait_for(lambda: all(seat.state == "playing" for seat in seats))
        sound = np.random.default_rng(1).normal(0.0, 0.1, (48_000, 2)).astype(np.float32)
        name = seats[0].shelf.add(Upload("noise.wav", sound))
        seats[0].set({"prompt/1/text": name, "prompt/2/text": "song.wav", "prompt/2/weight": 1.0})
        seats[1].set({"prompt/1/text": "techno"})
        heard = [hear(seat, 3.0) for seat in seats]
        wait_for(lambda: seats[0]._playing.prompt_states()[:3] == ("ready", "ready", "empty"))
        seats[0].bring(np.tile(sound, (11, 1)), "noise")
        assert np.abs(heard[0]).max() > 0.001 and not np.array_equal(heard[0], heard[1])
        for seat in seats:
            seat.tick(1.0)
        status = next(event for event in told["a"] if isinstance(event, events.Status))
        assert status.prompts[0] == "ready" and status.device_rtf > 0.0 and status.live_prompt_age_seconds is None
    finally:
        assert all([seat.close(timeout_seconds=20.0) for seat in seats])
        assert device.close(timeout_seconds=20.0)
    assert next(event for event in told["a"] if isinstance(event, events.Ended)).code == events.LEFT
    for seat in seats:
        script, pieces = replay_log(factory._model, seat.log_path)
        verdict = replay.verify(script, pieces)
        assert verdict.is_identical and verdict.checked_samples > 96_000


# Several at once.


@pytest.fixture(scope="module")
def ready(factory):
    """The planner's longest hop at the first step is 0.8 s."""
    return factory._ready


def test_three_people_are_served_together_and_each_log_gives_the_same_again(factory, ready, tmp_path):
    """Requests and sound, and one of them leaves and another comes while the others play on. Nothing is compiled."""
    models = factory._model.models
    batch, sounds = LiveBatch(models, sizes=(1, 4)), SoundBatch(models, sizes=(1, 4))
    together = ModelSeats(factory._model, ready=ready, batch=batch, sounds=sounds, knobs={"bpm": 120.0})
    type(ready.lm)(models, lengths=ready.lm.lengths, together=batch).warm_up(with_input=True)
    programs = decode.compiled_programs()
    device, recordings = Device(window_seconds=0.5), Recordings(tmp_path, most_bytes=10**9)
    seats, heard = [], {}

    def play(name, seconds):
        seat = Seat(name * 32, together, device, recordings, lambda event: None)
        seats.append(seat)
        seat.set({"prompt/1/text": {"a": "techno", "b": "solo piano"}.get(name, "")})
        wait_for(lambda: seat.state == "playing")
        heard[name] = hear(seat, seconds)
        if name == "c":
            assert seat.close(timeout_seconds=20.0)
            play("d", 1.0)

    threads = [threading.Thread(target=play, args=given) for given in (("a", 3.0), ("b", 3.0), ("c", 1.0))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120.0)
    finally:
        assert all([seat.close(timeout_seconds=20.0) for seat in seats])
        assert device.close(timeout_seconds=20.0) and together.close()
    assert sorted(heard) == ["a", "b", "c", "d"] and sounds.width == 1
    assert not np.array_equal(heard["a"][-48_000:], heard["b"][-48_000:])
    assert decode.compiled_programs() == programs
    noted = [event for seat in seats for event in read_events(seat.log_path)]
    assert any(data.get("batch", [1])[0] > 1 for _, kind, data in noted if kind == "request"), "none went together"
    assert any(kind == "width" and data["width"] > 1 for _, kind, data in noted)
    for seat in seats:
        script, pieces = replay_log(factory._model, seat.log_path)
        verdict = replay.verify(script, pieces)
        assert verdict.is_identical and verdict.checked_samples > 36_000


def test_batches_are_measured_as_far_as_the_machine_gets(ready, monkeypatch):
    def measured(costs, most=8):
        """Batch that comes of these costs, and (size, length, has_input, repeats) of what was measured."""
        taken, planner = [], dataclasses.replace(ready.planner, cost_seconds={20: costs[1], 50: 2.0 * costs[1]})

        def measure(lm, conditioning, past, length, *, has_input, size, repeats):
            taken.append((size, length, has_input, repeats))
            return costs[size] * (1.0 if length == 20 and has_input else 0.5)

        monkeypatch.setattr(performance, "measure", measure)
        return get_batch(ready._replace(planner=planner), None, most=most), taken

    costs = {1: 0.1, 2: 0.15, 4: 0.28, 8: 0.6}
    found, taken = measured(costs)
    assert found.sizes == (1, 2, 4), "eight take longer than twice four"
    assert found.kind(3, 20).costs_seconds == (0.1, 0.15, 0.28)
    assert found.kind(2, 50).costs_seconds == pytest.approx((0.2 / performance.INPUT_COST, 0.075, 0.14))
    assert taken[:2] == [(2, 20, True, 1), (2, 20, True, 5)], "compiled, and then measured"
    assert [size for size, *_ in taken] == [2] * 8 + [4] * 8 + [8] * 2
    assert measured({**costs, 8: 0.5})[0].sizes == (1, 2, 4, 8)
    assert measured({**costs, 2: 0.2})[0].sizes == (1,), "two at once take as long as one after the other"
    assert measured(costs, most=2)[0].sizes == (1, 2)
    assert measured(costs, most=1)[1] == []
    assert measured({1: 0.41})[0].sizes == (1,), "two do not keep up one after the other"


def test_a_batch_of_two_is_compiled_and_timed(factory, ready):
    """Whether it gains anything is the machine's affair; one that takes no time at all would be none."""
    models = factory._model.models
    planner = dataclasses.replace(ready.planner, short_frames=50, cost_seconds={50: 0.3})
    short = ready._replace(lm=type(ready.lm)(models, lengths=(50,)), planner=planner)
    said = []
    found = get_batch(short, performance.conditioning_of(factory._model, Board().settings), most=2, say=said.append)
    assert said == ["making ready for 2 at once"] and found.sizes in ((1,), (1, 2))
    costs = found.kind(3, 50).costs_seconds
    assert costs[0] == 0.3 and all(0.001 < cost < 0.6 for cost in costs)


def test_seats_and_figures_follow_the_batches(factory, ready):
    models, hop = factory._model.models, ready.planner.hop_seconds
    costs = {(3, 20): [0.2 * hop, 0.2 * hop, 0.2 * hop]}
    seats = ModelSeats(factory._model, ready=ready, batch=LiveBatch(models, sizes=(1, 2, 4), costs=costs))
    assert seats.about.capacity.costs_seconds[4] == pytest.approx(0.2 * hop)
    assert seats.about.most(0.85) == 16 and seats.about.rtf == pytest.approx(17.0)
    assert factory.about.capacity.costs_seconds == {1: ready.planner.cost_seconds[20]}
    assert factory.about.rtf == pytest.approx(factory.about.capacity.rtf(1))
    assert seats.close()
