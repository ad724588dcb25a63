"""A real server on loopback with the stand-in model, and clients that are no browser.

`start`     start(hall={}, factory={}, send_buffer=None, **config) -> a running server: `.address` (http://...), `.socket`
            (ws://...), `.hall`, `.tokens`
`server`    one for all tests of a file, with room for many
`listen`    listen(server, **options) -> a client that plays: reports by the wall clock, keeps what it is sent and told
`unchecked` types are not checked while a file's tests run: what plays in real time would take ten times as long
`audience`  one that plays as long as the file's tests run, at a quarter of the speed and with four seconds in hand: that a
            machine is busy with other things is not taken for an attack that is heard
"""

import contextlib
import itertools
import json
import socket
import threading
import time

import jaxtyping
import pytest

SAMPLES_A_SECOND = 48_000
PATIENCE_SECONDS = 60.0
PROGRAM = {"X-Live-Client": "1"}


def until(condition, seconds: float = PATIENCE_SECONDS, what="it"):
    """What the condition gives once that is true; fails after so many seconds."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, f"{what() if callable(what) else what} did not happen in time"
        time.sleep(0.005)
    return found


@pytest.fixture(name="until", scope="session")
def _until():
    """The function until(condition, seconds=60) -> what the condition gives."""
    return until


@pytest.fixture(scope="module")
def unchecked():
    """See the module's head."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


class Server:
    """The app under uvicorn, as the product runs it."""

    def __init__(self, *, hall=None, factory=None, send_buffer=None, **config) -> None:
        from magenta_rt_py.serve.app import ServeConfig, create_app
        from magenta_rt_py.serve.hall import Hall, HallConfig
        from magenta_rt_py.serve.stand_in import StandInFactory
        from magenta_rt_py.serve.tokens import Tokens
        from magenta_rt_py.serve.web_server import WebServer

        self.tokens = config.pop("tokens", None) or Tokens()
        self.hall = Hall(StandInFactory(**(factory or {})), HallConfig(**{"most_sessions": 16, **(hall or {})}))
        self.app = create_app(self.hall, ServeConfig(tokens=self.tokens, **config))
        self._listening = socket.create_server(("127.0.0.1", 0))
        if send_buffer is not None:  # what is accepted inherits it
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.port = self._listening.getsockname()[1]
        self.address, self.socket = f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}/live/ws"
        self._server = WebServer(self.app, self._listening)
        self._server.start()

    def stop(self) -> None:
        """Ends it."""
        self._server.stop()
        until(lambda: not self._server.is_serving, what="the server's end")
        self._listening.close()


@pytest.fixture(scope="module")
def start():
    """See the module's head."""
    with contextlib.ExitStack() as stack:

        def started(**options) -> Server:
            server = Server(**options)
            stack.callback(server.stop)
            return server

        yield started


@pytest.fixture(scope="module")
def server(start):
    """See the module's head."""
    return start()


