"""The hall on a virtual clock, with seats of the stand-in: who sits, who waits, who comes back, who has to go."""

import time

import jaxtyping
import pytest

from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.serve import events
from magenta_rt_py.serve.hall import Hall, HallConfig, Refused
from magenta_rt_py.serve.seat import SeatConfig
from magenta_rt_py.serve.stand_in import StandInFactory
from magenta_rt_py.serve.tokens import TokenClaim


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


class Guest:
    """One connection: it enters, and notes what it is told."""

    def __init__(self, house, number, address="1.2.3.4"):
        self.told = []
        claim = TokenClaim(f"{number:032x}", "", 1e12)
        self.house, self.ticket = house, house.hall.enter(claim, self.told.append, address=address)

    @property
    def is_seated(self):
        return self.ticket.seat is not None

    def of(self, kind):
        return [event for event in self.told if isinstance(event, kind)]

    def places(self):
        return [(event.place, event.waiting) for event in self.of(events.Waiting)]

    def leave(self):
        self.house.hall.leave(self.ticket)

    def lose(self):
        self.house.hall.lost(self.ticket)

    def hear(self):
        """Plays a little."""
        card = self.ticket.seat.card
        wait_for(lambda: card.written_samples > card.position)
        card.report(card.opening, card.written_samples, 0)
        before = self.ticket.seat.seconds
        wait_for(lambda: self.ticket.seat.seconds > before)


class House:
    """A hall, and its clock."""

    def __init__(self, factory=None, **config):
        self.clock = VirtualClock()
        config = {"most_sessions": 2, "most_per_address": 100, "seat": SeatConfig(kept_seconds=5.0), **config}
        self.hall = Hall(factory or StandInFactory(), HallConfig(**config), clock=self.clock)

    def enter(self, number, **options):
        return Guest(self, number, **options)

    def pass_by(self, seconds):
        self.clock.wait_until(self.clock.now_seconds() + seconds)
        self.hall.tick()


@pytest.fixture
def make():
    made = []

    def new(*values, **config):
        made.append(House(*values, **config))
        return made[-1]

    yield new
    for house in made:
        assert house.hall.close(timeout_seconds=20.0)


def test_so_many_sit_and_the_others_wait_in_order(make):
    house = make()
    first, second, third, fourth = (house.enter(number) for number in range(4))
    assert first.is_seated and second.is_seated and not third.is_seated and not fourth.is_seated
    assert (third.ticket.place, fourth.ticket.place) == (1, 2)
    assert third.places() == [(1, 1), (1, 2)] and fourth.places() == [(2, 2)]
    assert house.hall.health()[:3] == (2, 2, 2)
    second.leave()
    assert third.is_seated and third.of(events.Seated)[0].seat is third.ticket.seat
    assert fourth.places()[-1] == (1, 1) and not fourth.is_seated
    assert second.of(events.Ended)[0].code == events.LEFT
    fourth.leave()
    assert house.hall.health()[:3] == (2, 2, 0) and not fourth.of(events.Ended)


def test_a_closed_page_frees_its_seat_within_a_second(make):
    house = make(StandInFactory(cost_seconds=0.02), most_sessions=1)
    first, second = house.enter(1), house.enter(2)
    first.hear()
    began = time.monotonic()
    first.leave()
    assert second.is_seated and time.monotonic() - began < 1.0
    second.hear()
    wait_for(lambda: house.hall.device.status.workers == 1)  # nothing of the first one is left
    house.pass_by(0.1)
    assert house.hall._ending == [] or house.hall._ending[0].id == first.ticket.claim.seat_id


@pytest.mark.parametrize(("cost", "most"), [(0.04, 1), (0.1, 1), (0.01, 2), (0.004, 6), (0.0, 8)])
def test_as_many_are_let_in_as_the_machine_plays_for_with_short_requests(make, cost, most):
    house = make(StandInFactory(cost_seconds=cost), most_sessions=None)
    assert house.hall.most == most
    guests = [house.enter(number) for number in range(most + 2)]
    assert [guest.is_seated for guest in guests] == [True] * most + [False] * 2


