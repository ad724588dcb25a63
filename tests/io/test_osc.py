"""The OSC server over real UDP: knobs, answers, subscribers, and everything a network may send."""

import contextlib
import socket
import struct
import time

import pytest

from magenta_rt_py.io import osc
from magenta_rt_py.io.osc import OscClient, OscServer, OscStatus
from magenta_rt_py.io.osc_packet import read_packet, write_message
from magenta_rt_py.live.board import KNOBS, Board

STATUS = OscStatus(rtf=1.5, buffer_seconds=0.4, underruns=2, delay_seconds=0.25, peak=0.5, beat=1.25, bar=7)
PATIENCE_SECONDS = 10.0


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def server(board):
    with OscServer(board, port=0, status=lambda: STATUS) as server:
        yield server


@pytest.fixture
def client(server):
    with OscClient(port=server.port) as client:
        yield client


@pytest.fixture
def plain():
    """A socket of another program."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as plain:
        plain.bind(("127.0.0.1", 0))
        plain.settimeout(PATIENCE_SECONDS)
        yield plain


def eventually(holds) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def receive(plain):
    ((address, arguments),) = read_packet(plain.recv(65_536))
    return address, arguments


def test_knobs_and_actions(board, server, client):
    client.set("temperature", 0.95)
    client.set("prompt/2/text", "Föö piano")
    client.set("midi_clock", True)
    client.set("top_k", 40)
    client.set("inject/loop_beats", 8.0)
    client.act("tap")
    client.act("snapshot/save", 3)
    client.act("nudge", -0.5)
    client.act("record", "take.flac")
    assert client.get("temperature", timeout_seconds=PATIENCE_SECONDS) == 0.95
    values = board.settings.values
    names = ("temperature", "prompt/2/text", "midi_clock", "top_k", "inject/loop_beats")
    assert [values[name] for name in names] == [0.95, "Föö piano", True, 40, 8]
    assert [client.get(name, timeout_seconds=PATIENCE_SECONDS) for name in names[1:4]] == ["Föö piano", 1, 40]
    taken = board.take_actions()
    assert [(each.name, each.value) for each in taken] == [
        ("tap", None),
        ("snapshot/save", 3),
        ("nudge", -0.5),
        ("record", "take.flac"),
    ]
    assert all(each.source.startswith("osc 127.0.0.1:") for each in taken)
    assert server.problem is None and server.counts == (13, 0, 0)


def test_what_other_programs_send(board, server, client, plain):
    """Words one by one, buttons that are pressed and let go, T and F, bundles with a time tag in the far future."""
    far = b"#bundle\0" + struct.pack(">Q", 2**63 + 2**62)
    inside = [write_message("/bpm", 90), write_message("/volume", 0.5)]
    packets = [
        write_message("/prompt/1/text", "80s", "synth", 4, 0.5),
        write_message("/prompt/2/text"),
        write_message("/tap", 1.0),
        write_message("/tap", 0.0),
        b"/tap\0\0\0\0,T\0\0",
        b"/tap\0\0\0\0,F\0\0",
        b"/tap\0\0\0\0,N\0\0",
        b"/midi_clock\0,T\0\0",
        far + b"".join(struct.pack(">i", len(each)) + each for each in inside),
    ]
    for packet in packets:
        plain.sendto(packet, ("127.0.0.1", server.port))
    eventually(lambda: server.counts.messages == 10)
    values = board.settings.values
    assert (values["prompt/1/text"], values["midi_clock"]) == ("80s synth 4 0.5", True)
    assert (values["bpm"], values["volume"]) == (90.0, 0.5)
    assert [each.name for each in board.take_actions()] == ["tap"] * 3
    assert server.problem is None


@pytest.mark.parametrize(
    ("address", "arguments", "said"),
    [
        ("/temperature", (9.0,), "/temperature: temperature is 9.0; give a number from 0 to 4"),
        ("/temperature", (float("nan"),), "temperature is nan"),
        ("/temperature", ("warm",), "temperature is 'warm'; give a number"),
        ("/temperature", (), "temperature came with 0 values; it takes one"),
        ("/temperature", (1.0, 2.0), "temperature came with 2 values"),
        ("/prompt/1/text", ("x" * 501,), "prompt/1/text has 501 characters"),
        ("/temprature", (1.0,), "did you mean temperature?"),
        ("/" + "x" * 5000, (1.0,), "there is no knob"),
        ("/tap", ("now",), "tap takes no value"),
        ("/tap", (1.0, 1.0), "tap takes no value"),
        ("/nudge", (), "nudge is None; give a number from -4 to 4"),
        ("/get", (), "/get: give the name of one knob"),
        ("/get", ("tap",), "tap is an action and has no value"),
        ("/subscribe", (), "give the UDP port where you listen"),
        ("/subscribe", (0,), "give the UDP port where you listen"),
        ("/subscribe", (70_000.5,), "give the UDP port where you listen"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_answered_and_changes_nothing(board, server, plain, address, arguments, said):
    before = board.settings
    plain.sendto(write_message(address, *arguments), ("127.0.0.1", server.port))
    answered, (text,) = receive(plain)
    assert answered == "/error" and said in text and "\n" not in text
    assert board.settings is before and board.take_actions() == []
    assert server.counts == (1, 1, 0) and server.problem.startswith("OSC from 127.0.0.1: ")
    assert text.split(": ", 1)[1] in server.problem


def test_blobs_are_refused(board, server, plain):
    for packet in (
        b"/prompt/1/text\0\0,b\0\0\0\0\0\4blob",
        b"/tap\0\0\0\0,b\0\0\0\0\0\4blob",
        b"/bpm\0\0\0\0,[i]\0\0\0\0\0\0\0\x5a",
    ):
        plain.sendto(packet, ("127.0.0.1", server.port))
        assert receive(plain)[0] == "/error"
    assert board.settings.sequence == 0 and board.take_actions() == []


def test_list_tells_all_knobs(board, server, plain):
    board.set("bpm", 90)
    plain.sendto(write_message("/list"), ("127.0.0.1", server.port))
    rows = [receive(plain) for _ in range(len(KNOBS) + 1)]
    assert [arguments[0] for address, arguments in rows if address == "/list"] == list(KNOBS)
    told = {arguments[0]: arguments[1:] for address, arguments in rows}
    assert told["bpm"] == ("number", 20.0, 400.0, "beats a minute", 90.0)
    assert told["rewind"] == ("action with whole number", 1.0, 64.0, "bars", "")
    assert told["tap"] == ("action", 0.0, 0.0, "", "")
    assert rows[-1] == ("/list/end", (len(KNOBS),))


def test_a_subscriber_hears_values_changes_and_status(board, server, client):
    heard = []
    board.set("bpm", 90)
    port = client.subscribe(lambda *message: heard.append(message), timeout_seconds=PATIENCE_SECONDS)
    assert server.subscribers == (("127.0.0.1", port),)
    count = len(board.settings.values)
    eventually(lambda: len(heard) >= count)
    assert [address for address, _ in heard[:count]] == [f"/{name}" for name in board.settings.values]
    assert ("/bpm", (90.0,)) in heard and ("/midi_clock", (0,)) in heard

    del heard[:]
    began = time.monotonic()
    for step in range(20):
        board.set("temperature", 0.1 * step)
        board.set("prompt/1/text", f"step {step}")
    eventually(lambda: ("/prompt/1/text", ("step 19",)) in heard)
    temperatures = [arguments[0] for address, arguments in heard if address == "/temperature"]
    assert temperatures == [round(0.1 * step, 6) for step in range(20)]
    eventually(lambda: sum(address == "/status/bar" for address, _ in heard) >= 4)
    seconds = time.monotonic() - began
    told = {address: arguments[0] for address, arguments in heard if address.startswith("/status/")}
    assert told == {
        "/status/rtf": 1.5,
        "/status/buffer": 0.4,
        "/status/underruns": 2,
        "/status/delay": 0.25,
        "/status/level": 0.5,
        "/status/beat": 1.25,
        "/status/bar": 7,
    }
    assert sum(address == "/status/bar" for address, _ in list(heard)) <= seconds * 10 + 2, "ten a second, not more"

    with pytest.raises(ValueError, match="subscribed already"):
        client.subscribe(print)
    client.unsubscribe()
    eventually(lambda: server.subscribers == ())
    del heard[:]
    board.set("bpm", 91)
    assert client.get("bpm", timeout_seconds=PATIENCE_SECONDS) == 91.0 and heard == []


def test_changes_are_sent_at_once(board):
    """Not when the server next looks, which is once a second if there is no status to send."""
    heard = []
    with OscServer(board, port=0) as server, OscClient(port=server.port) as client:
        client.subscribe(lambda *message: heard.append(message), timeout_seconds=PATIENCE_SECONDS)
        began = time.monotonic()
        for step in range(10):
            board.set("bpm", 100 + step)
            eventually(lambda: ("/bpm", (100.0 + step,)) in heard)  # noqa: B023 - called before the next step
        assert time.monotonic() - began < 5.0


def test_feedback_does_not_go_in_circles(board, server, client):
    """What a subscriber sends back as it heard it is no change, whatever the rounding."""
    client.subscribe(lambda address, arguments: client.set(address[1:], *arguments), timeout_seconds=PATIENCE_SECONDS)
    eventually(lambda: server.counts.messages > len(board.settings.values))  # all are back, and the request itself
    board.set("temperature", 1 / 3)
    eventually(lambda: board.settings.sequence == 2)  # 1/3 as a 32-bit float; then it stays
    for _ in range(20):
        client.get("bpm", timeout_seconds=PATIENCE_SECONDS)
    assert board.settings.sequence == 2


def test_sixteen_may_subscribe(board, server, plain):
    for port in range(20_001, 20_018):
        plain.sendto(write_message("/subscribe", float(port)), ("127.0.0.1", server.port))  # Pd's numbers are floats
    answers = [receive(plain) for _ in range(17)]
    assert answers[:16] == [("/subscribed", (port,)) for port in range(20_001, 20_017)]
    assert answers[16][0] == "/error" and "16 have subscribed" in answers[16][1][0]
    assert len(server.subscribers) == 16
    board.set("bpm", 90)  # most of them do not exist; nobody minds
    plain.sendto(write_message("/unsubscribe", 20_003), ("127.0.0.1", server.port))
    eventually(lambda: len(server.subscribers) == 15)
    plain.sendto(write_message("/unsubscribe"), ("127.0.0.1", server.port))
    eventually(lambda: server.subscribers == ())
    plain.sendto(write_message("/subscribe", server.port), ("127.0.0.1", server.port))
    assert "is the server's own" in receive(plain)[1][0]


def test_garbage_is_counted_and_the_server_goes_on(board, server, client, plain, capfd):
    garbage = [
        b"",
        b"\0",
        b"hello",
        b"/x",
        b"#bundle\0",
        b"#bundle\0" + b"\xff" * 40,
        b"/x\0\0,Z\0\0",
        bytes(range(256)) * 200,
    ]
    for packet in garbage:
        plain.sendto(packet, ("127.0.0.1", server.port))
    eventually(lambda: server.counts.errors == len(garbage))
    assert server.problem.startswith("OSC from 127.0.0.1: ") and "\n" not in server.problem
    client.set("bpm", 90)
    assert client.get("bpm", timeout_seconds=PATIENCE_SECONDS) == 90.0
    assert capfd.readouterr() == ("", "")
    plain.settimeout(0.05)
    with pytest.raises(TimeoutError):  # who does not speak OSC gets no answer
        plain.recv(1000)


def test_errors_are_not_answered_with_errors(server, client, plain):
    plain.sendto(write_message("/error", "no"), ("127.0.0.1", server.port))
    eventually(lambda: server.counts.errors == 1)
    client.get("bpm", timeout_seconds=PATIENCE_SECONDS)
    plain.settimeout(0.05)
    with pytest.raises(TimeoutError):
        plain.recv(1000)


def test_a_flood_is_dropped_and_others_are_heard(board):
    with OscServer(board, port=0, most_per_second=50) as server, OscClient(port=server.port) as calm:
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as wild:
            packet = write_message("/volume", 0.5)
            began = time.monotonic()
            while server.counts.dropped < 200:
                wild.sendto(packet, ("127.0.0.1", server.port))
                assert time.monotonic() - began < PATIENCE_SECONDS
            seconds = time.monotonic() - began
        assert server.counts.messages <= 50 * (int(seconds) + 2)
        assert "more than 50 OSC messages a second" in server.problem
        for _ in range(20):  # what had queued up in the socket may have swallowed some
            calm.set("bpm", 90)
            with contextlib.suppress(TimeoutError):
                if calm.get("bpm", timeout_seconds=0.5) == 90.0:
                    break
        assert board.settings.values["bpm"] == 90.0


def test_the_messages_of_a_bundle_count_one_by_one(board, plain):
    inside = write_message("/tap")
    packet = b"#bundle\0" + bytes(8) + (struct.pack(">i", len(inside)) + inside) * 60
    with OscServer(board, port=0, most_per_second=50) as server:
        for _ in range(3):
            plain.sendto(packet, ("127.0.0.1", server.port))
        eventually(lambda: sum(server.counts) >= 62)
        # All of the first; the others too only if a second went by between them.
        assert server.counts.messages in (60, 120, 180) and server.counts.messages + 60 * server.counts.dropped == 180


def test_a_status_that_fails_is_a_problem_and_no_more(board):
    def broken():
        raise RuntimeError("no\nmetrics")

    with OscServer(board, port=0, status=broken) as server, OscClient(port=server.port) as client:
        client.subscribe(lambda *message: None, timeout_seconds=PATIENCE_SECONDS)
        eventually(lambda: server.problem == "OSC RuntimeError: no metrics")
        client.set("bpm", 90)
        assert client.get("bpm", timeout_seconds=PATIENCE_SECONDS) == 90.0


def test_many_changes_while_the_server_sleeps(board, server, monkeypatch):
    """Not more than a thousand wait, and the newest of each knob is among them."""
    monkeypatch.setattr(server, "_wake", lambda: None)
    for step in range(3000):
        server._take_change(osc.Change(step, "bpm" if step % 2 else "volume", float(step), ""))
        assert len(server._waiting) <= osc.MOST_WAITING
    with server._waiting_lock:
        newest = {change.name: change.value for change in server._waiting}
    assert newest in ({"bpm": 2999.0, "volume": 2998.0}, {}), "or they have been sent by now"


def test_ports_and_hosts(board, server):
    assert 0 < server.port < 65_536 and server.host == "127.0.0.1"
    with pytest.raises(OSError, match=f"port {server.port} .*give another port"):
        OscServer(board, port=server.port)
    with pytest.raises(OSError, match="OSC cannot listen at 192.0.2.1"):
        OscServer(board, host="192.0.2.1", port=0)
    with pytest.raises(ValueError, match="OSC port 70000"):
        OscServer(board, port=70_000)


def test_closing_ends_everything(board):
    server = OscServer(board, port=0)
    server.close()
    server.close()
    assert not server._thread.is_alive() and not board._listeners
    board.set("bpm", 90)
    with OscServer(board, port=server.port):  # the port is free again
        pass


def test_a_client_without_a_server(plain):
    with OscClient(port=plain.getsockname()[1]) as client:  # someone listens there and says nothing
        client.set("bpm", 90)
        with pytest.raises(TimeoutError, match="no OSC server answered at 127.0.0.1.*is the session running"):
            client.get("bpm", timeout_seconds=0.02)
        with pytest.raises(TimeoutError):
            client.subscribe(print, timeout_seconds=0.02)
        client.unsubscribe()


def test_a_client_collects_errors(server, client):
    client.set("bpm", 1000)
    client.act("bpm")
    with pytest.raises(ValueError, match="/get: there is no knob 'bmp'; did you mean bpm?"):
        client.get("bmp", timeout_seconds=PATIENCE_SECONDS)
    errors = client.errors()
    assert [error.split(";")[0] for error in errors] == ["/bpm: bpm is 1000", "/bpm: bpm came with 0 values"]
    assert client.errors() == []
