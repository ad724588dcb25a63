"""A real browser, servers on loopback, and pages that must not fail unseen.

`browser`     Chromium without a window, with a microphone that beeps and sound that nobody hears; one for all tests
`new_page`    new_page(address, width=1280, height=800, script="") -> a playwright page that may use the microphone; what it
              reports as an error fails the test, unless the test empties `page.errors`
`serve_app`   serve_app(app) -> address of any ASGI app, under uvicorn as the product runs it
`server`      the real server with the stand-in model, with a bare page in place of Gradio's: `.address`, `.token`, `.hall`
`make_server` make_server(factory=None, config=None) -> the same, with another factory or another hall's config
`script`      a server that speaks the protocol and does as a test says: `.drop()`, `.is_stalled`, .., see its class
"""

import asyncio
import contextlib
import functools
import http
import json
import os
import shutil
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

STATIC = Path(__file__).resolve().parents[2] / "ui" / "static"
HEADER = struct.Struct("<BBBBIIIdII")
FRAME_SAMPLES = 1920
PATIENCE_SECONDS = 90.0
FLAGS = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
]
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8"}

PAGE = """<!doctype html><title>transport</title><button id=play>play</button><script type=module>
import { Player } from "./live/static/player.js";
window.Player = Player;
window.told = [];
window.listen = (player) => Player.EVENTS.forEach((type) =>
  player.addEventListener(type, (event) => window.told.push([type, event.detail])));
</script>"""
TAP = """class Tap extends AudioWorkletProcessor {
  process(inputs) {
    const lanes = inputs[0];
    if (lanes.length) this.port.postMessage([currentFrame, lanes[0].slice(), (lanes[1] ?? lanes[0]).slice()]);
    return true;
  }
}
registerProcessor("tap", Tap);"""


def find_chromium() -> str | None:
    """MRT_CHROMIUM, or the system's; None for the one that playwright brings."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("MRT_CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser():
    """See the module's head."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser):
    """See the module's head."""
    with contextlib.ExitStack() as stack:
        opened = []

        def new(address: str, *, width: int = 1280, height: int = 800, script: str = ""):
            context = browser.new_context(permissions=["microphone"], viewport={"width": width, "height": height})
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(1000 * PATIENCE_SECONDS)
            page.errors = []
            opened.append(page)
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
            if script:
                page.add_init_script(script)
            page.goto(address)
            return page

        yield new
        errors = [error for page in opened for error in page.errors]
    assert not errors, errors


@pytest.fixture
def serve_app():
    """See the module's head."""
    import uvicorn

    with contextlib.ExitStack() as stack:

        def serve(app) -> str:
            listening = socket.create_server(("127.0.0.1", 0))
            stack.callback(listening.close)
            options = {"ws_max_size": 65536, "ws_per_message_deflate": False, "log_level": "warning", "lifespan": "on"}
            server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1, **options))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(10.0)

            stack.callback(stop)
            wait_until(lambda: server.started or not thread.is_alive())
            assert server.started, "the server did not start"
            return f"http://127.0.0.1:{listening.getsockname()[1]}/"

        yield serve


def wait_until(condition, seconds: float = PATIENCE_SECONDS):
    """What the condition gives once that is true; fails after so many seconds."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)
    return found


@pytest.fixture(name="wait_until")
def _wait_until():
    """The function wait_until(condition, seconds=PATIENCE_SECONDS) -> what the condition gives."""
    return wait_until


@pytest.fixture(scope="session")
def static_address():
    """Address of a bare page that has the static files beside it, for modules that need no server."""
    with ScriptedServer() as server:
        yield server.address


@pytest.fixture
def script():
    """See the module's head."""
    with ScriptedServer() as server:
        yield server


