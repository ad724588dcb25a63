"""Hall: who has a seat, who waits for one, and who has gone.

    enter -> seated at once, or in the line (places are told as they change) -> seated when one is free
    the newest connection of a seat takes it over; a lost one has a while to come back; who plays nothing makes room
    leave -> the seat is free at once, and the next in line gets it; its thread ends by itself

As many are seated as the machine can play for, by its measured RTF. `tick` does all that time does, on the clock that was
handed in; `start` calls it ten times a second.

Stateful; any thread. Callbacks are called with the hall's lock held: they return at once and do not call back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import math
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from magenta_rt_py.live.clock import Clock, WallClock
from magenta_rt_py.serve import events, spent_memory
from magenta_rt_py.serve.device import Device
from magenta_rt_py.serve.playing import SeatFactory
from magenta_rt_py.serve.recordings import Recordings
from magenta_rt_py.serve.seat import Seat, SeatConfig
from magenta_rt_py.serve.tokens import TokenClaim

__all__ = ["Hall", "HallConfig", "Health", "Refused", "Ticket"]

TICK_SECONDS = 0.1
TRIM_SECONDS = 5.0
RESTARTING = "the server is being restarted; come back in a moment"
OnEvent = Callable[[events.Event], None]


class Refused(Exception):
    """No seat and no place in the line; says why in one line.

    Attributes:
      code: to close the socket with.
    """

    def __init__(self, reason: str, code: int) -> None:
        """Of a reason."""
        super().__init__(reason)
        self.code = code


@dataclasses.dataclass(frozen=True, kw_only=True)
class HallConfig:
    """How many, and for how long. Ours."""

    most_sessions: int | None = None
    """Seats; None: as many as the machine plays for."""
    rtf_share: float = 0.85
    """Of the device's time, so much is given away, by the RTF that was measured for one and for batches of requests."""
    most_by_rtf: int = 8
    """But not more than one process can look after, however fast the device is: each performance takes about an eighth of a
    core for its sound and its socket, and Python runs one thread at a time (benchmarks/many_listeners.py). `most_sessions`
    may be more."""
    most_waiting: int = 100
    """Places in the line."""
    most_per_address: int = 4
    """Seats and places of one address; loopback has no limit, a proxy may stand there."""
    grace_seconds: float = 20.0
    """A lost connection may come back so long."""
    idle_seconds: float = 300.0
    """Who plays nothing for so long makes room."""
    longest_seconds: float | None = None
    """Longest performance; None: no limit."""
    folder: Path | None = None
    """For recordings and logs, kept; None: a temporary one, deleted at the end."""
    folder_bytes: int = 2_000_000_000
    """Recordings and logs together; the oldest go first."""
    seat: SeatConfig = dataclasses.field(default_factory=SeatConfig)
    """How seats are set up."""

    def __post_init__(self) -> None:
        if self.most_sessions is not None and self.most_sessions < 1:
            raise ValueError(f"most_sessions is {self.most_sessions}; give 1 or more, or None")
        for name in ("grace_seconds", "idle_seconds"):
            if not 0.0 <= getattr(self, name):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give 0 or more")


class Health(NamedTuple):
    """For people who run it; nothing personal."""

    sessions: int
    most: int
    waiting: int
    rtf: float
    """Of the device of late; before its first work as measured at the start."""
    problem: str | None
    """Why the device does not answer, in one line."""


