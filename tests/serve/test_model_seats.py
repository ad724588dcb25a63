"""Seats with a tiny bundle: they share weights, device and style threads, and nothing that is heard."""

import time

import jaxtyping
import numpy as np
import pytest

from magenta_rt_py.generators import system
from magenta_rt_py.generators.performance import get_ready, replay_log
from magenta_rt_py.live import replay
from magenta_rt_py.live.board import Board
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
