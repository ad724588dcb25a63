"""OSC: the board's knobs over UDP, for Max, Pure Data, SuperCollider, TouchOSC and people's own scripts.

    /<knob> value              sets              /subscribe port     every change and the status go to that port
    /<action> [value]          asks              /unsubscribe [port] no more
    /get <knob>, /list         are answered      /error s            says what was wrong

Stateful: a thread of its own that nothing from the network can stop. Whoever reaches the port can steer the music, so
it is open to this machine only, unless another host is given. `OscClient` is the other end, for scripts and tests.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from magenta_rt_py.io.osc_board import answer, port_of, rows, turn
from magenta_rt_py.io.osc_client import DEFAULT_PORT, LOOPBACK, OscClient
from magenta_rt_py.io.osc_packet import OscMessage, load_osc, read_packet, write_message
from magenta_rt_py.live.board import KNOBS, Board, Change

__all__ = ["DEFAULT_PORT", "OscClient", "OscCounts", "OscServer", "OscStatus"]

MOST_SUBSCRIBERS = 16
MOST_SENDERS = 1000
"""Senders that are heard in one second."""
STATUS_SECONDS = 0.1
MOST_WAITING = 1000
"""Changes that wait to be sent; then only the newest of each knob is kept."""
ROUND_PACKETS = 64
"""Packets that are read before it is looked after the subscribers."""
FLOOD_PAUSE_SECONDS = 0.002
"""Rest after a round in which packets were dropped, so that a flood does not take computing time from the music."""
LARGEST_PACKET_BYTES = 65_536
Address = tuple[str, int]


class OscStatus(NamedTuple):
    """What subscribers are told ten times a second."""

    rtf: float
    """/status/rtf: seconds of audio made / seconds spent."""
    buffer_seconds: float
    """/status/buffer: sound that is ready."""
    underruns: int
    """/status/underruns: since the start."""
    delay_seconds: float
    """/status/delay: from turning a knob to hearing it."""
    peak: float
    """/status/level: largest amplitude of late, 0 .. 1."""
    beat: float
    """/status/beat: beats since the bar line."""
    bar: int
    """/status/bar."""


class OscCounts(NamedTuple):
    """What came in since the start."""

    messages: int
    """Messages that were understood, right or wrong."""
    errors: int
    """Packets that were no OSC, and messages with an unknown address or a wrong value."""
    dropped: int
    """Packets of senders that send too much, unread."""


class OscServer:
    """Listens until it is closed; may be used with `with`. Attributes may be read from any thread."""

    def __init__(
        self,
        board: Board,
        *,
        host: str = LOOPBACK,
        port: int = DEFAULT_PORT,
        status: Callable[[], OscStatus | None] | None = None,
        most_per_second: int = 1000,
    ) -> None:
        """Starts to listen.

        Args:
          board: what is steered.
          host: address to listen at; "0.0.0.0" lets every machine of the network steer the music.
          port: UDP port; 0 takes a free one, see `port`.
          status: asked ten times a second while someone has subscribed; must return soon. None: nothing to tell.
          most_per_second: messages that one sender may send in a second; more are dropped and counted.
        Raises:
          MissingExtraError: python-osc is not installed.
          OSError: the port is taken, or the host is none of this machine's.
        """
        load_osc()
        self._board, self._status, self._most_per_second = board, status, most_per_second
        self._socket = _bind(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._messages = self._errors = self._dropped = 0
        self._problem: str | None = None
        self._subscribers: dict[Address, None] = {}
        self._heard: dict[Address, int] = {}
        self._second_began = self._status_due = time.monotonic()
        self._waiting: deque[Change] = deque()
        self._waiting_lock = threading.Lock()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._ending = threading.Event()
        self._stop_listening = board.listen(self._take_change)
        self._thread = threading.Thread(target=self._work, name="osc", daemon=True)
        self._thread.start()

    def __enter__(self) -> OscServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def problem(self) -> str | None:
        """The latest thing that was wrong, in one line; None if nothing ever was."""
        return self._problem

    @property
    def counts(self) -> OscCounts:
        """What came in."""
        return OscCounts(self._messages, self._errors, self._dropped)

    @property
    def subscribers(self) -> tuple[Address, ...]:
        """Host and port of each."""
        return tuple(self._subscribers)

    def close(self) -> None:
        """Stops listening, within a second. Calling it again does nothing."""
        self._stop_listening()
        self._ending.set()
        self._wake()
        self._thread.join(timeout=5.0)
        for each in (self._socket, self._wake_in, self._wake_out):
            each.close()

    # On the threads that turn knobs.

    def _take_change(self, change: Change) -> None:
        with self._waiting_lock:
            self._waiting.append(change)
            if len(self._waiting) > MOST_WAITING:
                self._waiting = deque({each.name: each for each in self._waiting}.values())
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # a full buffer wakes as well; a closed one has nobody to wake
            self._wake_in.send(b"\0")

    # On the server's thread.

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                ready, _, _ = select.select([self._socket, self._wake_out], [], [], self._wait_seconds())
                if self._wake_out in ready:
                    self._wake_out.recv(4096)
                if self._socket in ready:
                    self._receive()
                self._send_changes()
                self._send_status()
            except Exception as error:  # the server outlives whatever it is sent, and says what it was
                self._count_error(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                self._ending.wait(0.01)

    def _wait_seconds(self) -> float:
        if not self._subscribers or self._status is None:
            return 1.0
        return min(max(self._status_due - time.monotonic(), 0.0), 1.0)

    def _receive(self) -> None:
        dropped = self._dropped
        for _ in range(ROUND_PACKETS):
            try:
                datagram, sender = self._socket.recvfrom(LARGEST_PACKET_BYTES)
            except OSError:  # nothing more; or, on some systems, word that a subscriber is gone
                break
            self._take_packet(datagram, sender[:2])
        if self._dropped > dropped:
            self._ending.wait(FLOOD_PAUSE_SECONDS)

    def _take_packet(self, datagram: bytes, sender: Address) -> None:
        if not self._may_send(sender):
            self._dropped += 1
            return
        try:
            messages = read_packet(datagram)
        except ValueError as error:
            self._count_error(f"from {sender[0]}: {error}")
            return
        self._heard[sender] += len(messages) - 1
        for message in messages:
            self._messages += 1
            try:
                self._handle(message, sender)
            except ValueError as error:
                self._count_error(f"from {sender[0]}: {error}")
                # Errors are not answered by errors, else two servers could keep each other busy for ever.
                if message.address != "/error":
                    self._send(sender, "/error", f"{message.address[:100]}: {error}")

    def _may_send(self, sender: Address) -> bool:
        """Counts a packet; False if its sender has used up this second."""
        now = time.monotonic()
        if now - self._second_began >= 1.0:
            self._second_began = now
            self._heard.clear()
        count = self._heard.get(sender, 0)
        if count >= self._most_per_second or (sender not in self._heard and len(self._heard) >= MOST_SENDERS):
            self._problem = f"from {sender[0]}: more than {self._most_per_second} OSC messages a second; some are dropped"
            return False
        self._heard[sender] = count + 1
        return True

    def _handle(self, message: OscMessage, sender: Address) -> None:
        """Does what a message says.

        Raises:
          ValueError: it cannot be done; says what can.
        """
        address, arguments = message
        if address == "/get":
            self._send(sender, *answer(self._board, arguments))
        elif address == "/list":
            for row in rows(self._board):
                self._send(sender, "/list", *row)
            self._send(sender, "/list/end", len(KNOBS))
        elif address == "/subscribe":
            self._subscribe((sender[0], port_of(arguments)), sender)
        elif address == "/unsubscribe":
            self._unsubscribe(sender[0], port_of(arguments) if arguments else None)
        else:
            turn(self._board, address.removeprefix("/"), arguments, f"osc {sender[0]}:{sender[1]}")

    def _subscribe(self, subscriber: Address, sender: Address) -> None:
        if subscriber[1] == self.port and subscriber[0] in (self.host, LOOPBACK):
            raise ValueError(f"port {self.port} is the server's own; give the one where you listen")
        if subscriber not in self._subscribers and len(self._subscribers) >= MOST_SUBSCRIBERS:
            raise ValueError(f"{MOST_SUBSCRIBERS} have subscribed, which is the most; send /unsubscribe from one of them")
        if not self._subscribers:
            self._status_due = time.monotonic()
        self._send_changes()  # what the others are still to hear, this one gets with the values
        self._subscribers[subscriber] = None
        self._send(sender, "/subscribed", subscriber[1])
        for name, value in self._board.settings.values.items():
            self._send(subscriber, f"/{name}", value)

    def _unsubscribe(self, host: str, port: int | None) -> None:
        for subscriber in tuple(self._subscribers):
            if subscriber[0] == host and port in (None, subscriber[1]):
                del self._subscribers[subscriber]

    def _send_changes(self) -> None:
        with self._waiting_lock:
            waiting, self._waiting = self._waiting, deque()
        for change in waiting:
            for subscriber in self._subscribers:
                self._send(subscriber, f"/{change.name}", change.value)

    def _send_status(self) -> None:
        now = time.monotonic()
        if self._status is None or not self._subscribers or now < self._status_due:
            return
        self._status_due = max(self._status_due + STATUS_SECONDS, now)
        status = self._status()
        if status is None:
            return
        values = {
            "rtf": float(status.rtf),
            "buffer": float(status.buffer_seconds),
            "underruns": int(status.underruns),
            "delay": float(status.delay_seconds),
            "level": float(status.peak),
            "beat": float(status.beat),
            "bar": int(status.bar),
        }
        for subscriber in self._subscribers:
            for name, value in values.items():
                self._send(subscriber, f"/status/{name}", value)

    def _send(self, target: Address, address: str, *arguments: str | float | int | bool) -> None:
        try:
            self._socket.sendto(write_message(address, *arguments), target)
        except (OSError, ValueError) as error:
            self._count_error(f"to {target[0]}:{target[1]}: {error}")

    def _count_error(self, line: str) -> None:
        self._errors += 1
        self._problem = f"OSC {line}"


def _bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
      OSError: the port is taken, or the host is none of this machine's.
    """
    if not 0 <= port <= 65_535:
        raise ValueError(f"OSC port {port}; give a number from 1 to 65535, or 0 for a free one")
    bound: socket.socket | None = None
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        bound = socket.socket(family, kind)
        bound.bind(place)
    except OSError as error:
        if bound is not None:
            bound.close()
        reason = error.strerror or str(error)
        advice = "give another port, or 0 for a free one"
        raise OSError(f"OSC cannot listen at {host}, port {port} ({reason}); {advice}") from error
    bound.setblocking(False)
    return bound
