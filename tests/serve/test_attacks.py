"""Attacks on a real server. Beside each of them somebody plays, and hears nothing of it: no gap, no change, no end."""

import contextlib
import http.client
import io
import json
import os
import random
import socket
import struct
import threading
import time
import zlib

import httpx
import numpy as np
import pytest
import soundfile

from magenta_rt_py.serve import wire
from magenta_rt_py.serve.fair_protocol import READ_BYTES, FairProtocol
from magenta_rt_py.serve.limits import LimitsConfig
from magenta_rt_py.serve.socket import SocketConfig
from magenta_rt_py.serve.tokens import Tokens
from magenta_rt_py.serve.uploads import UploadConfig

SCRIPT = "<script>alert(1)</script>${alert(1)}{{value}}`\u2028\"'\\</textarea>"
PASSWORDS = "root:"


@pytest.fixture(scope="module")
def secrets_folder(tmp_path_factory):
    """A file beside the static files that must never come out."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "static").mkdir()
    (folder / "static" / "player.js").write_text("export {};\n")
    (folder / "secret.js").write_text("root: the secret\n")
    return folder


@pytest.fixture(scope="module")
def server(start, secrets_folder, unchecked):
    taken = UploadConfig(most_bytes=2_000_000, body_seconds=1.5, silent_seconds=0.7)
    # Fewer than usual: a flood is over sooner.
    limits = LimitsConfig(messages_a_second=20.0, messages_burst=60.0, packets_a_second=50.0, packets_burst=100.0)
    sockets = SocketConfig(limits=limits, refusals_burst=50.0)
    return start(static_folder=secrets_folder / "static", upload=taken, socket=sockets)


@pytest.fixture
def bystander(server, audience):
    """Somebody who plays all the time, looked at when the test is over."""
    board = server.hall.find(server.tokens.check(audience.token)).board
    values, changes, starved = board.settings.values, len(audience.told("changed")), audience.starved
    yield audience
    assert audience.close_code is None
    assert audience.starved == starved, "the attack was heard"
    assert audience.is_whole()
    assert {packet.opening for packet in audience.packets} == {0}
    assert board.settings.values == values
    assert len(audience.told("changed")) == changes


@pytest.fixture
def attacker(server, listen, bystander):
    """Somebody with a seat of their own."""
    listener = listen(server, plays=False, lead=0.5)
    listener.wait("welcome")
    return listener


def bearer(token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def upload(server, token, data, path="live/prompts", **headers) -> httpx.Response:
    return httpx.post(f"{server.address}/{path}", content=data, headers={**bearer(token), **headers}, timeout=60.0)


def get(server, path, token=None) -> httpx.Response:
    return httpx.get(f"{server.address}/{path}", headers=bearer(token) if token else {}, timeout=60.0)


def flac(samples) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 48_000, format="FLAC")
    return file.getvalue()


def status_of(server, **options) -> int:
    """What a handshake is answered with."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(server.socket, subprotocols=["mrt-live.1"], **options):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


# Who may talk at all.


def test_foreign_origins_get_no_socket(server, bystander):
    here = f"http://127.0.0.1:{server.port}"
    assert status_of(server, origin=here) == 101
    foreign = ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}", f"{here}.evil.example", "file://")
    for origin in foreign:
        assert status_of(server, origin=origin) == 403, origin
        # A page cannot set this header; should one find a way, its origin still counts.
        assert status_of(server, origin=origin, additional_headers={"X-Live-Client": "1"}) == 403, origin
    assert status_of(server) == 403  # no origin, and not said to be a program
    assert status_of(server, additional_headers={"X-Live-Client": "yes"}) == 403
    forwarded = {"X-Forwarded-Host": "evil.example"}
    assert status_of(server, origin="http://evil.example", additional_headers=forwarded) == 403


