"""A seat with the stand-in model and a page that plays: knobs, actions, recordings, and every way to end."""

import json
import threading
import time

import jaxtyping
import numpy as np
import pytest
import soundfile

from magenta_rt_py.live.event_log import read_events, read_header
from magenta_rt_py.serve import events, wire
from magenta_rt_py.serve.device import Device
from magenta_rt_py.serve.recordings import Recordings
from magenta_rt_py.serve.seat import ACTIONS, Seat, SeatConfig
from magenta_rt_py.serve.stand_in import StandInFactory, clicks_of
from magenta_rt_py.serve.uploads import Upload

FRAME = 1920
SEAT_ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module", autouse=True)
def unchecked():
    """Types are checked in the tests of the parts; here they would take most of the time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def wait_for(is_so, seconds=10.0):
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.005)


class Stand:
    """A seat, and the page that listens to it."""

    def __init__(self, folder, *, factory=None, most_bytes=10**9, **config):
        self.device = Device()
        self.recordings = Recordings(folder / "files", most_bytes=most_bytes)
        self.told = []
        self.seat = Seat(
            SEAT_ID, factory or StandInFactory(), self.device, self.recordings, self.told.append,
            config=SeatConfig(**config),
        )  # fmt: skip
        self.position, self.sound, self.now = 0, np.zeros((0, 2), np.float32), 0.0

    def of(self, kind):
        return [event for event in self.told if isinstance(event, kind)]

    def tick(self, seconds=0.25):
        self.now += seconds
        self.seat.tick(self.now)

    def hear(self, seconds, *, echo_samples=None):
        """Plays so much more, faster than time goes by; its microphone hears it so much later."""
        card, end = self.seat.card, self.position + round(seconds * 48_000)
        gives_up = time.monotonic() + 20.0
        while self.position < end:
            assert time.monotonic() < gives_up, "the music stands still"
            packets = card.take(self.position, min(end - self.position, 4800))
            for data in packets:
                packet = wire.unpack(data)
                self.sound = np.concatenate([self.sound, wire.samples_of(packet)[:, :2]])
                if echo_samples is not None:
                    self.play_along(echo_samples, packet.samples)
                self.position += packet.samples
            # It plays what it got a quarter of a second ago: what was never late is never bridged.
            card.report(card.opening, max(0, self.position - 12_000), 0, is_playing=True)
            if not packets:
                card.wait_for_sound(self.position, 0.05)

    def play_along(self, echo_samples, count):
        places = self.position - echo_samples + np.arange(count)
        heard = np.where((places >= 0)[:, None], self.sound[np.maximum(places, 0)], 0.0).astype(np.float32)
        payload = wire.payload_of(heard)
        self.seat.card.hear(wire.Packet(wire.MICROPHONE, 0, 2, 0, 0, count, 0, self.position, payload))

    def close(self):
        closed = self.seat.close(timeout_seconds=10.0)
        return self.device.close() and closed


@pytest.fixture
def make(tmp_path):
    made = []

    def new(**options):
        made.append(Stand(tmp_path, **options))
        return made[-1]

    yield new
    for stand in made:
        stand.close()


@pytest.fixture
def stand(make):
    stand = make()
    stand.seat.play()
    return stand


def test_the_page_hears_every_frame_once(stand):
    stand.hear(4.0)
    places, numbers = clicks_of(stand.sound)
    assert len(places) > 90 and np.all(np.diff(places) == FRAME) and np.all(np.diff(numbers) % 8 == 1)
    assert stand.seat.state == "playing" and stand.seat.seconds >= 4.0


def test_nothing_is_made_beyond_the_lead(make):
    stand = make(lead_seconds=0.5)
    wait_for(lambda: stand.seat.seconds > 0.4)
    time.sleep(0.2)
    assert stand.seat.seconds <= 0.52
    stand.seat.lead(1.0)
    wait_for(lambda: stand.seat.seconds > 0.9)
    with pytest.raises(ValueError, match="lead"):
        stand.seat.lead(9.0)
    with pytest.raises(ValueError, match="lead"):
        stand.seat.lead(float("nan"))


def test_a_set_is_acknowledged_and_heard(stand):
    stand.hear(0.5)
    sequence = stand.seat.set({"temperature": 2.0, "prompt/1/text": "rock"}, id=7)
    ack = stand.of(events.Changed)[-1]
    assert (ack.id, ack.values) == (7, {"temperature": 2.0, "prompt/1/text": "rock"}) and ack.sequence == sequence
    assert stand.seat.set({"temperature": 2.0}, id=8) == sequence  # it stands so already
    assert stand.of(events.Changed)[-1].id == 8
    told = len(stand.of(events.Changed))
    for bad in ({"temperature": float("nan")}, {"temperature": 99.0}, {"no/such": 1}, {"tap": None}, {"top_k": "x"}):
        with pytest.raises(ValueError):
            stand.seat.set({"volume": 0.5, **bad})
    assert len(stand.of(events.Changed)) == told and stand.seat.board.settings.values["volume"] == 1.0
    stand.hear(2.0)
    assert wire.unpack(stand.seat.card.take(stand.position - 4800, 4800)[-1]).controls == sequence


def test_changes_of_others_are_told_too(stand):
    stand.seat.board.set("bpm", 99.0, source="tap")
    told = stand.of(events.Changed)[-1]
    assert (told.source, told.values, told.id) == ("tap", {"bpm": 99.0}, None)


def test_only_some_actions_may_be_asked_for(stand):
    for name in ACTIONS:
        stand.seat.act(name, 1 if name in ("nudge", "rewind") else None)
    for name in ("quit", "record", "record/stop", "calibrate", "temperature", "x" * 10_000, ""):
        with pytest.raises(ValueError, match="cannot be asked for"):
            stand.seat.act(name)
    with pytest.raises(ValueError):
        stand.seat.act("nudge", float("inf"))
    stand.hear(1.0)
    assert stand.seat.state == "playing"


def test_what_is_said_and_how_it_goes_is_told(stand):
    stand.hear(1.0)
    stand.seat.act("snapshot/save", 1)
    stand.hear(0.5)
    stand.tick()
    stand.tick(0.1)
    assert any("snapshot 1 saved" in said.text for said in stand.of(events.Said))
    status = stand.of(events.Status)
    assert len(status) == 1  # not more often than five times a second
    assert status[0].session.seconds > 1.0 and status[0].prompts[0] == "empty" and status[0].lead_seconds == 0.5
    assert 0 <= stand.position - status[0].position <= 12_000 and status[0].opening == 0
    assert status[0].device_problem is None


def test_a_recording_is_what_was_played_and_the_microphone_lies_beside_it(stand):
    stand.seat.round_trip(1000)
    stand.hear(1.0, echo_samples=1000)
    first = stand.position
    stand.seat.record("start", has_microphone=True)
    with pytest.raises(ValueError, match="already"):
        stand.seat.record("start")
    stand.hear(2.0, echo_samples=1000)
    stand.tick()
    begun = stand.of(events.Recording)
    assert begun[0].state == "recording" and begun[-1].seconds > 1.0
    stand.seat.record("stop")
    stand.hear(1.0, echo_samples=1000)
    wait_for(lambda: stand.of(events.Recording)[-1].state == "done")
    done = stand.of(events.Recording)[-1]
    main_file, microphone_file = (stand.recordings.find(SEAT_ID, file.id) for file in done.files)
    assert main_file.name.startswith("take-") and "microphone" in microphone_file.name and done.problem is None
    main, rate = soundfile.read(main_file.path, dtype="float32")
    microphone, _ = soundfile.read(microphone_file.path, dtype="float32")
    assert rate == 48_000 and len(main) == len(microphone) == round(done.seconds * 48_000) >= 90_000
    start = first + 24_000 - FRAME  # what was written next when it began: the lead is half a second
    start = min(range(start - 4 * FRAME, start + 8 * FRAME, 240), key=lambda at: error(main, stand.sound, at))
    assert error(main, stand.sound, start) < 1e-4
    heard = np.abs(microphone - main).max(axis=1)
    assert heard[2000:-2000].max() < 1e-4  # sample for sample


def error(piece, sound, at):
    count = min(len(piece), len(sound) - at)
    return np.abs(piece[:count] - sound[at : at + count]).max()


def test_a_recording_without_a_microphone_that_comes_is_silent_there(stand):
    stand.seat.record("start", has_microphone=True)
    stand.hear(1.0)
    stand.seat.record("stop")
    wait_for(lambda: stand.of(events.Recording)[-1].state == "done")
    paths = [stand.recordings.find(SEAT_ID, file.id).path for file in stand.of(events.Recording)[-1].files]
    main, microphone = (soundfile.read(path)[0] for path in paths)
    assert len(main) == len(microphone) > 40_000 and not microphone.any() and main.any()


def test_a_recording_has_a_longest_length(make):
    stand = make(longest_recording_seconds=1.0)
    stand.seat.record("start")
    stand.hear(2.0)
    stand.tick()
    wait_for(lambda: stand.of(events.Recording)[-1].state == "done")
    assert "at most" in stand.of(events.Recording)[-1].problem
    stand.seat.record("start")  # another may begin


def test_a_recording_is_completed_when_the_seat_ends(stand):
    stand.seat.record("start")
    stand.hear(1.0)
    assert stand.close()
    stored = stand.recordings.find(SEAT_ID, stand.of(events.Recording)[-1].files[0].id)
    assert soundfile.info(stored.path).frames > 40_000
    with pytest.raises(ValueError, match="over"):
        stand.seat.record("start")


def test_a_disk_that_fails_stops_the_recording_and_not_the_music(stand, monkeypatch):
    stand.hear(0.5)
    monkeypatch.setattr(stand.recordings, "_folder", stand.recordings._folder / "gone")
    stand.seat.record("start")
    stand.hear(1.0)
    wait_for(lambda: (stand.tick(), stand.of(events.Recording)[-1].state == "failed")[1])
    assert "no folder" in stand.of(events.Recording)[-1].problem
    before = stand.seat.seconds
    stand.hear(1.0)
    assert stand.seat.seconds > before


def test_the_log_can_be_read_at_any_time(stand):
    stand.hear(1.0)
    stand.seat.set({"guidance": 3.0})
    stand.hear(1.0)
    wait_for(lambda: any(event.kind == "knob" for event in read_events(stand.seat.log_path)))
    assert read_header(stand.seat.log_path)["bundle"] == "stand-in"
    assert stand.recordings.newest(SEAT_ID, suffix=".jsonl") == stand.seat.log_path


def test_the_last_seconds_are_at_hand(stand):
    stand.hear(2.0)
    last = stand.seat.last(1.0)
    assert last.shape == (48_000, 2) and np.abs(last).max() > 0.05
    assert len(stand.seat.last(1e9)) < 5 * 48_000 and len(stand.seat.last(-1.0)) == 0


def test_the_music_goes_on_from_a_sound_that_is_brought(stand):
    stand.hear(1.0)
    stand.seat.bring(np.zeros((48_000, 2), np.float32), "a file")
    stand.hear(4.9)
    stand.tick()
    numbers = [event.data["past"][-1][0][0] for event in read_events(stand.seat.log_path) if event.kind == "turn"]
    assert numbers[-1] == 9999
    played = stand.seat._playing.session.engine.timeline
    assert played.played(played.playhead - 1, played.playhead)[0].codes[0] >= 10_000


def test_a_sound_is_a_prompt_of_this_seat_only(stand):
    name = stand.seat.shelf.add(Upload("horn.wav", np.zeros((4800, 2), np.float32)))
    stand.seat.set({"prompt/1/text": name})
    assert stand.seat.resolve(name).samples.shape == (4800, 2)
    with pytest.raises(ValueError, match="upload it again"):
        stand.seat.set({"prompt/2/text": "@" + "0" * 32})
    assert stand.seat.resolve(" /etc/passwd.wav ") == "/etc/passwd.wav"  # words
    assert stand.seat.forget(name) and not stand.seat.forget(name)
    with pytest.raises(ValueError, match="not here"):
        stand.seat.resolve(name)


def test_a_pause_stops_the_model_and_play_goes_on(stand):
    stand.hear(1.0)
    stand.seat.pause()
    time.sleep(0.5)
    assert stand.seat.seconds <= stand.position / 48_000 + 0.55 and not stand.seat.is_playing
    stand.seat.play()
    stand.hear(1.0)
    places, _ = clicks_of(stand.sound)
    assert np.all(np.diff(places) == FRAME)


def test_a_calibration_without_a_microphone_says_so(stand):
    stand.seat.calibrate()
    with pytest.raises(ValueError, match="running"):
        stand.seat.calibrate()
    stand.hear(0.5)
    stand.tick()
    assert not stand.of(events.Calibrated)
    stand.seat.card._trial._ends_seconds = 0.0
    stand.tick()
    told = stand.of(events.Calibrated)
    assert len(told) == 1 and told[0].samples is None and "microphone" in told[0].reason
    stand.tick()
    assert len(stand.of(events.Calibrated)) == 1


def test_a_calibration_finds_the_round_trip(stand):
    stand.hear(0.5, echo_samples=777)
    stand.seat.calibrate()
    stand.hear(4.5, echo_samples=777)
    wait_for(lambda: (stand.tick(), stand.of(events.Calibrated))[1])
    assert stand.of(events.Calibrated)[0] == events.Calibrated(samples=777, reason="")
    assert stand.seat.card.round_trip_samples == 777
    with pytest.raises(ValueError, match="round trip"):
        stand.seat.round_trip(-1)


def test_a_thread_that_dies_says_so_and_ends_the_seat(make):
    stand = make()
    stand.hear(0.5)

    def broken(*values):
        raise MemoryError("no\nroom")

    stand.seat._playing.session.step = broken
    stand.seat.card.report(0, stand.position + 1920, 0)
    wait_for(lambda: stand.seat.ended is not None)
    ended = stand.of(events.Ended)
    assert len(ended) == 1 and ended[0].code == events.BROKEN and "MemoryError: no room" in ended[0].reason
    wait_for(lambda: stand.seat.has_finished)
    assert stand.seat.state == "ended"
    assert stand.close()


def test_a_model_that_cannot_be_opened_says_so(make):
    class Broken(StandInFactory):
        def __call__(self, *values, **options):
            raise RuntimeError("out of memory")

    stand = make(factory=Broken())
    wait_for(lambda: stand.of(events.Ended))
    assert "out of memory" in stand.of(events.Ended)[0].reason
    assert stand.close()


def test_a_model_that_fails_is_said_and_the_seat_lives(make):
    def fail(request):
        if 3 < request.number < 8:
            raise RuntimeError("bad weather")

    stand = make(factory=StandInFactory(before=fail))
    stand.hear(5.0)
    stand.tick()
    log = stand.seat.log_path.read_text()
    assert "bad weather" in log and stand.seat.state == "playing"


def test_closing_is_bounded_while_the_model_hangs(make):
    gate = threading.Event()
    stand = make(factory=StandInFactory(before=lambda request: gate.wait(20.0)))
    try:
        wait_for(lambda: stand.device.status.busy_seconds > 0.0)
        began = time.monotonic()
        assert stand.seat.close(timeout_seconds=8.0)  # the seat does not wait for its model
        assert time.monotonic() - began < 6.0
    finally:
        gate.set()


def test_closing_is_bounded_while_the_seat_opens(make):
    gate = threading.Event()

    class Slow(StandInFactory):
        def __call__(self, *values, **options):
            gate.wait(20.0)
            return super().__call__(*values, **options)

    stand = make(factory=Slow())
    began = time.monotonic()
    assert stand.seat.close(timeout_seconds=0.1) is False
    assert time.monotonic() - began < 3.0 and stand.seat.state == "ended"
    gate.set()
    wait_for(lambda: stand.seat.has_finished)
    assert len(stand.of(events.Ended)) == 1


def test_a_callback_that_fails_does_no_harm(make):
    stand = make()

    def broken(event):
        raise RuntimeError("the loop is closed")

    stand.seat.connect(broken)
    stand.seat.set({"volume": 0.5})
    stand.hear(1.0)
    stand.tick()
    assert stand.seat.state == "playing"


def test_nothing_is_told_after_the_end(stand):
    stand.hear(0.5)
    stand.seat.end("enough", events.LEFT)
    stand.seat.end("twice", events.BROKEN)
    stand.seat.set({"volume": 0.1})
    stand.tick()
    assert stand.of(events.Ended) == [events.Ended(reason="enough", code=events.LEFT)]
    assert isinstance(stand.told[-1], events.Ended)
    assert json.dumps(stand.seat.board.settings.values["volume"]) == "0.1"
