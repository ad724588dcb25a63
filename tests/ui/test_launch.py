"""The whole page on loopback with the stand-in model: served, protected, played in a browser, and ended."""

import asyncio
import contextlib
import functools
import inspect
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import jaxtyping
import pytest
import soundfile
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from magenta_rt_py.errors import MrtError
from magenta_rt_py.serve import stand_in, wire
from magenta_rt_py.ui import fallback, launch, live_server, sharing
from magenta_rt_py.ui.launch_config import LaunchConfig

ENDED_SECONDS = 2.0
SLACK_SECONDS = 10.0
"""What a busy machine may add."""
PATIENCE_SECONDS = 60.0
get = functools.partial(httpx.get, timeout=PATIENCE_SECONDS)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Folder of recordings, logs and certificate."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "magenta_rt_py"


@pytest.fixture(autouse=True)
def unchecked():
    """Types are checked in tests/serve; here the sound has to be in time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def launched():
    """launched(**config) -> a server that serves; all are ended."""
    started = []

    def start(**options):
        config = LaunchConfig(port=0, opens_browser=False, **options)
        server = live_server.LiveServer(config, make_factory=make_factory)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.close()


def make_factory(bundle, say):
    return stand_in.StandInFactory(kind="tone", cost_seconds=0.002)


async def connect(server, *, origin=None):
    """A program's socket, its hello said."""
    headers = {"X-Live-Client": "1"} if origin is None else {"Origin": origin}
    address = server.url.replace("http", "ws", 1) + "live/ws"
    opened = await open_socket(address, subprotocols=["mrt-live.1"], additional_headers=headers, compression=None)
    token = server.tokens.mint()
    await opened.send(json.dumps({"type": "hello", "token": token, "resume": None, "lead": 0.5}))
    return opened, token


async def listen(opened, *, until):
    """Plays what comes, as a page does, until a message or a packet is what is waited for."""
    position, opening = 0, 0
    await opened.send(json.dumps({"type": "play"}))
    while True:
        data = await asyncio.wait_for(opened.recv(), PATIENCE_SECONDS)
        if isinstance(data, bytes):
            packet = wire.unpack(data)
            opening, position = packet.opening, packet.position + packet.samples
            report = {"opening": opening, "position": position, "queued": 0, "is_playing": True}
            with contextlib.suppress(ConnectionClosed):  # what came before it was closed is still to be read
                await opened.send(json.dumps({"type": "report", **report}))
            if until(packet):
                return packet
        elif until(message := json.loads(data)):
            return message


def is_kind(kind, **fields):
    return lambda told: (
        isinstance(told, dict) and told["type"] == kind and all(told[name] == value for name, value in fields.items())
    )


def test_the_page_and_its_routes_are_there(launched):
    server = launched()
    page = get(server.url)
    assert page.status_code == 200 and "gradio" in page.text
    assert get(f"{server.url}live/health").json()["sessions"] == 0
    assert get(f"{server.url}live/static/player.js").status_code == 200
    assert get(f"{server.url}live/last").status_code == 401
    assert "'self'" in page.headers["content-security-policy"] and "http" not in page.headers["content-security-policy"]


def test_names_that_are_not_this_machines_are_refused(launched):
    server = launched()
    answer = get(server.url, headers={"Host": f"evil.example:{server.port}"})
    assert answer.status_code == 421
    named = launched(allowed_origins=("https://studio.example",))
    assert get(named.url, headers={"Host": "studio.example"}).status_code == 200
    assert get(named.url, headers={"Host": "evil.example"}).status_code == 421


def test_a_password_covers_the_page_and_there_is_no_other_way_to_a_token(launched):
    server = launched(users=(("ann", "a secret"),))
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        assert "auth_required" in client.get("/").text
        assert client.get("/gradio_api/info").status_code == 401
        assert client.get("/config").status_code == 401
        assert client.post("/login", data={"username": "ann", "password": "no"}).status_code == 400
        assert client.post("/login", data={"username": "ann", "password": "a secret"}).status_code == 200
        assert client.get("/config").status_code == 200
    for path in ("live/last", "live/log", "live/recordings/" + "0" * 32):
        assert get(server.url + path).status_code == 401


    async def forged():
        address = server.url.replace("http", "ws", 1) + "live/ws"
        options = {"subprotocols": ["mrt-live.1"], "additional_headers": {"X-Live-Client": "1"}}
        async with open_socket(address, **options) as opened:
            await opened.send(json.dumps({"type": "hello", "token": "x.y", "resume": None, "lead": 0.5}))
            with pytest.raises(ConnectionClosed):
                while True:
                    await asyncio.wait_for(opened.recv(), PATIENCE_SECONDS)
            return opened.close_code

    assert asyncio.run(forged()) == 4401


