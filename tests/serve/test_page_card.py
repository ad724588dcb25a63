"""A page as a sound card: it gets all that is written once and in order, its clock is the music's, its microphone fits."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from magenta_rt_py.live.card import Card
from magenta_rt_py.live.clock import VirtualClock, WallClock
from magenta_rt_py.serve import wire
from magenta_rt_py.serve.page_card import PageCard
from magenta_rt_py.serve.trial import Calibration
from tests.serve.simulated_page import FRAME, SECOND, Page, PageClock, as_whole, block, noise, sound_of


def play(card, sound, piece=FRAME, cue=None):
    """Writes everything, as the session does."""
    for start in range(0, len(sound), piece):
        part = sound[start : start + piece]
        while not card.wait_for_room(len(part), 0.02):
            pass
        card.write(part, None if cue is None else cue[start : start + len(part)])


def test_it_is_a_card():
    card = PageCard()
    assert isinstance(card, Card) and (card.input_channels, card.has_cue, card.block_samples) == (2, True, FRAME)
    assert (card.opening, card.status.name, card.status.is_running, card.status.problem) == (0, "page", False, None)


@pytest.mark.parametrize("piece", [FRAME, 480, 333, 9600])
def test_a_page_gets_everything_once_and_in_order(piece):
    clock, sound = PageClock(), noise(5 * SECOND)
    card = PageCard(clock=clock)
    page = Page(clock, card)
    play(card, sound, piece)
    clock.wait_until(clock.now_seconds() + 1.0)
    np.testing.assert_array_equal(page.sound, as_whole(sound))
    assert page.starved == 1 and card.status.underflows == 1  # at its end
    assert 5.0 <= clock.now_seconds() < 6.4
    assert page.most_ahead <= 0.4 * SECOND + 0.15 * SECOND


@given(some.data())
@settings(max_examples=60, deadline=None)
def test_what_is_taken_is_what_was_written_whatever_else_happens(data):
    clock = VirtualClock()
    card = PageCard(clock=clock, kept_seconds=30.0)
    written, taken, position = np.zeros((0, 2), np.int16), np.zeros((0, 2), np.int16), 0
    kinds = ["write", "take", "report", "wait", "lead", "pause", "reopen", "hear"]
    steps = data.draw(some.lists(some.sampled_from(kinds), max_size=40))
    for number, step in enumerate(steps):
        if step == "write" and card.wait_for_room(FRAME, 0.0):
            if card.opening and not len(written):
                assert card.page_opening == card.opening
            sound = noise(data.draw(some.integers(1, FRAME)), number)
            card.write(sound, sound[:, 0] * data.draw(some.booleans()))
            written = np.concatenate([written, as_whole(sound)])
        elif step == "take":
            limit = data.draw(some.integers(0, 5000))
            packets = card.take(position, limit)
            for one in map(wire.unpack, packets):
                assert (one.opening, one.position) == (card.page_opening, position)
                position += one.samples
            fresh = sound_of(packets)
            assert len(fresh) <= limit and (len(fresh) or not limit or position >= card.written_samples)
            taken = np.concatenate([taken, fresh])
        elif step == "report":
            opening = card.opening + data.draw(some.sampled_from([0, 0, 0, -1, 1]))
            if opening >= 0:
                card.report(opening, data.draw(some.integers(0, 100_000)), is_playing=data.draw(some.booleans()))
        elif step == "wait":
            clock.wait_until(clock.now_seconds() + data.draw(some.floats(0.0, 0.5)))
        elif step == "lead":
            card.lead_seconds = data.draw(some.floats(0.1, 4.0))
        elif step == "pause":
            (card.pause if data.draw(some.booleans()) else card.play)()
        elif step == "hear":
            card.hear(block(data.draw(some.integers(0, 100_000))))
        elif step == "reopen":
            assert card.reopen() == card.page_opening == card.opening + 1 and card.take(0, 1) == []
            written, taken, position = written[:0], taken[:0], 0
        assert 0 <= card.position <= card.written_samples == len(written)
        assert 0 <= card.queued_samples() <= 4 * SECOND + FRAME
    packets = card.take(position, 10**9)
    np.testing.assert_array_equal(np.concatenate([taken, sound_of(packets)]), written)


def test_room_is_made_by_reports_and_a_little_by_time():
    clock = VirtualClock()
    card = PageCard(lead_seconds=0.5, clock=clock)
    assert card.wait_for_room(24_000, 0.0)
    card.write(noise(24_000))
    clock.wait_until(10.0)
    assert card.queued_samples() == 24_000 and not card.wait_for_room(1, 0.0)  # nobody has begun to play
    card.report(0, 4800)
    clock.wait_until(10.1)
    assert card.queued_samples() == pytest.approx(14_400, abs=1) and card.position == 4800
    clock.wait_until(20.0)
    assert card.queued_samples() == 24_000 - 4800 - 7200  # 150 ms and no more
    card.report(0, 4800)  # it stands still
    clock.wait_until(21.0)
    assert card.queued_samples() == 19_200
    card.report(0, 9600)
    card.pause()
    clock.wait_until(22.0)
    assert card.queued_samples() == 14_400
    card.play()
    card.report(0, 9601, is_playing=False)
    clock.wait_until(23.0)
    assert card.queued_samples() == 14_399
    assert card.wait_for_room(9601, 0.0) and not card.wait_for_room(9602, 0.0)
    with pytest.raises(ValueError, match="24001 samples in a lead of 24000"):
        card.wait_for_room(24_001, 1.0)


def test_waiting_ends_as_soon_as_there_is_room():
    clock = VirtualClock()
    card = PageCard(lead_seconds=0.5, clock=clock)
    card.write(noise(24_000))
    card.report(0, 480)
    assert card.wait_for_room(960, 1.0) and clock.now_seconds() == pytest.approx(0.01, abs=1e-4)
    assert not card.wait_for_room(24_000, 0.3) and clock.now_seconds() == pytest.approx(0.31, abs=1e-3)
    card.close()
    card.close()
    assert not card.wait_for_room(1, 0.1) and clock.now_seconds() == pytest.approx(0.41, abs=1e-3)
    assert not card.status.is_running and len(card.take(0, 1)) == 1


def test_reports_that_cannot_be():
    clock = VirtualClock()
    card = PageCard(lead_seconds=0.5, clock=clock)
    card.write(noise(20_000))
    card.report(0, 10**15)
    assert card.position == 20_000 and card.queued_samples() == 0
    card.report(0, 5)
    assert card.position == 20_000
    card.write(noise(100))
    card.report(1, 20_050)
    assert card.position == 20_000


def test_a_page_that_says_it_plays_faster_than_time_is_held():
    clock, written = VirtualClock(), 0
    card = PageCard(lead_seconds=0.4, clock=clock)
    for step in range(600):  # 30 s
        clock.wait_until(step * 0.05)
        while card.wait_for_room(9600, 0.0) and written < 40 * SECOND:
            card.write(np.zeros((9600, 2), np.float32))
            written += 9600
            card.report(0, 10**15)
    assert written < (30.0 * 1.02 + 6.0 + 0.6) * SECOND


def test_the_lead_can_be_changed():
    card = PageCard(lead_seconds=0.1, clock=VirtualClock())
    card.write(noise(4800))
    assert not card.wait_for_room(1, 0.0) and card.lead_seconds == 0.1
    card.lead_seconds = 4.0
    assert card.wait_for_room(4 * SECOND - 4800, 0.0)
    card.write(noise(4 * SECOND - 4800))
    card.lead_seconds = 0.1
    card.write(noise(FRAME))  # the session had asked before
    with pytest.raises(ValueError, match="wait_for_room"):
        card.write(noise(4 * SECOND))
    for wrong in (0.09, 4.01, float("nan")):
        with pytest.raises(ValueError, match=r"0\.1 to 4"):
            card.lead_seconds = wrong
        with pytest.raises(ValueError, match=r"0\.1 to 4"):
            PageCard(lead_seconds=wrong)
    with pytest.raises(ValueError, match="kept_seconds"):
        PageCard(kept_seconds=1.0)


def test_another_opening():
    clock = VirtualClock()
    card = PageCard(clock=clock)
    card.write(noise(FRAME, 1))
    card.report(0, 960)
    assert card.can_resume(0, 0) and card.can_resume(0, FRAME) and not card.can_resume(0, FRAME + 1)
    assert card.reopen() == card.reopen() == 1
    assert card.opening == 0  # until the session comes to it
    card.write(noise(FRAME, 2))
    assert card.take(0, 9999) == [] and not card.wait_for_sound(0, 0.1) and card.position == 0
    card.report(0, 1200)
    card.report(1, 1200)
    assert card.wait_for_room(FRAME, 0.0) and card.opening == card.status.opening == card.page_opening == 1
    assert card.queued_samples() == 0 and not card.can_resume(0, 0)
    card.hear(block(0))
    assert card.read() == [] and card.dropped_microphone_samples == FRAME
    sound = noise(3000, 3)
    card.write(sound[:FRAME])
    card.write(sound[FRAME:])
    packets = card.take(0, 9999)
    np.testing.assert_array_equal(sound_of(packets), as_whole(sound))
    heads = [wire.unpack(data) for data in packets]
    assert [(one.opening, one.position, one.flags) for one in heads] == [(1, 0, wire.DISCONTINUITY), (1, FRAME, 0)]
    whole = np.concatenate([noise(FRAME, 1), noise(FRAME, 2), sound])
    np.testing.assert_array_equal(card.last(60.0), whole)
    np.testing.assert_array_equal(card.last(0.05), whole[-2400:])


def test_memory_is_bounded_and_what_is_gone_is_said():
    clock = VirtualClock()
    card = PageCard(clock=clock, kept_seconds=5.0)
    sound = noise(8 * SECOND)
    for start in range(0, len(sound), FRAME):
        card.write(sound[start : start + FRAME])
        card.report(0, card.written_samples)
        clock.wait_until(clock.now_seconds() + 0.04)
    assert 4.9 * SECOND < len(card.last(1000.0)) <= 5 * SECOND
    first = 8 * SECOND - len(card.last(1000.0))
    assert card.can_resume(0, first) and not card.can_resume(0, first - 1)
    assert wire.unpack(card.take(first, 1)[0]).position == first
    with pytest.raises(ValueError, match="no longer kept"):
        card.take(first - 1, 1)
    with pytest.raises(ValueError, match="no longer kept"):
        card.take(-1, 1)
    tiny = PageCard(clock=VirtualClock(), kept_seconds=5.0)
    for _ in range(1100):
        tiny.write(noise(1))
    assert len(tiny.last(1000.0)) == 1000  # a packet has a price of its own


def test_the_metronome_travels_only_while_it_clicks():
    card = PageCard(clock=VirtualClock())
    click = np.linspace(-1.0, 1.0, FRAME).astype(np.float32)
    card.write(noise(FRAME), None)
    card.write(noise(FRAME), np.zeros(FRAME, np.float32))
    card.write(noise(FRAME), click)
    silent, still, clicking = map(wire.unpack, card.take(0, 9999))
    assert (silent.channels, still.channels, clicking.channels) == (2, 2, 3)
    lanes = np.frombuffer(clicking.payload, "<i2").reshape(-1, 3)
    np.testing.assert_array_equal(lanes[:, 2], as_whole(click[:, None])[:, 0])
    np.testing.assert_array_equal(lanes[:, :2], as_whole(noise(FRAME)))
    assert card.last(1.0).shape == (3 * FRAME, 2)


def test_sound_carries_the_number_of_its_settings_and_rings_a_bell():
    card, rung = PageCard(clock=VirtualClock()), []
    card.on_sound = lambda: rung.append(card.written_samples)
    card.sequence_of = lambda: 2**32 + 41
    card.write(noise(FRAME))
    card.write(noise(12_000))
    heads = [wire.unpack(data) for data in card.take(0, SECOND)]
    assert {one.controls for one in heads} == {41} and [one.samples for one in heads] == [FRAME, 4800, 4800, 2400]
    assert rung == [FRAME, FRAME + 12_000]

    def fail():
        raise RuntimeError("the loop is closed")

    card.on_sound = fail
    card.write(noise(FRAME))
    card.on_sound = lambda: rung.append(0)
    card.write(noise(FRAME))
    assert rung[-1] == 0 and card.written_samples == 12_000 + 3 * FRAME


def test_status():
    clock = VirtualClock()
    card = PageCard(clock=clock)
    card.write(noise(9600))
    card.report(0, 960, 3000, output_delay_seconds=0.05)
    status = card.status
    assert status.is_running and status.problem is None and status.output_delay_seconds == 0.05
    assert status.block_seconds == 0.04 and np.isnan(status.callback_p999_seconds)
    card.report(0, 1000)
    assert card.status.output_delay_seconds == 0.05
    card.starved(0, 9600, 128)
    card.starved(3, 9600, 128)
    assert card.status.underflows == 1 and card.position == 9600
    clock.wait_until(2.5)
    assert not card.status.is_running and "does not answer" in card.status.problem
    card.pause()
    assert not card.status.is_running and card.status.problem is None
    card.play()
    card.report(0, 9600)
    assert card.status.is_running


def captured_of(card):
    """Device sample -> sample of everything that came in."""
    found = {}
    for one in card.read():
        for place, sample in enumerate(one.samples[:, 0], one.device_start):
            assert place not in found
            found[place] = float(sample)
    return found


def test_the_microphone_is_placed_by_its_stamps():
    card = PageCard(clock=VirtualClock())
    card.round_trip_samples = 1234
    card.write(noise(20_000))
    mono = noise(FRAME, 9)[:, :1]
    card.hear(block(4000, mono, channels=1))
    card.hear(block(9000))
    first, second = card.read()
    assert (first.opening, first.device_start) == (0, 4000 - 1234) and second.device_start == 9000 - 1234
    np.testing.assert_array_equal(first.samples, np.repeat(mono, 2, axis=1))
    np.testing.assert_array_equal(second.samples, noise(FRAME, 9000))
    assert card.read() == []
    for wrong in (-1, 96_001):
        with pytest.raises(ValueError, match="round trip"):
            card.round_trip_samples = wrong
    with pytest.raises(ValueError, match="kind 1"):
        card.hear(wire.unpack(card.take(0, 1)[0]))


def test_microphone_blocks_that_overlap_come_twice_late_or_too_soon():
    card, sound = PageCard(clock=VirtualClock()), noise(20_000, 5)
    card.write(noise(10_000))
    card.hear(block(0, sound[:10], flags=wire.STARVED))
    card.hear(block(0, sound[:20], opening=7))
    assert card.read() == [] and card.dropped_microphone_samples == 30
    spans = [(0, 1000), (1000, 2500), (1000, 2500), (2000, 4000), (500, 800), (5000, 6000), (9000, 12_000), (9500, 9900)]
    for start, end in spans:
        card.hear(block(start, sound[start:end]))
    card.hear(block(15_000, sound[15_000:16_000]))
    found = captured_of(card)
    assert sorted(found) == [*range(4000), *range(5000, 6000), *range(9000, 10_000)]
    assert all(found[place] == sound[place, 0] for place in found)
    assert card.dropped_microphone_samples == 30 + 1500 + 500 + 300 + 2000 + 400 + 1000


@given(some.lists(some.tuples(some.integers(0, 12_000), some.integers(1, 3000), some.integers(0, 2000)), max_size=30))
@settings(max_examples=50, deadline=None)
def test_no_moment_is_heard_twice_whatever_the_stamps(blocks):
    card, total, got = PageCard(clock=VirtualClock()), 0, {}
    card.write(noise(10_000))
    for position, length, round_trip in blocks:
        card.round_trip_samples = round_trip
        card.hear(block(position, noise(length)))
        total += length
        if length % 3 == 0:
            fresh = captured_of(card)
            assert not set(fresh) & set(got)
            got |= fresh
    got |= captured_of(card)
    assert len(got) + card.dropped_microphone_samples == total
    assert all(-2000 <= place < 10_000 for place in got)


def test_the_microphone_waits_5_s_for_the_session():
    card = PageCard(lead_seconds=4.0, clock=VirtualClock())
    card.write(noise(8 * SECOND))
    for start in range(0, 8 * SECOND - FRAME + 1, FRAME):
        card.hear(block(start, noise(FRAME)))
    places = sorted(captured_of(card))
    assert 4.9 * SECOND <= len(places) <= 5 * SECOND and places[-1] == 8 * SECOND - 1
    assert len(places) + card.dropped_microphone_samples == 8 * SECOND


def wait_for_result(card):
    ends = time.monotonic() + 20.0
    while card.calibration == "running" and time.monotonic() < ends:
        time.sleep(0.01)
    return found_by(card)


def found_by(card):
    assert isinstance(card.calibration, Calibration)
    return card.calibration


def test_a_calibration_finds_the_round_trip_under_the_music():
    clock, sound = PageClock(), noise(6 * SECOND, level=0.3)
    card = PageCard(clock=clock)
    page = Page(clock, card, echo=0.3, round_trip=4321)
    cue = np.full(len(sound), 0.5, np.float32)
    assert card.calibration is None
    play(card, sound[: SECOND // 2], cue=cue)
    assert captured_of(card)
    card.start_calibration()
    with pytest.raises(ValueError, match="still running"):
        card.start_calibration()
    begin = card.written_samples
    assert card.calibration == "running"
    play(card, sound[SECOND // 2 :], cue=cue[SECOND // 2 :])
    result = wait_for_result(card)
    assert (result.samples, result.reason) == (4321, "") and card.round_trip_samples == 0
    level = np.abs(page.sound / 32_768)
    assert level[begin + FRAME :][: 2 * SECOND].max() < 0.2 < level[begin - 4800 : begin].max()
    back = begin + round(2.5 * SECOND) + 2 * FRAME
    assert {position < begin + FRAME or position >= back - 2 * FRAME for position in page.clicking} == {True}
    assert page.clicking[0] < begin and page.clicking[-1] > back
    np.testing.assert_array_equal(page.sound[back:], as_whole(sound)[back : len(page.sound)])
    np.testing.assert_array_equal(page.sound[:begin], as_whole(sound)[:begin])
    places = sorted(captured_of(card))
    assert places[-1] > back and not [place for place in places if begin + 2 * FRAME < place < begin + 2 * SECOND]
    card.start_calibration()
    assert card.calibration == "running"


def test_a_calibration_that_finds_nothing_says_why():
    clock = PageClock()
    card = PageCard(clock=clock)
    page = Page(clock, card, performance=noise(20 * SECOND, level=0.1))
    card.start_calibration()
    play(card, noise(4 * SECOND))
    result = wait_for_result(card)
    assert result.samples is None and "not clearly heard" in result.reason
    page.performance = None
    play(card, noise(SECOND))
    card.start_calibration()
    play(card, noise(4 * SECOND))
    assert card.calibration == "running"
    clock.wait_until(clock.now_seconds() + 20.0)
    assert found_by(card).samples is None and "microphone" in found_by(card).reason
    card.write(noise(FRAME))
    card.start_calibration()
    card.reopen()
    assert "lost its place" in found_by(card).reason
    assert card.wait_for_room(FRAME, 0.0)
    card.start_calibration()  # and then nothing is played at all
    clock.wait_until(clock.now_seconds() + 21.0)
    assert "press play" in found_by(card).reason
    card.start_calibration()
    assert card.calibration == "running"


class CountingClock(WallClock):
    """Counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def now_seconds(self):
        self.asked += 1
        return super().now_seconds()


