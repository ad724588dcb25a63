"""The socket: from hello to sound and back, for one and for several; what breaks comes back where it was."""

import time

import httpx
import numpy as np
import pytest

from magenta_rt_py.live.knobs import KNOBS
from magenta_rt_py.serve import wire
from magenta_rt_py.serve.socket import SocketConfig

FRAME_SAMPLES = 1920


@pytest.fixture(scope="module", autouse=True)
def _unchecked(unchecked):
    """For all of these."""


def frames_of(packets):
    """The stand-in's frame numbers, modulo 8, of what was sent: each frame begins with a click of its own height."""
    whole = np.concatenate([wire.samples_of(packet)[:, 0] for packet in packets])
    at = np.flatnonzero(whole > 0.09)
    return at, np.rint((whole[at] - 0.1) / 0.05).astype(int)


def test_welcome_says_all_that_a_client_needs(server, listen):
    welcome = listen(server).wait("welcome")
    assert (welcome["sample_rate"], welcome["frame_samples"]) == (48_000, 1920)
    assert (welcome["opening"], welcome["position"]) == (0, 0)
    assert [knob["name"] for knob in welcome["knobs"]] == list(KNOBS)
    assert welcome["values"]["temperature"] == 1.1
    assert welcome["bundle"] == "stand-in"
    assert welcome["limits"]["upload_seconds"] == 60.0
    assert "techno" in welcome["suggestions"]


def test_sound_comes_whole_and_in_order(server, listen):
    listener = listen(server, lead=3.0, speed=0.5)  # what a busy machine keeps up with
    listener.wait_for_sound(3.0)
    assert listener.is_whole()
    assert listener.starved == 0
    at, numbers = frames_of(listener.packets[5:])  # the first frames are faded in
    assert len(at) > 50
    assert (np.diff(at) == FRAME_SAMPLES).all()
    assert (np.diff(numbers) % 8 == 1).all()


def test_without_reports_only_the_lead_is_made(server, listen):
    listener = listen(server, plays=False, lead=0.5)
    listener.wait_for_sound(0.45)
    time.sleep(0.5)
    assert sum(packet.samples for packet in listener.packets) <= 24_000


def test_a_knob_is_acknowledged_and_heard(server, listen, until):
    listener = listen(server, lead=0.5)
    listener.wait("welcome")
    changed = listener.wait("changed", id=listener.set(temperature=1.5, top_k=40))
    assert changed["values"] == {"temperature": 1.5, "top_k": 40}
    assert changed["source"] == "page"
    until(lambda: listener.packets and listener.packets[-1].controls >= changed["sequence"], what="sound with the new knobs")


def test_what_is_not_allowed_changes_nothing(server, listen):
    listener = listen(server)
    listener.wait("welcome")
    for number, values in enumerate(({"temperature": 99}, {"temperature": 1.0, "no/knob": 1}, {"top_k": 1.5}, {"panic": 1})):
        listener.say(type="set", id=1000 + number, values=values)
        assert listener.wait("refused", id=1000 + number)["reason"]
    listener.say(type="act", id=2000, name="quit", value=None)
    listener.say(type="act", id=2001, name="record", value="/elsewhere/file.flac")
    listener.say(type="hello", token=listener.token, resume=None, lead=1.0)
    listener.wait("refused", id=2000), listener.wait("refused", id=2001)
    assert listener.wait("refused", id=None)["reason"].startswith("hello was said before")
    assert listener.wait("changed", id=listener.set(guidance=2.0))
    assert not [message for message in listener.told("changed") if "temperature" in message["values"]]
    assert listener.close_code is None