def test_sound_comes_over_the_socket_and_the_end_is_said_and_quick(launched):
    server = launched()

    async def play():
        opened, _ = await connect(server)
        sound = await listen(opened, until=lambda told: isinstance(told, wire.Packet) and told.position > 24_000)
        began = time.monotonic()
        threading.Thread(target=server.close).start()
        ended = await listen(opened, until=is_kind("ended"))
        await asyncio.wait_for(opened.wait_closed(), PATIENCE_SECONDS)
        return sound, ended, time.monotonic() - began, opened.close_code

    sound, ended, seconds, code = asyncio.run(play())
    assert any(sound.payload) and "restarted" in ended["reason"] and code == 1012
    assert seconds < ENDED_SECONDS + SLACK_SECONDS
    for _ in range(500):
        if not server.is_serving:
            break
        time.sleep(0.01)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1.0).close()


CHILD = """
import threading
from magenta_rt_py.serve.stand_in import StandInFactory
from magenta_rt_py.ui import launch
launch.greeting = lambda server: [server.url, server.tokens.mint()]
config = launch.LaunchConfig(port=0, opens_browser=False)
launch.serve(config, make_factory=lambda bundle, say: StandInFactory(kind="tone"), tell=lambda line: print(line, flush=True))
"""


def test_ctrl_c_ends_within_two_seconds_and_completes_the_recording(root, state):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": dict(os.environ)}
    process = subprocess.Popen([sys.executable, "-c", CHILD], cwd=root, **pipes)
    guard = threading.Timer(120.0, process.kill)
    guard.start()
    try:
        address, token = process.stdout.readline().strip(), process.stdout.readline().strip()

        async def record():
            options = {"subprotocols": ["mrt-live.1"], "additional_headers": {"X-Live-Client": "1"}, "compression": None}
            async with open_socket(address.replace("http", "ws", 1) + "live/ws", **options) as opened:
                await opened.send(json.dumps({"type": "hello", "token": token, "resume": None, "lead": 0.5}))
                await listen(opened, until=lambda told: isinstance(told, wire.Packet))
                await opened.send(json.dumps({"type": "record", "state": "start", "has_microphone": True}))
                told = await listen(opened, until=lambda told: is_kind("recording")(told) and told["seconds"] > 1.0)
                began = time.monotonic()
                process.send_signal(signal.SIGINT)
                await listen(opened, until=is_kind("ended"))
                return told, began

        told, began = asyncio.run(record())
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
        assert time.monotonic() - began < ENDED_SECONDS + SLACK_SECONDS
        assert "Traceback" not in err, err
    finally:
        guard.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()
    found = re.search(r"(\d+) recording\(s\) in (.+)", out)
    (main,) = [path for path in Path(found[2]).glob("*.flac") if path.stem == told["id"]]
    assert Path(found[2]).is_relative_to(state)
    samples, rate = soundfile.read(main)
    assert rate == 48_000 and len(samples) >= 48_000 and abs(samples).max() > 0.05


def test_the_page_plays_in_a_browser_and_asks_nobody_else(launched, new_page, wait_until):
    server = launched()
    page = new_page("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    wait_until(lambda: server.hall.seats)
    page.keyboard.press("Space")
    (seat,) = server.hall.seats
    wait_until(lambda: seat.card.position > 48_000)
    foreign = [url for url in asked if urlsplit(url).scheme in ("http", "https") and urlsplit(url).port != server.port]
    assert not foreign
    page.close()
    wait_until(lambda: not server.hall.seats)


def test_where_no_socket_gets_through_there_is_the_plain_player(launched, new_page, wait_until, monkeypatch):
    """As in a Colab page. The sound of the plain player itself: test_fallback."""
    make_server, opens = live_server._server_of, threading.Event()

    def without_sockets(app, listening, certificate):
        async def refuse(scope, receive, send):
            if scope["type"] == "websocket" and not opens.is_set():
                await send({"type": "websocket.close"})
            else:
                await app(scope, receive, send)

        return make_server(refuse, listening, certificate)

    monkeypatch.setattr(live_server, "_server_of", without_sockets)
    # Gradio would not know a generator behind the function that checks types in tests.
    monkeypatch.setattr(fallback.PlainPlayer, "play", inspect.unwrap(fallback.PlainPlayer.play))
    monkeypatch.setattr(shutil, "which", lambda program: program)  # the player's parts are there, with ffmpeg or without
    server = launched(max_sessions=1)
    page = new_page(server.url)
    page.wait_for_selector("#mrt-fallback.is-needed")
    assert "Plain player" in page.text_content("#mrt-fallback") and page.locator("#plain-play").is_visible()
    assert "WebSocket" in page.text_content("[role=alert]") and not server.hall.seats
    opens.set()  # the way is free: the page itself plays, and the plain player goes
    page.wait_for_selector("body[data-live=ready]")
    assert not page.locator("#mrt-fallback").is_visible()
    opens.clear()
    page.reload()
    page.wait_for_selector("#mrt-fallback.is-needed")
    entered, enter = [], server.hall.enter
    monkeypatch.setattr(server.hall, "enter", lambda *who: (entered.append(who), enter(*who))[1])
    page.click("#plain-play")
    wait_until(lambda: entered)  # by the plain player, because no socket can
    page.wait_for_selector("body[data-live=ended]")  # the page itself tries no more
    assert not page.locator(".veil").is_visible()
    page.errors.clear()  # the browser reports each socket that was refused


class StrippingProxy:
    """What a reverse proxy does with a prefix: request lines lose it, and what lies outside it is not ours (404).

    Attributes:
      port: to connect to.
      strays: paths outside the prefix that were asked for.
    """

    def __init__(self, target, prefix):
        self._target, self._prefix, self.strays = target, prefix, set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listening.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            threading.Thread(target=self._pump, args=(near, far, self._strip), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, lambda data: data), daemon=True).start()

    def _strip(self, data):
        line = re.match(rb"([A-Z]+) (/[^ ]*) HTTP/1.1\r\n", data)
        if line is None:  # in the middle of something
            return data
        prefix = self._prefix.encode() + b"/"
        if not line[2].startswith(prefix):
            self.strays.add(line[2])
        path = line[2].removeprefix(prefix) if line[2].startswith(prefix) else b"live/static/elsewhere"
        return line[1] + b" /" + path + b" HTTP/1.1\r\n" + data[line.end() :]

    @staticmethod
    def _pump(source, target, change):
        try:
            while data := source.recv(65_536):
                target.sendall(change(data))
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def test_the_page_plays_behind_a_proxy_under_a_prefix(launched, new_page, wait_until):
    server = launched(root_path="/mix")
    proxy = StrippingProxy(server.port, "/mix")
    try:
        page = new_page(f"http://127.0.0.1:{proxy.port}/mix/")
        wait_until(lambda: server.hall.seats)
        page.keyboard.press("Space")
        (seat,) = server.hall.seats
        wait_until(lambda: seat.card.position > 24_000)
        # Browsers look for favicon.ico outside the prefix, which is not ours.
        page.errors = [error for error in page.errors if "404" not in error]
        assert proxy.strays <= {b"/favicon.ico"}
    finally:
        proxy.close()


