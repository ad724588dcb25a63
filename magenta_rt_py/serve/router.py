"""Router: which replica a performer is sent to: the one that is asked for, else the one with the most room.

    header X-Session-Id: b     -> replica b, while it is there (Ray Serve hands this header to its routers)
    anything else              -> least share of seats taken, those on their way counted

Ray Serve runs it in its proxy, keeps the replicas' numbers fresh, and leaves dead ones out. Stateful only in who was sent
where in the last seconds: a page takes that long to load and sit down, and until then no replica counts it. Who has come is
counted by the replica alone.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

__all__ = ["MostRoom", "share_taken"]

COMING_SECONDS = 10.0
"""Who was sent to a replica counts as taking a seat there until it comes, but no longer than this."""
ANSWER_SECONDS = 3.0
"""A replica may take so long to say that it is there; Ray's 0.1 s would send people past one that is only busy."""


class _Sent(NamedTuple):
    """Somebody was sent to a replica."""

    seconds: float
    name: str
    """The replica's."""
    came: int
    """Who had come there before."""


class MostRoom(RequestRouter):
    """A `ray.serve.request_router.RequestRouter`; replicas say `most`, `seated`, `waiting` and `came` of themselves."""

    queue_len_response_deadline_s = ANSWER_SECONDS

    def initialize_state(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]: no settings
        """See RequestRouter."""
        self._sent: deque[_Sent] = deque()
        self._came: dict[str, int] = {}

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """See RequestRouter: all of them, each a rank of its own."""
        now, named = time.monotonic(), ""
        while self._sent and now - self._sent[0].seconds > COMING_SECONDS:
            self._sent.popleft()
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True  # where nobody answers, it is not asked without a pause
            named = pending_request.metadata.session_id
        self._came = {each.replica_id.unique_id: each.routing_stats.get("came", 0) for each in candidate_replicas}

        def rank(replica: RunningReplica) -> tuple[bool, float]:
            name = replica.replica_id.unique_id
            return name != named, share_taken(replica.routing_stats, self._coming(name))

        return [[replica] for replica in sorted(candidate_replicas, key=rank)]

    def on_request_routed(self, pending_request: PendingRequest, replica_id: ReplicaID, result: Any) -> None:
        """See RequestRouter."""
        name = replica_id.unique_id
        self._sent.append(_Sent(time.monotonic(), name, self._came.get(name, 0)))

    def _coming(self, name: str) -> int:
        """Who is on the way to a replica: sent there of late, less who has come since."""
        sent = [each for each in self._sent if each.name == name]
        return max(0, len(sent) - (self._came[name] - sent[0].came)) if sent else 0


def share_taken(stats: dict[str, int], coming: int) -> float:
    """Seats that are taken, of those there are; above 1 somebody would wait.

    Args:
      stats: what a replica says of itself; empty before it has said anything.
      coming: performers on their way to it.
    """
    return (stats.get("seated", 0) + stats.get("waiting", 0) + coming) / max(stats.get("most", 1), 1)
