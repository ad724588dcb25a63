"""Launch replicas: the live-mix page from several processes or machines, under Ray Serve, until somebody ends it.

    LaunchConfig -> serve.replicas -> in each replica a live_server.LiveServer, with a model and a device of its own

Stateful shell.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from magenta_rt_py.io.priority import raise_priority
from magenta_rt_py.serve import replicas, spent_memory
from magenta_rt_py.serve.replicas import ReplicasConfig
from magenta_rt_py.serve.tokens import Tokens
from magenta_rt_py.ui import addresses, launch, live_server
from magenta_rt_py.ui.launch_config import LaunchConfig
from magenta_rt_py.ui.live_server import LiveServer, MakeFactory

__all__ = ["open_live_server", "serve_replicas"]

EVERYWHERE = ("0.0.0.0", "::")


def serve_replicas(
    config: LaunchConfig,
    *,
    count: int,
    cluster: str | None = None,
    make_factory: MakeFactory | None = None,
    say: Callable[[str], None] = lambda line: None,
    tell: Callable[[str], None] = print,
) -> None:
    """Starts the replicas, says where the one address is and opens it, until Ctrl-C or a polite kill.

    Args:
      config: of each replica; host and port are those of the one address.
      count: replicas.
      cluster: address of a Ray cluster, or "auto"; None starts one on this machine.
      make_factory: from a bundle to seats, in the replica's process; None is `launch.load_factory`.
      say: told how far it is.
      tell: told lines for people, the address first.
    Raises:
      ValueError: no replica, a public link or a proxy's prefix, or the port is taken.
      MrtError: the replicas do not start.
    """
    if config.is_shared or config.root_path:
        raise ValueError("--share and --root-path lead to one server; give them up, or --replicas")
    with addresses.listen(config.host, config.port) as found:
        port = int(found.getsockname()[1])
    certificate = live_server.certificate_of(config)
    load = make_factory or functools.partial(launch.load_factory, most=config.max_sessions)
    say(f"starting {count} replicas, each loads the model")
    with (
        launch.until_interrupted() as ended,
        replicas.running(
            ReplicasConfig(
                open_server=functools.partial(open_live_server, config=config, make_factory=load),
                count=count,
                host=config.host,
                port=port,
                certificate=None if certificate is None else (certificate.certificate, certificate.key),
                users=config.users,
                hosts=live_server.hosts_of(config),
                cluster=cluster,
            )
        ),
    ):
        url = addresses.url(config.host, port, is_secure=config.is_secure)
        tell(f"The live-mix page, from {count} replicas: {url}")
        fingerprint = certificate.fingerprint if certificate is not None and config.is_self_signed else None
        for line in launch.for_others(config, port, fingerprint):
            tell(line)
        if config.opens_browser:
            launch.open_browser(url)
        while not ended.wait(0.2):
            pass
        tell("ending ...")


def open_live_server(port: int, tokens: Tokens, *, config: LaunchConfig, make_factory: MakeFactory) -> LiveServer:
    """A replica's own server, which serves; for `replicas.OpenServer`.

    Args:
      port: where it should listen; any other if it is taken.
      tokens: what its page's tokens are minted by.
      config: of `serve_replicas`; of a host that means every address, a replica takes its machine's address in its network.
      make_factory: from a bundle to seats.
    """
    raise_priority()
    spent_memory.keep_few_pools()
    host = (addresses.network_address() or "127.0.0.1") if config.host in EVERYWHERE else config.host
    own = dataclasses.replace(config, host=host, port=_free_port(host, port), opens_browser=False)
    server = LiveServer(own, make_factory=make_factory, tokens=tokens)
    server.start()
    spent_memory.freeze()
    return server


def _free_port(host: str, port: int) -> int:
    """The port, or 0 if somebody has it."""
    try:
        addresses.listen(host, port).close()
    except ValueError:
        return 0
    return port