def test_foreign_origins_get_no_upload(server, bystander, attacker):
    answer = upload(server, attacker.token, flac(np.zeros((9600, 2))), Origin="http://evil.example")
    assert answer.status_code == 403


def test_tokens_that_are_none(server, bystander, listen, until):
    good = server.tokens.mint()
    payload, _, signature = good.partition(".")
    claim = server.tokens.check(bystander.token)
    moved = Tokens(secret=b"a secret that is another").mint()
    expired = Tokens(secret=server.tokens._secret, lifetime_seconds=1e-9).mint()
    bad = ["", "x", payload, f"{payload}.", f".{signature}", f"{payload[:-2]}AA.{signature}", moved, expired]
    bad += ["a" * 900, "\u00e9.x"]
    bad.append(f"{bystander.token.partition('.')[0]}.{signature}")  # the bystander's seat, signed for another
    for token in bad:
        thief = listen(server, token=token, plays=False)
        until(lambda thief=thief: thief.close_code == 4401, what=f"4401 for {token[:40]!r}")
        assert not thief.told("welcome")
    missing = listen(server, plays=False)  # a token of one's own opens a seat of one's own
    missing.wait("welcome")
    assert server.hall.find(claim) is not None


# What belongs to somebody else.


def test_another_seats_files(server, bystander, attacker):
    bystander.say(type="record", state="start", has_microphone=False)
    bystander.wait("recording", state="recording")
    bystander.wait_for_sound(0.5)
    bystander.say(type="record", state="stop")
    url = bystander.wait("recording", state="done")["files"][0]["url"]
    for token in (attacker.token, server.tokens.mint()):
        answer = get(server, url, token)
        assert (answer.status_code, "no such recording of yours" in answer.text) == (404, True)
    assert get(server, url, bystander.token).status_code == 200


def test_another_seats_prompt(server, bystander, attacker):
    prompt = upload(server, bystander.token, flac(np.full((9600, 2), 0.1))).json()["prompt"]
    assert "not here" in attacker.wait("refused", id=attacker.set(prompt__1__text=prompt))["reason"]
    attacker.say(type="forget", prompt=prompt)
    attacker.wait("refused", id=None)
    seat = server.hall.find(server.tokens.check(bystander.token))
    assert seat.shelf.find(prompt) is not None
    with pytest.raises(ValueError, match="upload it again"):
        server.hall.find(server.tokens.check(attacker.token)).resolve(prompt)


def test_a_prompt_that_looks_like_a_file_is_words(server, bystander, attacker, secrets_folder):
    for text in ("/etc/passwd", "../../etc/passwd", str(secrets_folder / "secret.js"), "file:///etc/passwd"):
        attacker.wait("changed", id=attacker.set(prompt__1__text=text))
        assert server.hall.find(server.tokens.check(attacker.token)).resolve(text) == text


# Messages and packets that are none.


def packet(**fields) -> bytes:
    payload = wire.payload_of(np.zeros((1920, 1), np.float32))
    made = dict(kind=2, flags=0, channels=1, format=0, opening=0, samples=1920, controls=0, position=0, payload=payload)
    made.update(fields)
    head = struct.pack("<BBBBIIIdII", *[made[name] for name in list(made)[:7]], float(made["position"]), 0, 0)
    return head + made["payload"]


BAD_PACKETS = [
    b"",
    b"\x02",
    os.urandom(31),
    b"\xff" * 4000,
    packet(kind=1, channels=2),
    packet(kind=9),
    packet(samples=4801, payload=b"\0" * 9602),
    packet(samples=2**32 - 1),
    packet(channels=0),
    packet(format=1),
    packet(position=float("nan")),
    packet(position=float("inf")),
    packet(position=-1.0),
    packet(position=0.5),
    packet(position=2.0**60),
    packet(payload=b"\0" * 3839),
    packet(payload=b"\0" * 3842),
]