class Ticket:
    """One connection's claim to a seat.

    Attributes:
      claim: of its token.
      address: of the peer.
      has_resumed: whether the seat, or the place, was there already.
    """

    def __init__(self, claim: TokenClaim, on_event: OnEvent, address: str, now_seconds: float) -> None:
        """Use `Hall.enter`."""
        self.claim, self.address, self.has_resumed = claim, address, False
        self._on_event = on_event
        self._seat: Seat | None = None
        self._place = 0
        self._told: tuple[int, int] | None = None
        self._lost_seconds: float | None = None
        self._seated_seconds = self._moved_seconds = now_seconds
        self._progress = 0.0

    @property
    def seat(self) -> Seat | None:
        """The seat; None while waiting."""
        return self._seat

    @property
    def place(self) -> int:
        """In the line, 1 is next; 0 for who is seated."""
        return self._place

    def _tell(self, event: events.Event) -> None:
        if self._lost_seconds is None:
            with contextlib.suppress(Exception):  # a broken connection is found lost by its own thread
                self._on_event(event)


class Hall:
    """See the module's head.

    Attributes:
      device: what computes for all.
      recordings: files that were made here.
      came: who got a seat or a place in the line so far; who comes back is not counted again.
    """

    def __init__(
        self,
        factory: SeatFactory,
        config: HallConfig | None = None,
        *,
        clock: Clock | None = None,
        device: Device | None = None,
    ) -> None:
        """Empty, and open.

        Args:
          factory: makes performances.
          config: how many, and for how long.
          clock: of all that is counted in seconds here; None is a wall clock. What plays keeps the device's.
          device: what computes; None makes one.
        Raises:
          OSError: the folder cannot be made.
        """
        self.config = config or HallConfig()
        self._factory, self._clock = factory, clock or WallClock()
        by_rtf = min(factory.about.most(self.config.rtf_share), self.config.most_by_rtf)
        self._most = by_rtf if self.config.most_sessions is None else self.config.most_sessions
        self.device = device or Device()
        self._temporary = None if self.config.folder is not None else Path(tempfile.mkdtemp(prefix="magenta-rt-"))
        self.recordings = Recordings(self.config.folder or self._temporary, most_bytes=self.config.folder_bytes)
        self._lock = threading.RLock()
        self._seated: dict[str, Ticket] = {}
        self._line: list[Ticket] = []
        self.came = 0
        self._ending: list[Seat] = []
        self._trimmed_seconds, self._closed = -math.inf, threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def most(self) -> int:
        """Seats."""
        return self._most

    @property
    def seats(self) -> list[Seat]:
        """Those that are taken."""
        with self._lock:
            return [ticket._seat for ticket in self._seated.values() if ticket._seat is not None]

    def health(self) -> Health:
        """How it is going."""
        device = self.device.status
        with self._lock:
            counts = len(self._seated), self.most, len(self._line)
        rtf = self._factory.about.rtf if math.isnan(device.rtf) else device.rtf
        return Health(*counts, rtf, device.problem)

    def find(self, claim: TokenClaim) -> Seat | None:
        """The seat of a token; None if it has none now."""
        with self._lock:
            ticket = self._seated.get(claim.seat_id)
            return None if ticket is None else ticket._seat

    def keeps(self, claim: TokenClaim) -> bool:
        """Whether a token has a seat here, or a place in the line."""
        with self._lock:
            return claim.seat_id in self._seated or any(each.claim.seat_id == claim.seat_id for each in self._line)

    def log_of(self, seat_id: str) -> Path | None:
        """The newest event log of a seat, also after it has ended; None if there is none."""
        return self.recordings.newest(seat_id, suffix=".jsonl")

    # Coming and going.

    def enter(self, claim: TokenClaim, on_event: OnEvent, *, address: str = "") -> Ticket:
        """A connection comes in, or comes back.

        Args:
          claim: of its token.
          on_event: told everything from now on; on any thread, with locks held: it must return at once.
          address: of the peer; "" if it is not known.
        Returns:
          its ticket: seated (`seat`), or waiting: then `Waiting` comes, and in the end `Seated`.
        Raises:
          Refused: too many are waiting, or too many are from this address, or the hall closes.
        """
        with self._lock:
            if self._closed.is_set():
                raise Refused(RESTARTING, events.RESTART)
            self._drop_ended()
            ticket = Ticket(claim, on_event, address, self._clock.now_seconds())
            if self._take_over(ticket):
                return ticket
            self._check_room(ticket)
            self.came += 1
            self._line.append(ticket)
            self._advance(just_came=ticket)
            return ticket

    def leave(self, ticket: Ticket) -> None:
        """Somebody goes for good: the seat is free at once. Does nothing for a ticket that was taken over."""
        with self._lock:
            if self._seated.get(ticket.claim.seat_id) is ticket:
                self._end(ticket, "you left", events.LEFT)
            elif ticket in self._line:
                self._line.remove(ticket)
            self._advance()

    def vacate(self, claim: TokenClaim) -> None:
        """As `leave`, for who has the token and no connection any more; does nothing if it has neither seat nor place."""
        with self._lock:
            here = [*self._seated.values(), *self._line]
            for ticket in [each for each in here if each.claim.seat_id == claim.seat_id]:
                self.leave(ticket)

    def lost(self, ticket: Ticket) -> None:
        """A connection broke: it may come back for a while. Does nothing for a ticket that was taken over."""
        with self._lock:
            if self._seated.get(ticket.claim.seat_id) is ticket or ticket in self._line:
                ticket._lost_seconds = self._clock.now_seconds()
                if ticket._seat is not None:
                    ticket._seat.connect(None)

    def tick(self) -> None:
        """Does what time does: who is lost or idle makes room, the line moves on, seats tell how they are."""
        now = self._clock.now_seconds()
        with self._lock:
            for ticket in list(self._seated.values()):
                self._look_at(ticket, now)
            grace = self.config.grace_seconds
            self._line = [
                ticket for ticket in self._line if ticket._lost_seconds is None or now - ticket._lost_seconds < grace
            ]
            self._advance()
            seats = self.seats
            finished = sum(seat.has_finished for seat in self._ending)
            self._ending = [seat for seat in self._ending if not seat.has_finished]
            is_due = now - self._trimmed_seconds >= TRIM_SECONDS
            self._trimmed_seconds = now if is_due else self._trimmed_seconds
        for seat in seats:
            with contextlib.suppress(Exception):  # one seat's trouble is not the others'
                seat.tick(now)
        if finished:
            spent_memory.give_back()
        if is_due and not self.recordings.trim():
            for seat in seats:
                seat.stop_recording("there is no more room for recordings; fetch this one, and start another")

    def start(self) -> None:
        """Ticks from now on, on a thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_ticking, name="hall", daemon=True)
            self._thread.start()

    def close(self, *, timeout_seconds: float = 5.0) -> bool:
        """Ends all performances and says so, completes recordings, and lets the device go. The second time does nothing.

        Args:
          timeout_seconds: how long to wait for that.
        Returns:
          whether everything has ended in time.
        """
        ends = time.monotonic() + timeout_seconds
        with self._lock:
            is_first = not self._closed.is_set()
            self._closed.set()
            for ticket in list(self._seated.values()):
                self._end(ticket, RESTARTING, events.RESTART)
            for ticket in self._line:
                ticket._tell(events.Ended(reason=RESTARTING, code=events.RESTART))
            self._line.clear()
            ending = list(self._ending)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, ends - time.monotonic()))
        is_done = all([seat.close(timeout_seconds=max(0.0, ends - time.monotonic())) for seat in ending])
        is_done &= self.device.close(timeout_seconds=max(0.1, ends - time.monotonic()))
        if is_first and self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        return is_done

    def _keep_ticking(self) -> None:
        while not self._closed.wait(TICK_SECONDS):
            with contextlib.suppress(Exception):  # the hall must outlive anything
                self.tick()

    # With the lock held.

    def _take_over(self, ticket: Ticket) -> bool:
        """Gives a connection what another one of the same token had; whether there was anything."""
        seat_id = ticket.claim.seat_id
        old = self._seated.get(seat_id) or next((each for each in self._line if each.claim.seat_id == seat_id), None)
        if old is None:
            return False
        old._tell(events.Ended(reason="this performance was opened in another place", code=events.TAKEN_OVER))
        ticket.has_resumed = True
        if old._seat is not None:
            ticket._seat, self._seated[seat_id] = old._seat, ticket
            ticket._seated_seconds, ticket._moved_seconds = old._seated_seconds, self._clock.now_seconds()
            ticket._progress = old._progress
            old._seat.connect(ticket._on_event)
        else:
            self._line[self._line.index(old)] = ticket
            self._advance()
        return True

    def _check_room(self, ticket: Ticket) -> None:
        is_free = not self._line and len(self._seated) < self.most
        if not is_free and len(self._line) >= self.config.most_waiting:
            raise Refused(f"{len(self._line)} are waiting already; come back later", events.TOO_MANY)
        if _is_near(ticket.address):
            return
        others = [each for each in (*self._seated.values(), *self._line) if each.address == ticket.address]
        if len(others) >= self.config.most_per_address:
            reason = f"{len(others)} performances from your address are open already; close one first"
            raise Refused(reason, events.TOO_MANY)

    def _look_at(self, ticket: Ticket, now: float) -> None:
        """Frees the seat of who is gone."""
        seat, config = ticket._seat, self.config
        assert seat is not None
        if seat.seconds != ticket._progress:
            ticket._progress, ticket._moved_seconds = seat.seconds, now
        if seat.ended is not None:
            self._drop_ended()
        elif ticket._lost_seconds is not None and now - ticket._lost_seconds >= config.grace_seconds:
            self._end(ticket, "the connection was lost", events.LEFT)
        elif now - ticket._moved_seconds >= config.idle_seconds:
            minutes = config.idle_seconds / 60.0
            self._end(ticket, f"nothing was played for {minutes:g} minutes; press play to begin again", events.IDLE)
        elif config.longest_seconds is not None and now - ticket._seated_seconds >= config.longest_seconds:
            minutes = config.longest_seconds / 60.0
            self._end(ticket, f"a performance lasts {minutes:g} minutes here; press play for another", events.IDLE)

    def _end(self, ticket: Ticket, reason: str, code: int) -> None:
        del self._seated[ticket.claim.seat_id]
        seat = ticket._seat
        assert seat is not None
        seat.end(reason, code)
        self._ending.append(seat)

    def _drop_ended(self) -> None:
        """Frees the seats of performances that ended by themselves; they have said so."""
        for seat_id, ticket in list(self._seated.items()):
            if ticket._seat is not None and ticket._seat.ended is not None:
                del self._seated[seat_id]
                self._ending.append(ticket._seat)

    def _advance(self, *, just_came: Ticket | None = None) -> None:
        """Seats who may sit down, and tells the others their places."""
        while len(self._seated) < self.most and not self._closed.is_set():
            ticket = next((each for each in self._line if each._lost_seconds is None), None)
            if ticket is None:
                break
            self._line.remove(ticket)
            self._sit_down(ticket)
            if ticket is not just_came and ticket._seat is not None:
                ticket._tell(events.Seated(seat=ticket._seat))
        for place, ticket in enumerate(self._line, 1):
            ticket._place = place
            if ticket._told != (place, len(self._line)):
                ticket._told = (place, len(self._line))
                ticket._tell(events.Waiting(place=place, waiting=len(self._line)))

    def _sit_down(self, ticket: Ticket) -> None:
        now = self._clock.now_seconds()
        ticket._place, ticket._seated_seconds, ticket._moved_seconds = 0, now, now
        ticket._seat = Seat(
            ticket.claim.seat_id, self._factory, self.device, self.recordings, ticket._on_event, config=self.config.seat
        )
        self._seated[ticket.claim.seat_id] = ticket


def _is_near(address: str) -> bool:
    """Whether an address says nothing about who it is: unknown, or this machine (a proxy in front of it)."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return not address