def sound_at(position: int, samples: int) -> np.ndarray:
    """The scripted server's sound: each sample tells where it belongs, [samples, 2] int16, never quite silent."""
    places = np.arange(position, position + samples)
    left = (places * 7919) % 40_009 - 20_004
    right = (places // 64 * 31) % 30_011 - 15_005
    return np.stack([left, right], axis=1).astype(np.int16)


class StandInServer(NamedTuple):
    """The real server on loopback; see `server`."""

    address: str
    """Of a bare page."""
    token: str
    """Of one seat; more by `tokens.mint()`."""
    tokens: Any
    hall: Any
    app: Any


@pytest.fixture
def make_server(serve_app):
    """make_server(factory=None, config=None) -> the real server: of the stand-in model's factory and the hall's config."""
    from fastapi.responses import HTMLResponse

    from magenta_rt_py.serve.app import ServeConfig, create_app
    from magenta_rt_py.serve.hall import Hall, HallConfig
    from magenta_rt_py.serve.stand_in import StandInFactory
    from magenta_rt_py.serve.tokens import Tokens

    def make(factory=None, config=None) -> StandInServer:
        hall, tokens = Hall(factory or StandInFactory(kind="tone"), config or HallConfig(most_sessions=2)), Tokens()
        app = create_app(hall, ServeConfig(tokens=tokens, static_folder=STATIC))
        app.add_api_route("/", lambda: HTMLResponse(PAGE), methods=["GET"])
        app.add_api_route("/favicon.ico", lambda: HTMLResponse(""), methods=["GET"])
        return StandInServer(serve_app(app), tokens.mint(), tokens, hall, app)

    return make


@pytest.fixture
def server(make_server):
    """See the module's head."""
    return make_server()


class ScriptedServer:
    """One seat, whose sound is a function of the position. It gives only as much as the reports make room for.

    Attributes:
      address: of a bare page, with the page's static files under live/static/.
      sound: what is played from a position on: sound(position, samples) -> int16 [samples, 2]; a test may give another.
      position: device sample that is written next, and `opening`.
      messages: all text messages that came, as objects; `microphone` the packets, as (header fields, int16 samples).
      is_stalled: writes nothing while true. `answers`: whether `set` is acknowledged.
      connections: how many there were.
    """

    token = "the token"

    def __init__(self, lead_seconds: float = 0.5) -> None:
        self.sound = sound_at
        self.lead_seconds = lead_seconds
        self.session = "seat 1"
        self.position = self.opening = self.sequence = 0
        self.refuses_with: int | None = None
        self.is_stalled = self.is_playing = False
        self.answers = True
        self.has_click = False
        self.connections = 0
        self.messages: list[dict] = []
        self.microphone: list[tuple[tuple, np.ndarray]] = []
        self.values: dict[str, object] = {"temperature": 1.1, "prompt/1/text": ""}
        self._played = self._extra = 0.0
        self._heard_at = time.monotonic()
        self._marks: list[tuple[int, int]] = [(0, 0)]
        self._socket = None
        self._sent = 0

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10.0)
        return self

    def __exit__(self, *_) -> None:
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(10.0)

    def drop(self) -> None:
        """Breaks the connection without a word."""
        self._loop.call_soon_threadsafe(self._abort)

    def say(self, message: dict) -> None:
        """Sends the page a message."""
        asyncio.run_coroutine_threadsafe(self._socket.send(json.dumps(message)), self._loop).result(5.0)

    def close(self, code: int) -> None:
        """Closes the connection with a code."""
        asyncio.run_coroutine_threadsafe(self._socket.close(code), self._loop).result(5.0)

    def reopen(self) -> None:
        """A new opening, counting anew."""

        async def begin() -> None:
            self.opening, self.position, self._sent, self._played = self.opening + 1, 0, 0, 0.0
            self._marks = [(0, self.sequence)]
            await self._socket.send(json.dumps({"type": "reopened", "opening": self.opening}))

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(5.0)

    def told(self, kind: str) -> list[dict]:
        """The messages of a type."""
        return [message for message in list(self.messages) if message["type"] == kind]

    def _run(self, started: threading.Event) -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        from websockets.asyncio.server import serve

        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()
        options = {"subprotocols": ["mrt-live.1"], "compression": None, "close_timeout": 0.5}
        async with serve(self._meet, "127.0.0.1", 0, process_request=self._give_file, **options) as server:
            self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            started.set()
            await self._ends.wait()
            self._abort()

    def _give_file(self, connection, request):
        name = request.path.partition("?")[0].removeprefix("/")
        if name == "live/ws":
            return None
        path = STATIC / Path(name).name
        texts = {"": PAGE, "tap.js": TAP, "favicon.ico": ""}
        body = texts.get(name)
        if body is None:
            body = path.read_text() if name.startswith("live/static/") and path.is_file() else None
        found = body is not None
        response = connection.respond(http.HTTPStatus.OK if found else http.HTTPStatus.NOT_FOUND, body or "")
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = TYPES.get(Path(name).suffix, TYPES[".html"])
        return response

    async def _meet(self, connection) -> None:
        from websockets.exceptions import ConnectionClosed

        self.connections += 1
        if self.refuses_with:
            await connection.close(self.refuses_with)
            return
        self._socket = connection
        with contextlib.suppress(ConnectionClosed):
            hello = json.loads(await connection.recv())
            self.messages.append(hello)
            await self._welcome(connection, hello["resume"])
            sender = asyncio.create_task(self._send_sound(connection))
            try:
                async for message in connection:
                    await self._take(connection, message)
            finally:
                sender.cancel()

    async def _welcome(self, connection, resume) -> None:
        is_same = resume is not None and resume["opening"] == self.opening and resume["position"] <= self.position
        self._sent = resume["position"] if is_same else self.position
        self._marks = self._marks if is_same else [(0, self.sequence)]
        fields = {"opening": self.opening, "position": self._sent, "knobs": [], "values": self.values}
        fields |= {"sequence": self.sequence, "capabilities": {}, "limits": {}, "suggestions": [], "bundle": "none"}
        await connection.send(json.dumps({"type": "welcome", "session": self.session, "sample_rate": 48000, **fields}))
        if is_same:
            await connection.send(json.dumps({"type": "resumed", **resume}))
        elif resume is not None:
            await connection.send(json.dumps({"type": "reopened", "opening": self.opening}))

    async def _take(self, connection, message) -> None:
        if isinstance(message, bytes):
            fields = HEADER.unpack_from(message)
            samples = np.frombuffer(message, np.int16, offset=HEADER.size).reshape(-1, fields[2])
            self.microphone.append((fields, samples))
            return
        message = json.loads(message)
        self.messages.append(message)
        if message["type"] == "report" and message["opening"] == self.opening:
            self._played, self._heard_at = message["position"], time.monotonic()
            self._extra = 0.15 if message["is_playing"] else 0.0
        elif message["type"] == "set" and self.answers:
            await self._change(connection, message)
        elif message["type"] == "lead":
            self.lead_seconds = message["seconds"]
        elif message["type"] == "ping":
            await connection.send(json.dumps({"type": "pong", "at": message["at"]}))

    async def _change(self, connection, message) -> None:
        if "bad" in message["values"]:
            await connection.send(json.dumps({"type": "refused", "id": message["id"], "reason": "there is no knob bad"}))
            return
        self.sequence += 1
        self.values |= message["values"]
        self._marks.append((self.position, self.sequence))
        answer = {"sequence": self.sequence, "source": "page", "values": message["values"], "id": message["id"]}
        await connection.send(json.dumps({"type": "changed", **answer}))

    async def _send_sound(self, connection) -> None:
        while True:
            played = self._played + 48_000 * min(time.monotonic() - self._heard_at, self._extra)
            has_room = self.position - played + FRAME_SAMPLES <= 48_000 * self.lead_seconds
            if has_room and not self.is_stalled:
                self.position += FRAME_SAMPLES
            while self._sent < self.position:
                await connection.send(self._packet(self._sent, min(FRAME_SAMPLES, self.position - self._sent)))
            await asyncio.sleep(0 if has_room and not self.is_stalled else 0.01)

    def _packet(self, position: int, samples: int) -> bytes:
        self._sent = position + samples
        lanes = self.sound(position, samples)
        if self.has_click:
            lanes = np.concatenate([lanes, np.full((samples, 1), 8192, np.int16)], axis=1)
        controls = next(sequence for start, sequence in reversed(self._marks) if start <= position)
        head = HEADER.pack(1, 0, lanes.shape[1], 0, self.opening, samples, controls, float(position), 0, 0)
        return head + np.ascontiguousarray(lanes).tobytes()

    def _abort(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()


@pytest.fixture(name="sound_at")
def _sound_at():
    """The function sound_at(position, samples)."""
    return functools.partial(sound_at)
