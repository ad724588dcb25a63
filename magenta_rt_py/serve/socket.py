"""Socket: one connection of a page or a program, from its first message to its close code.

    reader   what comes: knobs -> seat, microphone -> card; counts it, and slows nobody but its sender
    sender   what goes: messages first, then sound from the seat's card, at most lead + 1 s ahead of what the page plays
    events   of the seat's and the hall's threads, brought over to the event loop

Only the sender writes. It waits where the peer does not read, and after some seconds gives the socket up; what is kept for
it meanwhile is bounded. Positions are device samples of the seat's card, so that a socket that is lost and comes back goes
on with the very sample.

Stateful; belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import Mapping
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from magenta_rt_py.live.clock import WallClock
from magenta_rt_py.serve import answers, events, wire
from magenta_rt_py.serve.hall import Hall, Refused, Ticket
from magenta_rt_py.serve.limits import LimitsConfig, SocketLimits, TokenBucket
from magenta_rt_py.serve.seat import Seat
from magenta_rt_py.serve.tokens import Tokens

__all__ = ["SUBPROTOCOL", "Socket", "SocketConfig"]

SUBPROTOCOL = "mrt-live.1"
MALFORMED, NO_TOKEN, NO_HELLO, TOO_MANY, BROKEN = 4400, 4401, 4408, 4429, 1011
GOING = frozenset({1000, 1001})
"""Codes of a peer that goes for good: it left, or its tab was closed. With any other it may come back."""
SAMPLES_A_SECOND = 48_000
AHEAD_SECONDS = 1.0
"""Sound beyond the lead that may be on its way."""
PIECE_SAMPLES = 9600
"""Sound that is sent before messages have their turn again: 200 ms."""
LONGEST_REASON = 100
"""Of a close frame, which holds 123 bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SocketConfig:
    """What a socket may do. Ours."""

    hello_seconds: float = 5.0
    """Until the first message."""
    stuck_seconds: float = 10.0
    """A peer that takes nothing for so long is given up."""
    waiting_seconds: float = 5.0
    """Who waits is told its place again so often: a peer that has gone deaf is found by it."""
    close_seconds: float = 2.0
    """For the goodbye."""
    most_waiting: int = 1000
    """Messages that wait for a peer; a preset turns some hundred knobs."""
    refusals_a_second: float = 10.0
    """What is forgiven: messages that were too many, or were refused."""
    refusals_burst: float = 300.0
    """What is forgiven at once; then it is a flood."""
    efforts_a_second: float = 0.2
    """Recordings and calibrations that may be started: each makes files, or computes for a while."""
    efforts_burst: float = 5.0
    """Of these, at once."""
    limits: LimitsConfig = dataclasses.field(default_factory=LimitsConfig)
    """What may come in."""
    told: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Limits that a page is told in `welcome`."""


class _Over(Exception):
    """The connection is to end with a code; None: the peer has gone already."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket:
    """See the module's head. `run` once."""

    def __init__(self, websocket: WebSocket, hall: Hall, tokens: Tokens, config: SocketConfig) -> None:
        """Of an accepted connection.

        Args:
          websocket: whose origin has been looked at.
          hall: where its seat is.
          tokens: what its token is checked with.
          config: what it may do.
        """
        self._websocket, self._hall, self._tokens, self._config = websocket, hall, tokens, config
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        clock = WallClock()
        self._limits = SocketLimits(config.limits, clock)
        self._forgiven = TokenBucket(config.refusals_a_second, config.refusals_burst, clock)
        self._efforts = TokenBucket(config.efforts_a_second, config.efforts_burst, clock)
        self._told_too_fast = TokenBucket(1.0, 1.0, clock)
        self._texts: deque[str] = deque()
        self._status: events.Status | None = None
        self._place: events.Waiting | None = None
        self._over: _Over | None = None
        self._hello: wire.Hello | None = None
        self._ticket: Ticket | None = None
        self._seat: Seat | None = None
        self._opening = self._sent = self._played = 0

    async def run(self) -> None:
        """Until one of the two sides ends it. Raises nothing."""
        tasks = reader, sender = asyncio.create_task(self._read()), asyncio.create_task(self._send())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if sender.done() and sender.result().code is None:  # the reader knows whether the peer said goodbye
                await asyncio.wait([reader], timeout=self._config.close_seconds)
            over = reader.result() if reader.done() else sender.result()
        except asyncio.CancelledError:
            over = _Over(None)
            raise
        except Exception as error:  # a fault of ours ends this socket, and no other
            over = _Over(BROKEN, f"the connection broke off ({type(error).__name__}); come back")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._leave(over)
        await self._say_goodbye(over)

    # What comes.

    async def _read(self) -> _Over:
        try:
            await self._enter()
            while True:
                await self._take(await self._receive())
                await asyncio.sleep(0)  # hundreds may have come at once: others have their turn in between
        except _Over as over:
            return over

    async def _receive(self) -> str | bytes:
        """The next message.

        Raises:
          _Over: there is none any more.
        """
        try:
            received = await self._websocket.receive()
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise _Over(None) from None
        if received["type"] == "websocket.disconnect":
            is_going = received.get("code") in GOING
            raise _Over(None, "going" if is_going else "")
        text = received.get("text")
        return received.get("bytes") or b"" if text is None else text

    async def _enter(self) -> None:
        """From the first message to a seat, or a place in the line."""
        try:
            async with asyncio.timeout(self._config.hello_seconds):
                first = await self._receive()
            message = wire.read_message(first) if isinstance(first, str) else None
        except TimeoutError:
            raise _Over(NO_HELLO, "no hello came; send it first") from None
        except ValueError as error:
            raise _Over(MALFORMED, str(error)) from None
        if not isinstance(message, wire.Hello):
            raise _Over(MALFORMED, "the first message was no hello; send it first")
        try:
            claim = self._tokens.check(message.token)
        except ValueError as error:
            raise _Over(NO_TOKEN, str(error)) from None
        self._hello = message
        client = self._websocket.client
        try:
            ticket = self._hall.enter(claim, self._hear_event, address="" if client is None else client.host)
        except Refused as refused:
            raise _Over(refused.code, str(refused)) from None
        self._ticket = ticket
        if ticket.seat is not None:
            self._sit_down(ticket.seat)

    async def _take(self, received: str | bytes) -> None:
        """One message of the peer.

        Raises:
          _Over: it is the last one.
        """
        is_text = isinstance(received, str)
        size = len(received.encode("utf-8", "replace")) if isinstance(received, str) else len(received)
        if is_text and size > wire.MOST_TEXT_BYTES:
            raise _Over(MALFORMED, f"a message of {size} bytes; send at most {wire.MOST_TEXT_BYTES}")
        if not (self._limits.text(size) if is_text else self._limits.packet()):
            self._drop()
            return
        if isinstance(received, bytes):
            self._take_packet(received)
            return
        try:
            message = wire.read_message(received)
        except ValueError as error:
            self._refuse(str(error), None)
            return
        await self._take_message(message)

    def _drop(self) -> None:
        """What is too much is not looked at."""
        if self._told_too_fast.take():
            self._post(answers.refused("too many messages at once; some were left out"))
        self._forgive()

    def _refuse(self, reason: str, id: int | None) -> None:
        self._post(answers.refused(reason, id=id))
        self._forgive()

    def _forgive(self) -> None:
        if not self._forgiven.take():
            raise _Over(TOO_MANY, "far too many messages; slow down")

    def _take_packet(self, data: bytes) -> None:
        try:
            packet = wire.unpack(data)
            if packet.kind != wire.MICROPHONE:
                raise ValueError(f"a packet of kind {packet.kind}; send {wire.MICROPHONE} (microphone)")
        except ValueError as error:
            raise _Over(MALFORMED, str(error)) from None
        if not self._limits.microphone(packet.samples):
            self._drop()
        elif self._seat is not None:
            self._seat.card.hear(packet)

    async def _take_message(self, message: wire.Message) -> None:
        if isinstance(message, wire.Ping):
            self._post(answers.pong(message.at))
            return
        if isinstance(message, wire.Leave):
            raise _Over(events.LEFT, "you left")
        id = message.id if isinstance(message, wire.Set | wire.Act) else None
        seat = self._seat
        if seat is None:
            self._refuse("you have no seat yet; wait for welcome", id)
            return
        try:
            await self._do(seat, message)
        except (ValueError, OSError) as error:
            self._refuse(str(error), id)

    async def _do(self, seat: Seat, message: wire.Message) -> None:
        """What a seated peer asks for.

        Raises:
          ValueError, OSError: it cannot be done; says why.
        """
        is_effort = isinstance(message, wire.Calibrate) or (isinstance(message, wire.Record) and message.state == "start")
        if is_effort and not self._efforts.take():
            raise ValueError("that was asked for very often; wait some seconds")
        match message:
            case wire.Report():
                self._note_report(message.opening, message.position)
                delay = message.output_delay
                playing = message.is_playing
                seat.card.report(
                    message.opening, message.position, message.queued, is_playing=playing, output_delay_seconds=delay
                )
            case wire.Starved():
                seat.card.starved(message.opening, message.position, message.samples)
            case wire.Set():
                seat.set(message.values, id=message.id)
            case wire.Act():
                seat.act(message.name, message.value)
            case wire.Play():
                seat.play()
            case wire.Pause():
                seat.pause()
            case wire.Lead():
                seat.lead(message.seconds)
            case wire.Calibrate():
                seat.calibrate()
            case wire.RoundTrip():
                seat.round_trip(message.samples)
            case wire.Record():  # files are opened: a disk may be slow
                await asyncio.to_thread(seat.record, message.state, has_microphone=message.has_microphone)
            case wire.Forget():
                if not seat.forget(message.prompt):
                    raise ValueError("this sound is not here (any more); nothing was forgotten")
            case _:
                raise ValueError("hello was said before; once is enough")

    # What goes.

    def _hear_event(self, event: events.Event) -> None:
        """On any thread, perhaps with the hall's lock held."""
        self._loop.call_soon_threadsafe(self._take_event, event)

    def _take_event(self, event: events.Event) -> None:
        match event:
            case events.Seated():
                self._sit_down(event.seat)
            case events.Status():  # only the newest is of interest
                self._status = event
            case events.Ended():
                self._post(answers.ended(event.reason))
                self._over = self._over or _Over(event.code, event.reason)
            case _:
                self._place = event if isinstance(event, events.Waiting) else self._place
                self._post(_text_of(event))
        self._wake.set()

    def _post(self, text: str) -> None:
        if len(self._texts) >= self._config.most_waiting:
            self._over = self._over or _Over(TOO_MANY, "too much waits for you; read faster")
        else:
            self._texts.append(text)
        self._wake.set()

    def _sit_down(self, seat: Seat) -> None:
        """Says where the sound goes on, and lets it come."""
        if self._seat is not None or self._hello is None:
            return
        self._seat, card, resume = seat, seat.card, self._hello.resume
        seat.lead(self._hello.lead)
        if resume is not None and card.can_resume(resume.opening, resume.position):
            self._opening, self._sent = resume.opening, resume.position
            word = answers.resumed(resume.opening, resume.position)
        else:
            # What nobody has played yet is there from its beginning; what another page has played is not gone on with.
            is_new = resume is None and card.position == 0 and card.can_resume(card.page_opening, 0)
            self._opening, self._sent = card.page_opening if is_new else card.reopen(), 0
            word = "" if is_new else answers.reopened(self._opening)
        self._played = self._sent
        settings = seat.board.settings
        about = seat.about
        self._post(
            answers.welcome(
                session=seat.id,
                opening=self._opening,
                position=self._sent,
                values=settings.values,
                sequence=settings.sequence,
                capabilities=about.capabilities,
                limits=self._config.told,
                suggestions=about.suggestions,
                bundle=about.bundle,
            )
        )
        if word:
            self._post(word)
        card.on_sound = self._hear_sound

    def _hear_sound(self) -> None:
        """On the session's thread."""
        self._loop.call_soon_threadsafe(self._wake.set)

    def _note_report(self, opening: int, position: int) -> None:
        """What is played makes room for more; what was never sent was never played."""
        if opening == self._opening:
            self._played = min(max(self._played, position), self._sent)
            self._wake.set()

    async def _send(self) -> _Over:
        while True:
            await self._wait()
            try:
                await self._send_texts()
                while self._over is None and await self._send_sound():
                    await self._send_texts()
            except TimeoutError:
                return _Over(None, "stuck")
            except (WebSocketDisconnect, RuntimeError, OSError):
                return _Over(None)
            if self._over is not None and not self._texts:
                return self._over

    async def _wait(self) -> None:
        """Until there is something to do."""
        try:
            async with asyncio.timeout(self._config.waiting_seconds):
                await self._wake.wait()
        except TimeoutError:
            if self._place is not None and self._seat is None:
                self._post(_text_of(self._place))
        self._wake.clear()

    async def _send_texts(self) -> None:
        while self._texts:
            await self._write(self._texts.popleft())
        if self._status is not None:
            status, self._status = self._status, None
            await self._write(_status_of(status))

    async def _send_sound(self) -> bool:
        """Sends a piece of what is there and may be sent; whether there was any."""
        seat = self._seat
        if seat is None:
            return False
        card = seat.card
        if card.page_opening != self._opening:
            self._reopen(card.page_opening)
            return True
        ahead = round((card.lead_seconds + AHEAD_SECONDS) * SAMPLES_A_SECOND)
        room = min(self._played + ahead - self._sent, PIECE_SAMPLES)
        if room <= 0:
            return False
        try:
            packets = card.take(self._sent, room)
        except ValueError:  # the page was away for longer than sound is kept
            self._reopen(card.reopen())
            return True
        opening = self._opening
        for data in packets:
            packet = wire.unpack(data)
            if packet.opening != opening:
                break
            await self._write(data)
            self._sent = packet.position + packet.samples
        return bool(packets)

    def _reopen(self, opening: int) -> None:
        self._opening, self._sent, self._played = opening, 0, 0
        self._post(answers.reopened(opening))

    async def _write(self, message: str | bytes) -> None:
        """Waits until the peer has taken enough of what was sent before.

        Raises:
          TimeoutError: it takes nothing.
        """
        async with asyncio.timeout(self._config.stuck_seconds):
            if isinstance(message, str):
                await self._websocket.send_text(message)
            else:
                await self._websocket.send_bytes(message)

    # The end.

    def _leave(self, over: _Over) -> None:
        """Gives the seat back, or keeps it for a while if the peer may come back."""
        seat, ticket = self._seat, self._ticket
        if seat is not None and seat.card.on_sound == self._hear_sound:
            seat.card.on_sound = _nothing
        if ticket is not None:
            is_for_good = over.code in {events.LEFT, MALFORMED, TOO_MANY} or over.reason == "going"
            (self._hall.leave if is_for_good else self._hall.lost)(ticket)

    async def _say_goodbye(self, over: _Over) -> None:
        code, reason = over.code, over.reason[:LONGEST_REASON].encode()[:LONGEST_REASON].decode("utf-8", "ignore")
        if code is None:
            code = BROKEN
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError, TimeoutError):
            async with asyncio.timeout(self._config.close_seconds):
                await self._websocket.close(code, reason)


def _text_of(event: events.Event) -> str:
    match event:
        case events.Waiting():
            return answers.waiting(event.place, event.waiting)
        case events.Changed():
            return answers.changed(event.sequence, event.source, event.values, id=event.id)
        case events.Said():
            return answers.said(event.text)
        case events.Recording():
            files = [(file.name, f"live/recordings/{file.id}") for file in event.files] if event.state == "done" else []
            return answers.recording(event.state, event.id, event.seconds, files, problem=event.problem)
        case events.Calibrated():
            return answers.calibrated(event.samples, event.reason)
        case _:
            raise TypeError(f"no text for {type(event).__name__}")


def _status_of(event: events.Status) -> str:
    return answers.status(
        event.session,
        lead_seconds=event.lead_seconds,
        opening=event.opening,
        position=event.position,
        prompts=event.prompts,
        live_prompt_age_seconds=event.live_prompt_age_seconds,
        device_rtf=event.device_rtf,
        device_problem=event.device_problem,
    )


def _nothing() -> None:
    pass