def test_actions_lead_and_ping(server, listen, until):
    listener = listen(server)
    listener.wait_for_sound(0.3)
    listener.say(type="act", id=1, name="snapshot/save", value=1)
    assert "snapshot 1 saved" in listener.wait("said", text="snapshot 1 saved")["text"]
    listener.say(type="lead", seconds=0.3)
    listener.say(type="ping", at=12.5)
    listener.wait("pong", at=12.5)
    until(lambda: (told := listener.told("status")) and told[-1]["lead_seconds"] == pytest.approx(0.3))
    status = listener.told("status")[-1]
    assert status["position"] > 0
    assert status["prompts"] == []
    assert status["card_name"] == "page"


def test_a_dropped_socket_goes_on_with_the_very_sample(server, listen):
    first = listen(server)
    first.wait_for_sound(1.5)
    first.drop()
    packets, resume = list(first.packets), {"opening": first.opening, "position": first.received}
    for _ in range(3):
        listener = listen(server, token=first.token, resume=resume)
        assert listener.wait("welcome")["position"] == resume["position"]
        assert listener.wait("resumed", **resume)
        listener.wait_for_sound(0.7)
        listener.drop()
        packets += listener.packets
        resume = {"opening": 0, "position": listener.received}
    positions = [packet.position for packet in packets]
    ends = [packet.position + packet.samples for packet in packets]
    assert positions == [0, *ends[:-1]]
    assert not listener.told("reopened")
    at, numbers = frames_of(packets[5:])
    assert (np.diff(at) == FRAME_SAMPLES).all()
    assert (np.diff(numbers) % 8 == 1).all()


@pytest.mark.parametrize("resume", [{"opening": 7, "position": 0}, {"opening": 0, "position": 2**40}, None])
def test_a_place_that_is_none_begins_a_new_opening(server, listen, until, resume):
    first = listen(server)
    card = until(lambda: server.hall.find(server.tokens.check(first.token))).card
    until(lambda: card.position > 0, what="a report")
    first.drop()
    second = listen(server, token=first.token, resume=resume)
    welcome = second.wait("welcome")
    assert (welcome["opening"], welcome["position"]) == (1, 0)
    assert second.wait("reopened", opening=1)
    second.wait_for_sound(0.5)
    assert {packet.opening for packet in second.packets} == {1}
    assert second.is_whole()


def test_sound_on_its_way_is_bounded(server, listen, until):
    """A client that resumes far back and reports nothing gets lead + 1 s, not a minute."""
    first = listen(server)
    first.wait_for_sound(4.5)
    first.drop()
    second = listen(server, token=first.token, resume={"opening": 0, "position": 0}, plays=False, lead=0.5)
    second.wait("resumed")
    until(lambda: sum(packet.samples for packet in second.packets) >= 72_000)
    time.sleep(0.3)
    assert sum(packet.samples for packet in second.packets) == 72_000
    for position, seconds in ((48_000, 2.5), (2**50, 4.0)):  # the last is more than it was sent
        second.say(type="report", opening=0, position=position, queued=0, is_playing=True)
        until(lambda seconds=seconds: sum(packet.samples for packet in second.packets) >= seconds * 48_000)
        time.sleep(0.3)
        assert sum(packet.samples for packet in second.packets) == seconds * 48_000
    assert second.is_whole()


def test_the_newest_connection_takes_the_seat_over(server, listen, until):
    first = listen(server)
    first.wait("welcome")
    second = listen(server, token=first.token)
    second.wait("welcome")
    assert "another place" in first.wait("ended")["reason"]
    until(lambda: first.close_code == 4409)
    second.wait_for_sound(0.5)
    assert second.is_whole()


def test_the_line_moves_on_when_somebody_leaves(start, listen, until):
    server = start(hall={"most_sessions": 1})
    first = listen(server)
    first.wait("welcome")
    second, third = listen(server), None
    second.wait("waiting", place=1, waiting=1)
    second.set(temperature=1.0)
    assert "no seat yet" in second.wait("refused")["reason"]
    third = listen(server)
    third.wait("waiting", place=2, waiting=2)
    began = time.monotonic()
    first.connection.close()  # a closed tab
    second.wait("welcome")
    assert time.monotonic() - began < 5.0
    third.wait("waiting", place=1, waiting=1)
    second.wait_for_sound(0.3)
    second.leave()
    third.wait("welcome")


