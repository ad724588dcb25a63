"""Replicas: several live servers under Ray Serve, each with a device of its own, and one address that says where to go.

    performer --- GET /, POST live/place ---> Ray Serve's proxy -- router.MostRoom --> replica b     no sound goes this way
    performer <== page, socket, sound, recordings ==================================> replica b     at its own address

Ray Serve starts the replicas, spreads them over machines, looks after them, and starts one again that died; here is what
it runs in each, and how an answer looks. Replicas share a secret and nothing else: a token is good at all of them, its seat
is at the one that minted it. docs/many-machines.md says why the sound does not go through the proxy.

Stateful shell.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hmac
import logging
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ray import serve
from ray.exceptions import RayError
from ray.serve.config import HTTPOptions, RequestRouterConfig
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from magenta_rt_py import cluster
from magenta_rt_py.errors import MrtError
from magenta_rt_py.serve import origins
from magenta_rt_py.serve.hall import Hall
from magenta_rt_py.serve.router import MostRoom
from magenta_rt_py.serve.tokens import Tokens

__all__ = ["OpenServer", "Replica", "ReplicaServer", "ReplicasConfig", "running"]

APPLICATION = "live"
STATS_SECONDS = 0.5
"""Replicas say so often how full they are."""
HEALTH_SECONDS = 2.0
"""So often it is asked whether one is still there."""
STARTS = 3
"""A replica that does not come up is tried so often before it is given up."""
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class ReplicaServer(Protocol):
    """A live server that serves: `ui.live_server.LiveServer`, or a smaller one."""

    hall: Hall
    tokens: Tokens

    @property
    def url(self) -> str:
        """Where performers find it, with a slash at its end."""
        ...

    @property
    def is_serving(self) -> bool:
        """Whether it answers."""
        ...

    def close(self) -> None:
        """Ends all performances."""
        ...


OpenServer = Callable[[int, Tokens], ReplicaServer]
"""Loads, and serves; called in the replica's process, to which it travels. Takes the port on which it should listen, so that
a replica that died comes back under its address (any other if it is taken), and what mints and checks its tokens."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplicasConfig:
    """What runs where. Ours."""

    open_server: OpenServer
    """What each replica runs."""
    count: int
    """Replicas."""
    host: str = "127.0.0.1"
    """Of the one address; this one is for the machine itself alone."""
    port: int = 8000
    """Of the one address; the replicas' follow it."""
    certificate: tuple[Path, Path] | None = None
    """https for the one address: certificate and key, PEM."""
    users: tuple[tuple[str, str], ...] = ()
    """Names and passwords that a program is asked for; the pages ask by themselves."""
    hosts: tuple[str, ...] = ()
    """Names that the one address is known by, as `app.ServeConfig.hosts`; empty: any."""
    cluster: str | None = None
    """Address of a Ray cluster, or "auto"; None starts one on this machine."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.count} replicas; give 1 or more")


class Replica:
    """What Ray Serve runs in each process; `__call__` is asked through its proxy."""

    def __init__(self, config: ReplicasConfig, secret: bytes) -> None:
        """Loads, and serves at an address of its own; Ray Serve sends nobody here before.

        Args:
          config: what runs where.
          secret: of all replicas' tokens.
        """
        context = serve.get_replica_context()
        self._config, self._name = config, context.replica_id.unique_id
        port = config.port + 1 + context.rank.rank
        self._server = config.open_server(port, Tokens(secret))

    def check_health(self) -> None:
        """Asked by Ray Serve; one that raises is ended, and another one started.

        Raises:
          RuntimeError: it answers nobody any more.
        """
        if not self._server.is_serving:
            raise RuntimeError("the live server of this replica has ended")

    def record_routing_stats(self) -> dict[str, int]:
        """Asked by Ray Serve, for `router.MostRoom`."""
        hall = self._server.hall
        # Counted first: whoever comes in between is on the way for a moment longer, and never missed.
        came, health = hall.came, hall.health()
        return {"most": health.most, "seated": health.sessions, "waiting": health.waiting, "came": came}

    async def __call__(self, request: Request) -> Response:
        """The one address's two routes: a page is sent on, a program is told."""
        if not origins.is_known_host(request.headers.get("host"), self._config.hosts):
            return JSONResponse({"detail": "this server is not known by that name"}, 421)
        match request.method, request.url.path:
            case "GET" | "HEAD", "/":
                return RedirectResponse(self._server.url, 307, headers=PRIVATE)
            case "POST", "/live/place":
                return self._place(request)
        return JSONResponse({"detail": "there is nothing here; open / or post to live/place"}, 404)

    def _place(self, request: Request) -> Response:
        """A seat that is kept here, or a new place."""
        authorization, tokens = request.headers.get("authorization", ""), self._server.tokens
        kind, _, token = authorization.partition(" ")
        if kind.lower() == "bearer":
            try:
                claim = tokens.check(token.strip())
            except ValueError as error:
                return JSONResponse({"detail": str(error)}, 401, headers=PRIVATE)
            is_kept = self._server.hall.keeps(claim)
            token = token.strip() if is_kept else tokens.mint(claim.user)
        else:
            user = _user_of(authorization, self._config.users)
            if user is None:
                headers = {**PRIVATE, "WWW-Authenticate": 'Basic realm="live"'}
                return JSONResponse({"detail": "give a name and a password"}, 401, headers=headers)
            token, is_kept = tokens.mint(user), False
        page, health = self._server.url, self._server.hall.health()
        told = {"replica": self._name, "page": page, "socket": page.replace("http", "ws", 1) + "live/ws", "token": token}
        free = max(0, health.most - health.sessions - health.waiting)
        return JSONResponse({**told, "is_kept": is_kept, "free": free}, headers=PRIVATE)

    def __del__(self) -> None:
        if hasattr(self, "_server"):
            self._server.close()