def test_malformed_packets_end_their_sender(server, bystander, listen, until):
    for data in BAD_PACKETS:
        attacker = listen(server, plays=False)
        attacker.wait("welcome")
        attacker.send(data)
        until(lambda attacker=attacker: attacker.close_code == 4400, what=f"4400 for {data[:40]!r}")


def test_packets_from_nowhere_do_nothing(server, bystander, attacker, until):
    attacker.wait_for_sound(0.2)
    for fields in ({"opening": 77}, {"position": 2**52}, {"flags": 3}):
        attacker.send(packet(**fields))
    attacker.say(type="report", opening=5, position=2**52, queued=2**52, is_playing=True)
    attacker.say(type="starved", opening=5, position=0, samples=2**53 - 1)
    attacker.say(type="ping", at=1)
    attacker.wait("pong", at=1)
    until(lambda: sum(packet.samples for packet in list(attacker.packets)) >= 0.4 * 48_000, what="the rest of the sound")
    assert attacker.is_whole()


def test_oversized_messages_end_their_sender(server, bystander, listen, until):
    for text in ("x" * 8193, json.dumps({"type": "set", "id": 1, "values": {"prompt/1/text": "x" * 9000}})):
        attacker = listen(server, plays=False)
        attacker.wait("welcome")
        attacker.send(text)
        until(lambda attacker=attacker: attacker.close_code == 4400)


def test_a_message_of_megabytes_is_not_even_read(server, bystander, attacker, until):
    attacker.send(b"\0" * 5_000_000)
    until(lambda: attacker.close_code in (1006, 1009))


BAD_MESSAGES = [
    "",
    "null",
    "[]",
    "{}",
    '{"type": "set"}',
    '{"type": "nothing"}',
    '{"type": ["set"]}',
    '{"type": "play", "extra": 1}',
    '{"type": "set", "id": 1, "values": {"temperature": NaN}}',
    '{"type": "set", "id": 1, "values": {"temperature": 1e999}}',
    '{"type": "set", "id": 1, "values": {"temperature": ' + "9" * 5000 + "}}",
    '{"type": "set", "id": 1, "values": {"__class__": 1}}',
    '{"type": "set", "id": 1, "values": {"temperature": {"a": 1}}}',
    '{"type": "set", "id": 1, "values": {"prompt/1/text": "\\ud800"}}',
    '{"type": "set", "id": 1, "values": {"prompt/1/text": "a\\u0000b"}}',
    '{"type": "act", "id": 1, "name": "quit", "value": null}',
    '{"type": "act", "id": 1, "name": "record", "value": "/elsewhere/x.flac"}',
    '{"type": "act", "id": 1, "name": "snapshot/save", "value": 1e308}',
    '{"type": "lead", "seconds": 1e9}',
    '{"type": "lead", "seconds": -1}',
    '{"type": "round_trip", "samples": -5}',
    '{"type": "record", "state": "../../etc", "has_microphone": false}',
    '{"type": "report", "opening": 0, "position": -1, "queued": 0, "is_playing": true}',
    '{"type": "forget", "prompt": "../../etc/passwd"}',
    "[" * 4000,
    '{"a":' * 1500,
]


def test_messages_that_are_none_are_refused(server, bystander, attacker):
    for number, text in enumerate(BAD_MESSAGES):
        attacker.send(text)
        attacker.say(type="ping", at=number)
        attacker.wait("pong", at=number)
        refused = attacker.told("refused")
        assert len(refused) == number + 1, text
        assert refused[-1]["reason"] and "\n" not in refused[-1]["reason"] and "Traceback" not in refused[-1]["reason"]


