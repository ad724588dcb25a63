"""Two replicas under a real Ray Serve on loopback: performers are spread, come back, and outlive a replica that dies."""

import base64
import functools
import os
import signal
import socket
from types import SimpleNamespace

import httpx
import psutil
import pytest

from magenta_rt_py.serve import bare_server, replicas

MOST = 4
ASK_SECONDS = 30.0
pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def port():
    """Of the one address."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.fixture(scope="module", autouse=True)
def house(port):
    """Two replicas with room for four each, as long as the file's tests run."""
    opened = functools.partial(bare_server.open_stand_in, cost_seconds=0.002, most_sessions=MOST, grace_seconds=60.0)
    hosts = ("127.0.0.1", "localhost")
    with replicas.running(replicas.ReplicasConfig(open_server=opened, count=2, port=port, hosts=hosts)):
        yield


@pytest.fixture
def ask(port):
    """ask(place=None) -> what the one address says to somebody new, or to who was at that place."""

    def asked(place=None):
        headers = {} if place is None else {"Authorization": f"Bearer {place['token']}", "X-Session-Id": place["replica"]}
        answer = httpx.post(f"http://127.0.0.1:{port}/live/place", headers=headers, timeout=ASK_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return asked


@pytest.fixture
def play(ask, listen):
    """play(place=None, **options) -> a listener at a new place, or at the one given; `place` is where it is."""

    def playing(place=None, **options):
        place = place or ask()
        listener = listen(SimpleNamespace(socket=place["socket"]), token=place["token"], lead=3.0, **options)
        listener.place = place
        return listener

    return playing


def test_performers_are_spread_and_hear_music_from_both(play, ask):
    playing = [play() for _ in range(6)]
    for listener in playing:
        listener.wait_for_sound(0.5)
        assert listener.is_whole()
    names = [listener.place["replica"] for listener in playing]
    assert len(set(names)) == 2 and all(names.count(name) == 3 for name in names)
    assert len({listener.place["socket"] for listener in playing}) == 2


def test_who_comes_back_finds_the_seat(play, ask, until):
    listener = play()
    listener.wait_for_sound(0.5)
    listener.drop()
    others: set[str] = set()  # where it would be sent to by room changes meanwhile, as the seats of tests before get free
    until(lambda: others.add(ask()["replica"]) or len(others) == 2, what="a place at either replica")
    place = ask(listener.place)
    assert place["is_kept"] and {name: place[name] for name in ("replica", "socket", "token")} == {
        name: listener.place[name] for name in ("replica", "socket", "token")
    }
    assert others > {place["replica"]}
    end = listener.packets[-1].position + listener.packets[-1].samples
    again = play(place, resume={"opening": listener.opening, "position": end})
    assert again.wait("resumed")["position"] == end
    again.wait_for_sound(0.2)
    assert again.packets[0].position == end


def test_who_left_gets_a_new_seat(play, ask):
    listener = play()
    listener.wait_for_sound(0.1)
    listener.leave()
    place = ask(listener.place)
    assert not place["is_kept"] and place["token"] != listener.token


def test_a_page_is_sent_to_its_replica(port):
    answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=ASK_SECONDS)
    assert answer.status_code == 307 and answer.headers["location"] != f"http://127.0.0.1:{port}/"
    health = httpx.get(f"{answer.headers['location']}live/health", timeout=ASK_SECONDS).json()
    assert health["most"] == MOST


def test_a_replica_is_served_like_a_server_alone(port):
    page = httpx.get(f"http://127.0.0.1:{port}/", timeout=ASK_SECONDS).headers["location"]
    assert psutil.Process(process_at(page)).nice() == psutil.Process().nice()


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("POST", "/live/place", {"Authorization": "Bearer x.y"}, 401),
        ("POST", "/live/place", {"Host": "rebound.example"}, 421),
        ("GET", "/", {"Host": "rebound.example"}, 421),
        ("GET", "/live/place", {}, 404),
        ("POST", "/", {}, 404),
    ],
)
def test_what_is_refused(port, method, path, headers, code):
    answer = httpx.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, timeout=ASK_SECONDS)
    assert answer.status_code == code and answer.json()["detail"]


def test_a_replica_that_dies_takes_nobody_along_and_comes_back(play, ask, until):
    first = play()
    second = next(listener for listener in (play() for _ in range(4)) if listener.place["replica"] != first.place["replica"])
    for listener in (first, second):
        listener.wait_for_sound(0.5)
    page = first.place["page"]
    os.kill(process_at(page), signal.SIGKILL)
    until(lambda: first.close_code is not None, what="the end of its socket")
    moved = ask(first.place)
    assert moved["replica"] == second.place["replica"] and not moved["is_kept"]
    elsewhere = play(moved)
    elsewhere.wait_for_sound(0.5)
    until(lambda: is_up(page), what="another replica at the address of the dead one")
    until(lambda: ask()["page"] == page, what="a place at the new replica")
    assert elsewhere.is_whole()
    assert second.is_whole() and second.starved == 0 and len(second.told("welcome")) == 1


def process_at(page):
    """Who listens at an address."""
    port = int(page.rstrip("/").rpartition(":")[2])
    found = psutil.net_connections("tcp")
    (process,) = {each.pid for each in found if each.status == psutil.CONN_LISTEN and each.laddr.port == port}
    return process


def is_up(page):
    try:
        return httpx.get(f"{page}live/health", timeout=ASK_SECONDS).status_code == 200
    except httpx.TransportError:
        return False


def test_a_program_gives_name_and_password_where_people_do():
    users = (("ann", "secret"), ("bob", "a:b"))

    def told(text, kind="Basic"):
        return replicas._user_of(f"{kind} {base64.b64encode(text.encode()).decode()}", users)

    assert told("ann:secret") == "ann" and told("bob:a:b", "basic") == "bob"
    strangers = [told("ann:wrong"), told("ann"), told(""), told("ann:secret", "Bearer"), replicas._user_of("Basic %", users)]
    assert strangers == [None] * 5
    assert replicas._user_of("", ()) == ""


def test_there_must_be_a_replica():
    with pytest.raises(ValueError, match="0 replicas"):
        replicas.ReplicasConfig(open_server=None, count=0)