def _user_of(authorization: str, users: tuple[tuple[str, str], ...]) -> str | None:
    """Who says so in a header "Authorization: Basic ..."; None for nobody we know, and empty where nobody has to."""
    if not users:
        return ""
    kind, _, given = authorization.partition(" ")
    try:
        name, _, password = base64.b64decode(given if kind.lower() == "basic" else "").decode().partition(":")
    except ValueError:
        return None
    known = [hmac.compare_digest(f"{name}:{password}".encode(), f"{user}:{word}".encode()) for user, word in users]
    return name if any(known) else None


@contextlib.contextmanager
def running(config: ReplicasConfig) -> Iterator[None]:
    """Within it, the replicas run; entered once all can be played with. At its end they are ended.

    Args:
      config: what runs where.
    Raises:
      MrtError: they do not start.
    """
    with cluster.joined("several replicas", address=config.cluster, cores=config.count + 1, niceness=0):
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        files = [None if file is None else str(file) for file in config.certificate or (None, None)]
        options = HTTPOptions(host=config.host, port=config.port, ssl_certfile=files[0], ssl_keyfile=files[1])
        try:
            serve.start(proxy_location="HeadOnly", http_options=options, logging_config=_logging())
            serve.run(_application(config), name=APPLICATION, logging_config=_logging())
        except (RayError, RayServeException, RuntimeError, TimeoutError) as error:
            raise MrtError(f"the replicas do not start: {_problem() or cluster.reason_of(error)}") from error
        try:
            yield
        finally:
            serve.delete(APPLICATION)


def _application(config: ReplicasConfig) -> Any:
    """The deployment, as Ray Serve takes it: a graphics card for each if there are so many, else a core."""
    import ray

    gpus = 1 if ray.cluster_resources().get("GPU", 0) >= config.count else 0
    # Ray sends the code of the module that is named here; named through this one, the router itself travels by its name.
    named = f"{__name__}.{MostRoom.__name__}"
    router = RequestRouterConfig(request_router_class=named, request_routing_stats_period_s=STATS_SECONDS)
    deployment = serve.deployment(
        Replica,
        name="Replica",
        num_replicas=config.count,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
        max_constructor_retry_count=STARTS,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=5.0,
        request_router_config=router,
    )
    return deployment.bind(config, secrets.token_bytes(32))


def _problem() -> str:
    """What Ray Serve says of replicas that did not come up, its last line; empty for nothing."""
    with contextlib.suppress(RayError, RayServeException):
        for application in serve.status().applications.values():
            for deployment in application.deployments.values():
                if deployment.message:
                    return cluster.reason_of(RuntimeError(deployment.message))
    return ""


def _logging() -> LoggingConfig:
    """Nothing about who comes and goes; warnings in Ray's own folder."""
    return LoggingConfig(log_level="WARNING", enable_access_log=False)