def test_a_lost_socket_keeps_its_seat_for_a_while(start, listen, until):
    server = start(hall={"most_sessions": 1, "grace_seconds": 1.0})
    first = listen(server)
    first.wait("welcome")
    first.drop()
    second = listen(server)
    second.wait("waiting")
    assert not second.told("welcome")
    second.wait("welcome")


def test_too_many_and_too_idle_end_with_their_codes(start, listen, until):
    server = start(hall={"most_sessions": 1, "most_waiting": 1, "idle_seconds": 1.0})
    first = listen(server, plays=False)
    second = listen(server)
    second.wait("waiting")
    third = listen(server)
    until(lambda: third.close_code == 4429)
    until(lambda: first.close_code == 4408)
    assert "nothing was played" in first.wait("ended")["reason"]
    second.wait("welcome")


def test_leave_is_answered_and_ends_at_once(server, listen, until):
    listener = listen(server)
    listener.wait("welcome")
    claim = server.tokens.check(listener.token)
    assert server.hall.find(claim) is not None
    listener.say(type="leave")
    until(lambda: listener.close_code == 1000)
    assert server.hall.find(claim) is None


def test_who_says_no_hello_is_closed(start, listen, until):
    from websockets.sync.client import connect

    server = start(socket=SocketConfig(hello_seconds=0.3))
    headers = {"X-Live-Client": "1"}
    with connect(server.socket, subprotocols=["mrt-live.1"], additional_headers=headers) as silent:
        until(lambda: silent.close_code == 4408 or not silent.recv_bufsize)
    for first, code in (('{"type":"play"}', 4400), ("no json", 4400), (b"\x00" * 100, 4400), ('{"type":"hello"}', 4400)):
        with connect(server.socket, subprotocols=["mrt-live.1"], additional_headers=headers) as client:
            client.send(first)
            with pytest.raises(Exception, match=str(code)):
                client.recv(timeout=10.0)


def test_the_subprotocol_must_be_asked_for(server):
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    headers = {"X-Live-Client": "1"}
    for names in (None, ["mrt-live.2"]):
        with connect(server.socket, subprotocols=names, additional_headers=headers) as client:
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=60.0)
            assert (client.close_code, client.close_reason) == (4400, "the subprotocol is missing; ask for mrt-live.1")


def test_there_is_an_end_to_open_sockets(start, listen, until):
    server = start(most_sockets=2)
    first, second = listen(server), listen(server)
    first.wait("welcome"), second.wait("welcome")
    third = listen(server)
    until(lambda: third.close_code == 4429)
    assert httpx.get(f"{server.address}/live/health", timeout=60.0).status_code == 200
    first.leave()

    def has_room() -> bool:
        fourth = listen(server)
        until(lambda: fourth.told("welcome") or fourth.close_code)
        return bool(fourth.told("welcome"))

    until(has_room)


def test_the_microphone_reaches_the_card(server, listen, until):
    listener = listen(server)
    listener.wait_for_sound(1.0)
    card = server.hall.find(server.tokens.check(listener.token)).card
    heard = []
    inner = card.hear
    card.hear = lambda packet: (heard.append(packet), inner(packet))
    payload = wire.payload_of(np.full((1920, 1), 0.25, np.float32))
    packet = wire.Packet(wire.MICROPHONE, 0, 1, 0, 0, 1920, 0, 9600, payload)
    listener.send(wire.pack(packet))
    until(lambda: heard)
    assert heard == [packet]
    assert listener.close_code is None


def test_the_end_of_the_server_is_said(start, listen, until):
    server = start()
    listener = listen(server)
    listener.wait("welcome")
    server.hall.close()
    assert "come back in a moment" in listener.wait("ended")["reason"]
    until(lambda: listener.close_code == 1012)