def test_nobody_waits_busily():
    clock = CountingClock()
    card = PageCard(lead_seconds=0.1, clock=clock)
    card.write(noise(4800))
    before, began = clock.asked, time.monotonic()
    assert not card.wait_for_room(FRAME, 0.3) and not card.wait_for_sound(4800, 0.3)
    assert clock.asked - before < 20 and time.monotonic() - began >= 0.55
    assert card.wait_for_sound(4799, 0.0)


@pytest.mark.parametrize("event", ["report", "lead", "sound", "reopen"])
def test_a_waiting_thread_is_woken(event):
    card = PageCard(lead_seconds=0.1)
    card.write(noise(4800))
    done = []

    def wait():
        done.append(card.wait_for_sound(4800, 20.0) if event == "sound" else card.wait_for_room(FRAME, 20.0))

    thread, began = threading.Thread(target=wait), time.monotonic()
    thread.start()
    time.sleep(0.05)
    {
        "report": lambda: card.report(0, 2400),
        "lead": lambda: setattr(card, "lead_seconds", 1.0),
        "sound": lambda: card.write(noise(FRAME)),
        "reopen": card.reopen,
    }[event]()
    thread.join(20.0)
    assert done == [True] and time.monotonic() - began < 10.0


def test_threads():
    """The session's thread and the network's at once, by the wall clock."""
    card, sound = PageCard(lead_seconds=0.3), noise(SECOND + 777)
    writer = threading.Thread(target=play, args=(card, sound, 777))
    writer.start()
    taken, position, began, ends = [], 0, None, time.monotonic() + 30.0
    while position < len(sound) and time.monotonic() < ends:
        if not card.wait_for_sound(position, 0.02):
            time.sleep(0.0)
        began = began or time.monotonic()
        for data in card.take(position, 1000):
            taken.append(data)
            position += wire.unpack(data).samples
        card.report(0, min(round((time.monotonic() - began) * SECOND), position))
        card.hear(block(max(position - 500, 0), noise(500)))
    writer.join(30.0)
    np.testing.assert_array_equal(sound_of(taken), as_whole(sound))
    assert captured_of(card)