def test_the_newest_connection_takes_over(make):
    house = make(most_sessions=1)
    old, waiting = house.enter(1), house.enter(2)
    seat = old.ticket.seat
    new = house.enter(1)
    assert new.ticket.seat is seat and new.ticket.has_resumed and not old.ticket.has_resumed
    assert old.of(events.Ended)[0].code == events.TAKEN_OVER
    seat.set({"volume": 0.5}, id=3)
    assert new.of(events.Changed) and not old.of(events.Changed)
    old.lose()  # its handler notices late that it is closed
    old.leave()
    house.pass_by(25.0)
    assert seat.ended is None and not waiting.is_seated
    new.leave()
    assert waiting.is_seated


def test_a_place_in_the_line_is_taken_over_too(make):
    house = make(most_sessions=1)
    sitting, old, after = house.enter(1), house.enter(2), house.enter(3)
    new = house.enter(2)
    assert new.ticket.has_resumed and new.places() == [(1, 2)]
    assert old.of(events.Ended)[0].code == events.TAKEN_OVER
    old.leave()
    sitting.leave()
    assert new.is_seated and not after.is_seated and not old.is_seated


def test_a_lost_connection_has_a_while_to_come_back(make):
    house = make(most_sessions=1)
    first, second = house.enter(1), house.enter(2)
    first.hear()
    seat = first.ticket.seat
    first.lose()
    house.pass_by(19.0)
    assert not second.is_seated
    again = house.enter(1)
    assert again.ticket.seat is seat and again.ticket.has_resumed and not first.of(events.Ended)
    assert house.hall.came == 2  # the first and the second; who comes back is not counted again
    house.pass_by(19.0)
    assert seat.ended is None
    again.lose()
    house.pass_by(20.0)
    assert seat.ended is not None and second.is_seated
    assert not again.of(events.Ended)  # nobody is there to be told


def test_who_is_lost_in_the_line_is_passed_over_and_then_forgotten(make):
    house = make(most_sessions=1)
    sitting, lost, after = house.enter(1), house.enter(2), house.enter(3)
    lost.lose()
    sitting.leave()
    assert after.is_seated and not lost.is_seated
    back = house.enter(2)
    assert back.places()[-1] == (1, 1)
    back.lose()
    house.pass_by(20.0)
    assert house.hall.health().waiting == 0


def test_who_plays_nothing_makes_room(make):
    house = make()
    idle, busy, waiting = house.enter(1), house.enter(2), house.enter(3)
    for guest in (idle, busy):
        wait_for(lambda guest=guest: guest.ticket.seat.seconds > 0.4)
    time.sleep(0.1)
    house.pass_by(0.1)
    house.pass_by(200.0)
    busy.hear()
    house.pass_by(0.1)
    house.pass_by(99.0)
    assert idle.is_seated and not waiting.is_seated
    house.pass_by(1.0)
    assert idle.of(events.Ended)[0].code == events.IDLE and waiting.is_seated
    assert not busy.of(events.Ended)


def test_a_performance_may_have_a_longest_length(make):
    house = make(longest_seconds=60.0)
    guest, forever = house.enter(1), make().enter(1)
    for _ in range(6):
        guest.hear()
        house.pass_by(9.9)
    assert not guest.of(events.Ended)
    house.pass_by(0.7)
    assert "1 minutes" in guest.of(events.Ended)[0].reason
    forever.house.pass_by(250.0)
    assert not forever.of(events.Ended)


def test_an_address_has_a_limit_and_loopback_has_none(make):
    house = make(most_sessions=1, most_per_address=2)
    house.enter(1), house.enter(2)
    with pytest.raises(Refused, match="your address") as refused:
        house.enter(3)
    assert refused.value.code == events.TOO_MANY
    house.enter(2)  # its own place
    house.enter(4, address="5.6.7.8")
    for number, address in enumerate(["127.0.0.1", "::1", "", "127.0.0.1"], 10):
        house.enter(number, address=address)
    assert house.hall.health().waiting == 6