class Listener:
    """A client that plays what it is sent.

    Attributes:
      token: its seat's.
      messages: all that it was told, as objects.
      packets: all that it was sent, as `wire.Packet`.
      close_code: of the server; None while it is open.
      starved: times that it had nothing to play, after it had begun.
    """

    def __init__(self, server, *, token=None, resume=None, lead=1.5, plays=True, reads=True, speed=1.0) -> None:
        from websockets.sync.client import connect

        self.token = server.tokens.mint() if token is None else token
        self.messages, self.packets = [], []
        self.close_code, self.starved = None, 0
        self.opening, self.received, self.played = 0, 0, 0
        self._ids, self._plays, self._started, self._speed = itertools.count(1), plays, None, speed
        self._is_gone = threading.Event()
        self._lock = threading.Lock()
        options = {"compression": None, "close_timeout": 2.0}
        made = connect(server.socket, subprotocols=["mrt-live.1"], additional_headers=PROGRAM, **options)
        self.connection = made.__enter__()
        self.say(type="hello", token=self.token, resume=resume, lead=lead)
        self._threads = [threading.Thread(target=self._hear, daemon=True)] if reads else []
        self._threads += [threading.Thread(target=self._report, daemon=True)] if plays else []
        for thread in self._threads:
            thread.start()

    def say(self, **message) -> None:
        """Sends a message; a connection that is closed is no error here."""
        self.send(json.dumps(message))

    def send(self, data) -> None:
        """Sends text or bytes."""
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed, OSError):
            self.connection.send(data)

    def set(self, **values) -> int:
        """Turns knobs; underscores twice stand for slashes. The message's id."""
        number = next(self._ids)
        self.say(type="set", id=number, values={name.replace("__", "/"): value for name, value in values.items()})
        return number

    def told(self, kind, **fields):
        """The messages of a type with these fields."""
        found = [message for message in list(self.messages) if message["type"] == kind]
        return [message for message in found if all(message[name] == value for name, value in fields.items())]

    def wait(self, kind, **fields):
        """The first message of a type with these fields."""
        def look():
            told = [message for message in self.messages if message["type"] not in ("status", "welcome")]
            return f"{kind} {fields}, only {told[-5:]}, close code {self.close_code}:"

        return until(lambda: self.told(kind, **fields), what=look)[0]

    def wait_for_sound(self, seconds: float) -> None:
        """Until so much more has come."""
        goal = sum(packet.samples for packet in self.packets) + seconds * SAMPLES_A_SECOND
        until(lambda: sum(packet.samples for packet in list(self.packets)) >= goal, what="sound")

    def is_whole(self) -> bool:
        """Whether the sound is there without a gap, in each opening from its beginning."""
        ends = {}
        for packet in list(self.packets):
            if packet.position != ends.get(packet.opening, self.first.get(packet.opening, 0)):
                return False
            ends[packet.opening] = packet.position + packet.samples
        return bool(ends)

    @property
    def first(self) -> dict:
        """Where the sound begins in each opening."""
        welcomes = {message["opening"]: message["position"] for message in self.told("welcome")}
        return {**welcomes, **{message["opening"]: 0 for message in self.told("reopened")}}

    def drop(self) -> None:
        """Breaks the connection without a word."""
        self._is_gone.set()
        self.connection.socket.shutdown(socket.SHUT_RDWR)
        self._join()

    def leave(self) -> None:
        """Goes for good."""
        self.say(type="leave")
        self._is_gone.set()
        self.connection.close()
        self._join()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(5.0)

    def _hear(self) -> None:
        from websockets.exceptions import ConnectionClosed

        from magenta_rt_py.serve import wire

        try:
            for message in self.connection:
                if isinstance(message, str):
                    self._note(json.loads(message))
                    continue
                packet = wire.unpack(message)
                with self._lock:
                    if packet.opening == self.opening:
                        self.received = packet.position + packet.samples
                    self.packets.append(packet)
        except (ConnectionClosed, OSError):
            pass
        self._is_gone.set()
        self.close_code = self.connection.close_code

    def _note(self, message) -> None:
        if message["type"] in ("welcome", "reopened"):
            with self._lock:
                self.opening = message["opening"]
                self.received = self.played = message.get("position", 0)
                self._started = None
        self.messages.append(message)
        if message["type"] == "welcome" and self._plays:
            self.say(type="play")

    def _report(self) -> None:
        last = time.monotonic()
        while not self._is_gone.wait(0.05):
            now = time.monotonic()
            with self._lock:
                if self._started is None and self.received - self.played > 9600:
                    self._started = now
                elif self._started is not None:
                    self.played += round((now - last) * SAMPLES_A_SECOND * self._speed)
                    if self.played > self.received:
                        self.starved, self.played, self._started = self.starved + 1, self.received, None
                report = {"opening": self.opening, "position": self.played, "queued": self.received - self.played}
                is_playing = self._started is not None
            last = now
            if self.told("welcome"):
                self.say(type="report", is_playing=is_playing, **report)


@pytest.fixture
def listen():
    """See the module's head."""
    with contextlib.ExitStack() as stack:

        def listening(server, **options) -> Listener:
            listener = Listener(server, **options)
            stack.callback(listener.leave)
            return listener

        yield listening


@pytest.fixture(scope="module")
def audience(server):
    """See the module's head."""
    playing = Listener(server, lead=4.0, speed=0.25)
    playing.wait_for_sound(2.0)
    yield playing
    playing.wait_for_sound(0.1)
    playing.leave()