def test_https_with_a_certificate_made_here(launched):
    server = launched(is_self_signed=True)
    assert server.url.startswith("https://127.0.0.1:")
    trusted = str(live_server.state_folder() / "tls" / "certificate.pem")
    assert get(f"{server.url}live/health", verify=ssl.create_default_context(cafile=trusted)).status_code == 200
    with pytest.raises(httpx.ConnectError):
        get(f"{server.url}live/health")
    lines = list(launch.greeting(server))
    assert lines[0] == f"The live-mix page: {server.url}" and any(server.fingerprint in line for line in lines)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"host": "0.0.0.0"}, ["--auth user:password", "--self-signed"]),
        ({"host": "0.0.0.0", "users": (("ann", "a"),)}, ["--self-signed"]),
        ({"host": "0.0.0.0", "is_self_signed": True}, ["--auth user:password"]),
    ],
)
def test_warnings_where_others_can_connect(options, expected):
    class Server:
        config = LaunchConfig(**options)
        url, port, fingerprint = "http://x/", 7860, "AA"
        hall = type("Hall", (), {"most": 2})

    warnings = [line for line in launch.greeting(Server()) if "warning" in line]
    assert len(warnings) == len(expected) and all(word in line for word, line in zip(expected, warnings))


def test_sharing_without_a_network_is_one_line_and_the_page_plays_on(monkeypatch):
    def fail(port):
        raise ConnectionError("Name or service not known\nmore")

    monkeypatch.setattr(sharing, "_tunnel", fail)
    with pytest.raises(MrtError, match=r"^--share: there is no public link \(Name or service not known more\)"):
        sharing.open_share(7860)
    monkeypatch.setattr(sharing, "_tunnel", lambda port: time.sleep(60.0))
    with pytest.raises(MrtError, match="no answer in 0 s"):
        sharing.open_share(7860, patience_seconds=0.05)


def test_a_share_is_ended_with_the_server(launched, monkeypatch):
    ended = []
    monkeypatch.setattr(sharing, "_tunnel", lambda port: f"https://{port}.gradio.live")
    monkeypatch.setattr(sharing, "_close_tunnel", ended.append)
    server = launched(is_shared=True)
    assert server.open_share() == f"https://{server.port}.gradio.live"
    assert get(server.url, headers={"Host": "abc.gradio.live"}).status_code == 200
    server.close()
    assert ended == [server.port]


def test_a_factory_that_fails_leaves_nothing_open(state):
    def fail(bundle, say):
        raise ValueError("no such bundle")

    config = LaunchConfig(port=0, opens_browser=False)
    with pytest.raises(ValueError, match="no such bundle"):
        live_server.LiveServer(config, make_factory=fail)
    assert not (state / "recordings").exists()


def test_old_folders_without_recordings_go_and_only_the_newest_are_kept(state, monkeypatch):
    above = state / "recordings"
    for number in range(30):
        (above / f"20260101-0000{number:02d}-1-aa").mkdir(parents=True)
    made = live_server._new_folder()
    kept = sorted(path.name for path in above.iterdir())
    assert len(kept) == live_server.KEPT_FOLDERS and made.name in kept and "20260101-000029-1-aa" in kept