def test_the_line_has_an_end(make):
    house = make(most_sessions=1, most_waiting=2)
    for number in range(3):
        house.enter(number)
    with pytest.raises(Refused, match="waiting already"):
        house.enter(9)
    nobody_waits = make(most_waiting=0)
    assert nobody_waits.enter(1).is_seated and nobody_waits.enter(2).is_seated
    with pytest.raises(Refused):
        nobody_waits.enter(3)


def test_a_performance_that_breaks_makes_room_and_may_begin_anew(make):
    house = make(most_sessions=1)
    broken, waiting = house.enter(1), house.enter(2)
    broken.hear()

    def fail():
        raise RuntimeError("broken")

    broken.ticket.seat._playing.session.step = fail
    card = broken.ticket.seat.card
    card.report(0, card.written_samples, 0)
    wait_for(lambda: broken.ticket.seat.ended is not None)
    assert broken.of(events.Ended)[0].code == events.BROKEN
    house.pass_by(0.1)
    assert waiting.is_seated
    again = house.enter(1)
    assert not again.is_seated and not again.ticket.has_resumed


def test_a_token_finds_its_seat_and_its_files_only(make):
    house = make()
    one, other = house.enter(1), house.enter(2)
    claim = one.ticket.claim
    assert house.hall.find(claim) is one.ticket.seat
    assert house.hall.find(claim._replace(seat_id="f" * 32)) is None
    one.hear()
    one.ticket.seat.record("start")
    one.hear()
    one.leave()
    wait_for(lambda: one.ticket.seat.has_finished)
    file_id = one.of(events.Recording)[0].files[0].id
    assert house.hall.recordings.find(claim.seat_id, file_id).path.is_file()  # the seat has ended, its files are there
    assert house.hall.find(claim) is None and house.hall.log_of(claim.seat_id).is_file()
    with pytest.raises(KeyError):
        house.hall.recordings.find(other.ticket.claim.seat_id, file_id)
    assert house.hall.log_of("f" * 32) is None


def test_a_full_folder_stops_the_recording_and_not_the_music(make):
    house = make(folder_bytes=10)
    guest = house.enter(1)
    guest.hear()
    guest.ticket.seat.record("start")
    guest.hear()
    house.pass_by(6.0)
    wait_for(lambda: guest.of(events.Recording)[-1].state != "recording")
    assert "no more room" in guest.of(events.Recording)[-1].problem
    guest.hear()


def test_one_callback_that_fails_does_not_hold_up_the_others(make):
    house = make(most_sessions=1)

    def broken(event):
        raise RuntimeError("gone")

    first = house.enter(1)
    house.hall.enter(TokenClaim("a" * 32, "", 1e12), broken)
    third = house.enter(3)
    first.leave()
    house.pass_by(1.0)
    assert third.places()[-1] == (1, 1)


def test_closing_ends_all_and_says_so(make):
    house = make(most_sessions=1)
    first, second = house.enter(1), house.enter(2)
    first.hear()
    folder = first.ticket.seat.log_path.parent
    house.hall.start()
    assert house.hall.close(timeout_seconds=20.0)
    assert [guest.of(events.Ended)[0].code for guest in (first, second)] == [events.RESTART] * 2
    assert first.ticket.seat.has_finished and not second.is_seated
    assert not folder.exists()  # it was a temporary one
    with pytest.raises(Refused, match="restarted"):
        house.enter(4)
    assert house.hall.close()


def test_a_folder_of_ones_own_is_kept(make, tmp_path):
    house = make(folder=tmp_path / "mine")
    house.enter(1).hear()
    assert house.hall.close(timeout_seconds=20.0)
    assert list((tmp_path / "mine").glob("*.jsonl"))


def test_it_ticks_by_itself(make):
    house = make()
    guest = house.enter(1)
    house.hall.start()
    house.hall.start()
    house.clock.wait_until(1.0)
    wait_for(lambda: guest.of(events.Status))


def test_numbers_that_make_no_sense_are_refused():
    for bad in ({"most_sessions": 0}, {"grace_seconds": -1.0}, {"idle_seconds": float("nan")}):
        with pytest.raises(ValueError):
            HallConfig(**bad)
