"""A whole performance on a page, on one virtual clock, with a model that plays its frame numbers."""

import numpy as np
import pytest

from magenta_rt_py.live import planner, session
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.live.worker import SimulatedWorker
from magenta_rt_py.serve.page_card import PageCard
from tests.serve.simulated_page import FRAME, SECOND, Page, PageClock, as_whole

pytestmark = pytest.mark.usefixtures("unchecked")

class Counter:
    """A model that continues the count of the last frame; keeps the settled samples of the mixes that are loud."""

    heard_context = None

    def __init__(self):
        self.mixed = {}

    def generate(self, request):
        mix = request.heard
        if mix is not None:
            settled = mix.samples[: mix.settled_frames * FRAME, 0]
            for place in np.flatnonzero(np.abs(settled) > 0.3):
                self.mixed[mix.start_frame * FRAME + int(place)] = float(settled[place])
        last = next(frame.codes[0] for frame in reversed(request.history) if frame is not None)
        return [Frame(np.array([last + 1 + place, 0], np.int32), 0.0, 120.0) for place in range(request.length)]


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


class NoPrompts:
    """No style, at once."""

    problem = None

    def __init__(self):
        self.latest = (-1, None)

    def ask(self, settings):
        self.latest = (settings.sequence, None)

    def hear(self, prompt):
        return prompt


class Stand:
    """A session on a page, all on one virtual clock."""

    def __init__(self, *, lead_seconds=0.5, latency=0.2, round_trip=0, knobs=None, **page):
        self.clock = PageClock()
        self.card = PageCard(lead_seconds=lead_seconds, clock=self.clock)
        self.card.round_trip_samples = round_trip
        self.page = Page(self.clock, self.card, round_trip=round_trip, **page)
        self.written = []
        write = self.card.write

        def keep(main, cue=None):
            self.written.append(main.copy())
            write(main, cue)

        self.card.write = keep
        past = tuple(Frame(np.array([number - 250, 0], np.int32), 0.0, 120.0) for number in range(250))
        self.model = Counter()
        self.session = session.Session(
            self.model, Clicks(past[-1]), self.card, Board(knobs), NoPrompts(),
            worker=SimulatedWorker(self.clock, lambda request: latency), clock=self.clock, past=past,
            planner_config=planner.PlannerConfig(short_frames=20, cost_seconds={20: 0.2, 50: 0.5}),
            config=SessionConfig(has_input=bool(page)),
        )  # fmt: skip

    def run(self, seconds, **options):
        self.session.run(seconds, **options)

    def check(self):
        """All that was written is heard, in order and without a gap; it is what the model made, frame after frame."""
        self.session.close()
        self.clock.wait_until(self.clock.now_seconds() + 5.0)
        sound = self.page.sound
        np.testing.assert_array_equal(sound, as_whole(np.concatenate(self.written)))
        places = np.flatnonzero(sound[:, 0] > 0.05 * 32_768)
        numbers = np.round((sound[places, 0] / 32_768 - 0.1) / 0.05).astype(int)
        assert np.all(np.diff(places) == FRAME) and np.all(np.diff(numbers) % 8 == 1)
        assert self.session.status.underruns == 0
        return len(places)


def test_a_performance_arrives_in_order_and_without_a_gap():
    stand = Stand()
    stand.run(20.0)
    assert stand.page.starved == 0 and stand.page.most_ahead <= (0.5 + 0.15) * SECOND
    assert abs(stand.clock.now_seconds() - 20.0) < 1.0  # the page's clock is the music's
    assert stand.check() >= 498


def test_three_lost_connections_are_resumed_without_loss():
    stand = Stand(lead_seconds=1.0)
    for seconds in (0.2, 0.6, 0.37):
        stand.run(1.5)
        stand.page.is_connected = False
        gone = stand.clock.now_seconds()
        stand.session.run(seconds, patience_seconds=seconds)
        stand.clock.wait_until(gone + seconds)
        assert stand.card.can_resume(stand.page.opening, stand.page.end)
        stand.page.is_connected = True
    stand.run(1.5)
    assert stand.page.starved == 0
    assert stand.check() > 140