def test_script_in_a_prompt_comes_back_as_the_same_text_in_json_and_nowhere_else(server, bystander, attacker):
    text = SCRIPT[:500]
    number = attacker.set(prompt__1__text=text)
    assert attacker.wait("changed", id=number)["values"] == {"prompt/1/text": text}
    attacker.set(**{SCRIPT: 1})
    attacker.wait("refused")
    path = f"live/prompts?{httpx.QueryParams({'name': text})}"
    named = upload(server, attacker.token, flac(np.zeros((9600, 2))), path)
    for answer in (
        named,
        get(server, "live/static/<script>alert(1)</script>"),
        get(server, "live/recordings/<script>", attacker.token),
        get(server, "<script>alert(1)</script>"),
    ):
        assert answer.headers["content-type"] == "application/json"


# Floods.


def flood(attacker, make, seconds=30.0):
    """Sends as fast as it can until it is closed."""
    ends = time.monotonic() + seconds
    number = 0
    while attacker.close_code is None and time.monotonic() < ends:
        attacker.send(make(number))
        number += 1
    return number


@pytest.mark.parametrize(
    "make",
    [
        lambda n: json.dumps({"type": "set", "id": n, "values": {"temperature": (n % 40) / 10}}),
        lambda n: json.dumps({"type": "report", "opening": 0, "position": n, "queued": 0, "is_playing": True}),
        lambda n: json.dumps({"type": "act", "id": n, "name": "snapshot/save", "value": 1}),
        lambda n: json.dumps({"type": "set", "id": n, "values": {"prompt/1/text": f"{n}" + "x" * 450}}),
        lambda n: "no message",
        lambda n: packet(position=1920 * n),
        lambda n: packet(samples=1, payload=b"\0\0"),
    ],
    ids=["controls", "reports", "actions", "prompts", "nonsense", "microphone", "crumbs"],
)
def test_floods_end_with_their_sender(server, bystander, attacker, until, make):
    attacker.wait_for_sound(0.3)
    flood(attacker, make)
    until(lambda: attacker.close_code == 4429, what="4429")


def test_a_flood_is_read_in_pieces_so_that_others_have_their_turn(server, bystander, attacker, until, monkeypatch):
    pieces, received = [], FairProtocol.data_received

    def note(self, data):
        pieces.append(len(data))
        received(self, data)

    monkeypatch.setattr(FairProtocol, "data_received", note)
    attacker.wait_for_sound(0.3)
    for _ in range(3000):
        attacker.say(type="ping", at=1)
    bystander.wait_for_sound(0.3)
    until(lambda: sum(pieces) > 20_000)
    assert max(pieces) <= READ_BYTES and bystander.starved == 0


def test_a_microphone_is_not_faster_than_time(server, bystander, attacker):
    attacker.wait_for_sound(0.3)
    card, heard = server.hall.find(server.tokens.check(attacker.token)).card, []
    card.hear = lambda packet: heard.append(packet.samples)
    for number in range(80):  # eight seconds at once
        attacker.send(packet(samples=4800, position=4800 * number, payload=b"\0" * 9600))
    attacker.say(type="ping", at=1)
    attacker.wait("pong", at=1)
    assert "too many" in attacker.wait("refused")["reason"]
    assert 5 * 48_000 <= sum(heard) < 7.5 * 48_000


