"""Who is sent where: without Ray's processes, by the numbers that replicas say of themselves."""

import asyncio
from types import SimpleNamespace

import pytest
from ray.serve.request_router import RequestRouter

from magenta_rt_py.serve import router
from magenta_rt_py.serve.router import MostRoom, share_taken

pytestmark = pytest.mark.usefixtures("unchecked")  # replicas and requests are stand-ins for Ray's


@pytest.fixture
def now(monkeypatch):
    """A clock: now[0] is its seconds."""
    seconds = [100.0]
    monkeypatch.setattr(router, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    return seconds


@pytest.fixture
def chooser(now):
    """A router that was never told of Ray."""
    made = object.__new__(MostRoom)
    made.initialize_state()
    return made


def replica(name, **stats):
    return SimpleNamespace(replica_id=SimpleNamespace(unique_id=name), routing_stats=stats)


def choose(chooser, replicas, session_id=""):
    """Names, the first choice first; whoever it is goes there."""
    asked = SimpleNamespace(metadata=SimpleNamespace(session_id=session_id), routing_context=SimpleNamespace())
    ranks = asyncio.run(chooser.choose_replicas(replicas, asked))
    assert asked.routing_context.should_backoff and all(len(rank) == 1 for rank in ranks)
    chooser.on_request_routed(asked, ranks[0][0].replica_id, None)
    return [rank[0].replica_id.unique_id for rank in ranks]


def test_the_one_with_the_smaller_share_taken_comes_first(chooser):
    large, small = replica("large", most=8, seated=3, waiting=0), replica("small", most=2, seated=1, waiting=0)
    assert choose(chooser, [small, large]) == ["large", "small"]
    full = replica("full", most=8, seated=8, waiting=2)
    assert choose(chooser, [full, small, large])[-1] == "full"


def test_who_is_on_the_way_counts_for_some_seconds(chooser, now):
    pair = [replica("a", most=4, seated=0, waiting=0), replica("b", most=4, seated=0, waiting=0)]
    first = [choose(chooser, pair)[0] for _ in range(6)]
    assert first.count("a") == first.count("b") == 3
    pair[0].routing_stats["seated"] = 1
    now[0] += router.COMING_SECONDS + 0.1
    assert choose(chooser, pair)[0] == "b"


def test_who_has_come_is_counted_once(chooser):
    pair = [replica("a", most=4, seated=0, waiting=0, came=7), replica("b", most=4, seated=0, waiting=0, came=0)]
    assert [choose(chooser, pair)[0] for _ in range(2)] == ["a", "b"]
    pair[0].routing_stats |= {"seated": 1, "came": 8}  # who was sent to a sat down; who was sent to b is still on the way
    assert [choose(chooser, pair)[0] for _ in range(2)] == ["a", "b"]
    pair[0].routing_stats |= {"seated": 1, "came": 9}  # the second came, and the first has left
    assert choose(chooser, pair)[0] == "a"


def test_who_names_a_replica_goes_there_however_full_it_is(chooser):
    pair = [replica("a", most=4, seated=0, waiting=0), replica("b", most=4, seated=4, waiting=9)]
    assert choose(chooser, pair, "b") == ["b", "a"]


def test_who_names_one_that_is_gone_goes_where_there_is_room(chooser):
    pair = [replica("a", most=4, seated=2, waiting=0), replica("b", most=4, seated=1, waiting=0)]
    assert choose(chooser, pair, "gone")[0] == "b"


def test_one_that_is_only_busy_is_not_passed_over():
    assert RequestRouter.queue_len_response_deadline_s < router.ANSWER_SECONDS == MostRoom.queue_len_response_deadline_s


def test_who_has_said_nothing_yet_is_empty_and_small(chooser):
    pair = [replica("new"), replica("old", most=8, seated=1, waiting=0)]
    assert [choose(chooser, pair)[0] for _ in range(3)] == ["new", "old", "old"]
    assert share_taken({}, 0) == 0.0 and share_taken({"most": 0, "seated": 0, "waiting": 1}, 1) == 2.0