def test_a_page_that_is_away_for_long_goes_on_where_it_was():
    stand = Stand()
    stand.run(2.0)
    stand.page.is_connected = False
    before = stand.session.seconds
    stand.session.run(30.0, patience_seconds=3.0)
    assert stand.session.seconds - before < 0.7
    assert "does not answer" in stand.card.status.problem
    stand.page.is_connected = True
    stand.run(2.0)
    assert stand.page.starved == 1 and stand.card.status.problem is None
    assert stand.check() > 90


@pytest.mark.parametrize("is_told", [True, False])
def test_a_page_that_stops_stops_the_model(is_told):
    stand = Stand()
    stand.run(2.0)
    stand.page.is_stopped = True
    if is_told:
        stand.card.pause()
    before, began = stand.session.seconds, stand.clock.now_seconds()
    stand.session.run(60.0, patience_seconds=5.0)
    assert stand.clock.now_seconds() - began >= 5.0
    assert stand.session.seconds - before <= 0.15 + 0.1  # what a page might have played since its last report
    made = stand.session.engine.timeline.frozen_until
    stand.session.run(60.0, patience_seconds=0.5)
    assert stand.session.engine.timeline.frozen_until == made
    stand.page.is_stopped = False
    stand.card.play()
    stand.run(1.0)
    assert stand.page.starved == 0
    assert stand.check() > 60


def test_a_new_opening_goes_on_with_the_music():
    stand = Stand()
    stand.run(2.0)
    page = stand.page
    page.opening = stand.card.reopen()
    lost = len(page.sound)
    page.position = page.end = 0
    page.ring, page.heard, page.is_flowing = page.ring[:0], [], False
    stand.run(2.0)
    assert stand.card.opening == 1 and stand.session.status.underruns == 0
    sound = stand.page.sound
    places = np.flatnonzero(sound[:, 0] > 0.05 * 32_768)
    numbers = np.round((sound[places, 0] / 32_768 - 0.1) / 0.05).astype(int)
    assert lost > SECOND and len(places) > 30
    assert np.all(np.diff(places) == FRAME) and np.all(np.diff(numbers) % 8 == 1)


def test_an_impulse_lands_where_it_was_heard_also_after_a_lost_connection_and_a_new_opening():
    """The performer plays an impulse to every 24000th sample; it comes in a round trip later, and is stamped with the page's
    position p of that moment: the mix must have it at p - round trip, in stream samples."""
    round_trip, every = 1234, SECOND // 2
    performance = np.zeros((20 * SECOND, 2), np.float32)
    performance[::every] = 0.5
    stand = Stand(
        performance=performance, round_trip=round_trip, knobs={"bpm": 120.0, "inject/loop_beats": 0, "inject/feedback": 0.0}
    )
    performer = stand.session._stage._performer
    assert performer is not None
    wrote, placed, state = performer.wrote, {}, {"device": 0, "opening": 0}

    def follow(opening, stream_start, samples):
        """Device sample -> stream sample, as it really was."""
        if opening != state["opening"]:
            state.update(opening=opening, device=0)
        first = -(-state["device"] // every) * every
        for sample in range(first, state["device"] + samples, every):
            placed[(opening, sample)] = stream_start + sample - state["device"]
        state["device"] += samples
        wrote(opening, stream_start, samples)

    performer.wrote = follow
    def check(fewest):
        found, wanted = set(stand.model.mixed), {place for place in placed.values() if place > FRAME}
        assert found <= wanted and len(found) >= fewest and stand.session.late_input_samples <= FRAME + 72
        return found, wanted

    stand.run(4.0)
    found, wanted = check(5)
    assert found >= {place for place in wanted if place < 2.8 * SECOND}
    page = stand.page
    page.is_connected = False
    stand.session.run(1.0, patience_seconds=1.0)
    page.is_connected = True
    stand.run(2.0)
    check(7)
    page.opening, page.position, page.end = stand.card.reopen(), 0, 0
    page.ring, page.heard, page.line, page.is_flowing = page.ring[:0], [], [], False
    stand.run(3.0)
    assert stand.card.opening == 1
    check(11)