def test_a_flood_of_connections_is_only_that(server, bystander):
    listening = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]
    listening += [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for each in listening[60:]:
        each.sendall(b"GET /live/ws HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    bystander.wait_for_sound(0.5)
    for each in listening:
        each.close()


def test_who_does_not_read_is_closed_and_nothing_piles_up(start, listen, until):
    server = start(send_buffer=8192, socket=SocketConfig(stuck_seconds=1.0, most_waiting=400))
    playing = listen(server, lead=4.0, speed=0.25)
    playing.wait_for_sound(1.0)
    deaf = listen(server, plays=False, reads=False, lead=4.0)  # four seconds are more than fits in between
    deaf.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    seat = until(lambda: server.hall.find(server.tokens.check(deaf.token)))
    until(lambda: seat._on_event is None, what="the end of who does not read")
    playing.wait_for_sound(0.3)
    assert playing.starved == 0 and playing.is_whole()


def test_who_waits_and_does_not_read_is_closed(start, listen, until):
    config = SocketConfig(stuck_seconds=0.5, waiting_seconds=0.001)
    server = start(hall={"most_sessions": 1}, send_buffer=8192, socket=config)
    listen(server, plays=False).wait("welcome")
    deaf = listen(server, plays=False, reads=False)
    deaf.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    until(lambda: server.hall._line, what="a place in the line")
    until(lambda: server.hall._line[0]._lost_seconds is not None, what="the end of who does not read")


# Paths.


def raw_get(server, path: str, token: str = "") -> tuple[int, bytes]:
    """The path as it is: httpx would tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60.0)
    try:
        connection.putrequest("GET", path, skip_host=False)
        if token:
            connection.putheader("Authorization", f"Bearer {token}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_paths_lead_nowhere_else(server, bystander, attacker, secrets_folder):
    ways = ["../secret.js", "..%2fsecret.js", "..%2Fsecret.js", "%2e%2e/secret.js", "%2e%2e%2fsecret.js", "....//secret.js"]
    ways += ["..\\secret.js", "..%5csecret.js", "player.js/../../secret.js", str(secrets_folder / "secret.js")]
    ways += ["player.js%00", "player.js/", "//etc/passwd", "..%252fsecret.js"]
    ways += [f"/{secrets_folder}/secret.js", "../" * 20 + "etc/passwd"]
    ways += ["%c0%ae%c0%ae/secret.js", "file:///etc/passwd", ".", "..", "", "~", "secret.js"]
    for way in ways:
        for route in ("live/static", "live/recordings", "live"):
            status, body = raw_get(server, f"/{route}/{way}", attacker.token)
            assert status in (400, 401, 404, 405, 307, 422, 409), (route, way, status)
            assert PASSWORDS.encode() not in body, (route, way)


def test_ids_are_found_and_not_built(server, bystander, attacker):
    log = server.hall.log_of(server.tokens.check(bystander.token).seat_id)
    assert log is not None and log.is_file()
    for file_id in (log.stem, log.name, log.stem.upper(), "0" * 32, "0" * 33, "\u0660" * 32):
        answer = get(server, f"live/recordings/{file_id}", attacker.token)
        assert answer.status_code == 404, file_id


# Uploads.


def wav_header(size: int, rate=48_000, channels=2) -> bytes:
    whole = min(size + 36, 2**32 - 1)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, channels, rate, 0, 4, 16)
    return head + struct.pack("<4sI", b"data", size)


def test_ten_hours_of_silence(server, bystander, attacker):
    """A file that says so; there is no need to send them, because nothing is read beyond the first minute."""
    data = flac(np.zeros((48_000 * 200, 1), np.int16))
    packed = (data[21] & 0xF0) << 32 | 48_000 * 3600 * 10  # its header says ten hours
    data = data[:21] + packed.to_bytes(5, "big") + data[26:]
    answer = upload(server, attacker.token, data)
    assert (answer.status_code, "longer than 60 s" in answer.text) == (422, True)


@pytest.mark.parametrize(
    "data",
    [
        wav_header(2**32 - 100) + b"\0" * 1000,
        wav_header(1000, rate=2**32 - 1) + b"\0" * 1000,
        wav_header(1000, channels=65_535) + b"\0" * 1000,
        wav_header(0),
        b"a text file named .wav\n" * 200,
        b"RIFF" + b"text " * 500,
        b"PK\x03\x04" + zlib.compress(b"\0" * 50_000_000),
        zlib.compress(b"\0" * 50_000_000),
        b"fLaC" + random.Random(0).randbytes(50_000),
        b"OggS" + random.Random(1).randbytes(50_000),
        b"",
    ],
    ids=["4 GB", "rate", "channels", "empty", "text", "riff", "zip", "zlib", "flac noise", "ogg noise", "nothing"],
)
def test_files_that_lie(server, bystander, attacker, data):
    for path in ("live/prompts?name=song.wav", "live/context?name=song.wav"):
        answer = upload(server, attacker.token, data, path)
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"].startswith("song.wav: ")
    seat = server.hall.find(server.tokens.check(attacker.token))
    assert len(seat.shelf) == 0


def test_a_length_that_is_a_lie_brings_what_is_there(server, bystander, attacker):
    answer = upload(server, attacker.token, wav_header(2**31 - 1) + b"\0" * 96_000)
    assert (answer.status_code, answer.json()["seconds"]) == (200, 0.5)


def test_a_flood_of_recordings_makes_a_handful(server, bystander, attacker):
    attacker.wait_for_sound(0.3)
    for _ in range(20):
        attacker.say(type="record", state="start", has_microphone=False)
        attacker.say(type="record", state="stop")
    attacker.wait("refused", reason="that was asked for very often; wait some seconds")
    attacker.say(type="ping", at=1)
    attacker.wait("pong", at=1)
    assert len({message["id"] for message in attacker.told("recording")}) <= 6


def test_bodies_that_are_too_large(server, bystander, attacker):
    assert upload(server, attacker.token, b"\0" * 2_100_000).status_code == 413

    def endless():
        for _ in range(3000):
            yield b"\0" * 10_000

    # No length is said; it is counted as it comes, and the rest is not waited for.
    with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        assert upload(server, attacker.token, endless()).status_code == 413
    options = {"headers": bearer(attacker.token), "timeout": 60.0}
    answer = httpx.post(f"{server.address}/live/prompts", files={"file": ("a.wav", b"\0" * 2_100_000)}, **options)
    assert answer.status_code == 413
    fields = {f"field{n}": "x" for n in range(50)}
    answer = httpx.post(f"{server.address}/live/prompts", data=fields, files={"a": b""}, **options)
    assert answer.status_code == 400
    packed = upload(server, attacker.token, zlib.compress(b"\0" * 1_000_000), **{"Content-Encoding": "deflate"})
    assert packed.status_code == 415


def test_a_slow_body_is_not_waited_for(server, bystander, attacker):
    for pause, status in ((0.2, 408), (5.0, 408)):  # a trickle; nothing at all
        with socket.create_connection(("127.0.0.1", server.port), timeout=60.0) as line:
            head = f"POST /live/prompts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {attacker.token}\r\n"
            line.sendall(head.encode() + b"Content-Length: 100000\r\n\r\n")
            answered = threading.Event()

            def trickle(line=line, pause=pause, answered=answered):
                while not answered.wait(pause):
                    try:
                        line.sendall(b"x")
                    except OSError:
                        return

            thread = threading.Thread(target=trickle, daemon=True)
            thread.start()
            answer = line.recv(1000)
            answered.set()
            thread.join()
        assert answer.startswith(f"HTTP/1.1 {status}".encode()), answer
    assert upload(server, attacker.token, flac(np.zeros((9600, 2)))).status_code == 200  # the seat is not held up by it


def test_one_upload_at_a_time(server, bystander, attacker, until):
    head = f"POST /live/prompts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {attacker.token}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60.0) as line:
        line.sendall(head.encode() + b"Content-Length: 100000\r\n\r\nfLaC")
        small = flac(np.zeros((9600, 2)))
        until(lambda: upload(server, attacker.token, small).status_code == 429, what="429")
        assert upload(server, bystander.token, small).status_code == 200  # others are not kept waiting
        line.recv(1000)
    assert upload(server, attacker.token, small).status_code == 200


def test_the_folder_holds_only_what_the_server_named(server, bystander):
    """After all of the above: every file there has a name that was made here."""
    folder = server.hall.recordings._folder
    names = [path.name for path in folder.iterdir()]
    assert names and all(len(name.partition(".")[0]) == 32 and int(name.partition(".")[0], 16) >= 0 for name in names)
