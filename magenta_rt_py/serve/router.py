"""Router: which replica a performer is sent to: the one that is asked for, else the one with the most room.

    header X-Session-Id: b     -> replica b, while it is there (Ray Serve hands this header to its routers)
    anything else              -> least share of seats taken, those on their way counted

Ray Serve runs it in its proxy, keeps the replicas' numbers fresh, and leaves dead ones out. Stateful only in who was sent
where in the last seconds: a page takes that long to load and sit down, and until then no replica counts it.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

__all__ = ["MostRoom", "share_taken"]

COMING_SECONDS = 10.0
"""Who was sent to a replica counts as taking a seat there for so long, whether it has sat down or not."""
ANSWER_SECONDS = 3.0
"""A replica may take so long to say that it is there; Ray's 0.1 s would send people past one that is only busy."""


class MostRoom(RequestRouter):
    """A `ray.serve.request_router.RequestRouter`; replicas' `record_routing_stats` are `most`, `seated` and `waiting`."""

    queue_len_response_deadline_s = ANSWER_SECONDS

    def initialize_state(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]: no settings
        """See RequestRouter."""
        self._sent: deque[tuple[float, str]] = deque()

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """See RequestRouter: all of them, each a rank of its own."""
        now, named = time.monotonic(), ""
        while self._sent and now - self._sent[0][0] > COMING_SECONDS:
            self._sent.popleft()
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True  # where nobody answers, it is not asked without a pause
            named = pending_request.metadata.session_id
        coming = [name for _, name in self._sent]

        def rank(replica: RunningReplica) -> tuple[bool, float]:
            name = replica.replica_id.unique_id
            return name != named, share_taken(replica.routing_stats, coming.count(name))

        return [[replica] for replica in sorted(candidate_replicas, key=rank)]

    def on_request_routed(self, pending_request: PendingRequest, replica_id: ReplicaID, result: Any) -> None:
        """See RequestRouter."""
        self._sent.append((time.monotonic(), replica_id.unique_id))


def share_taken(stats: dict[str, int], coming: int) -> float:
    """Seats that are taken, of those there are; above 1 somebody would wait.

    Args:
      stats: what a replica says of itself; empty before it has said anything.
      coming: performers on their way to it.
    """
    return (stats.get("seated", 0) + stats.get("waiting", 0) + coming) / max(stats.get("most", 1), 1)
