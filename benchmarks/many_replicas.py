"""Plays for many clients at once from several replicas under Ray Serve, with the stand-in model, and prints JSON.

    python benchmarks/many_replicas.py [--replicas 2] [--minutes 5] [--clients 24] [--cost 0.002] [--lead 1.5] [--out FILE]

The replicas run on this machine (or, with --cluster, where a Ray cluster puts them). The clients are those of
benchmarks/many_listeners.py: they ask the one address where to play, play by the wall clock, turn knobs, leave and come
back; one drops its connection again and again. Reported beside what that program reports:

by_address   performances at each replica
moved        times that a client came back within the time its seat is kept, and had lost it; more than 0 is a fault
place        seconds until the one address has said where to go, asked once a second while all play

The model costs time and no computing: the figures are those of sessions, sockets and encoding, and of where they are.
They are the machine's and its load's; run it with nothing else going on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import many_listeners

from magenta_rt_py.speed.timing import quantiles

ASK_SECONDS = 1.0


def main(argv: list[str] | None = None) -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--replicas", type=int, default=2, help="default 2")
    parser.add_argument("--cluster", help="address of a Ray cluster, or auto (default: this machine)")
    parser.add_argument("--minutes", type=float, default=5.0, help="default 5")
    many_listeners.add_options(parser)
    arguments = parser.parse_args(argv)
    if not (arguments.minutes > 0.0 and arguments.clients >= 1 and arguments.replicas >= 1 and arguments.cost >= 0.0):
        parser.error("give more than 0 minutes, 1 client and 1 replica or more, and a cost of 0 or more")
    return many_listeners.tell(measure(arguments), arguments.out)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Starts the replicas, lets the clients' process play, and asks for places meanwhile."""
    from magenta_rt_py.serve import bare_server, replicas

    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    opened = functools.partial(bare_server.open_stand_in, cost_seconds=arguments.cost)
    config = replicas.ReplicasConfig(open_server=opened, count=arguments.replicas, port=port, cluster=arguments.cluster)
    began = time.monotonic()
    with replicas.running(config):
        started, door = time.monotonic() - began, f"http://127.0.0.1:{port}/"
        given = {"clients": arguments.clients, "seconds": 60.0 * arguments.minutes, "lead": arguments.lead}
        given |= {"seed": arguments.seed, "door": door}
        command = [sys.executable, os.fspath(Path(many_listeners.__file__).resolve()), "--as-clients", json.dumps(given)]
        clients = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            asked = asyncio.run(ask_while(clients, door))
            told = json.loads(clients.communicate()[0])
        finally:
            clients.kill()
    is_good = not (told["gaps"] or told["starved"] or told["moved"] or told["unexpected"])
    return {
        "command": " ".join(sys.argv),
        "machine": many_listeners.machine(),
        "minutes": arguments.minutes,
        "is_good": is_good and len(told["by_address"]) == arguments.replicas,
        "replicas": arguments.replicas,
        "clients": arguments.clients,
        "start_seconds": round(started, 1),
        "place_seconds": quantiles(asked) if asked else None,
        **told,
    }


async def ask_while(clients: subprocess.Popen, door: str) -> list[float]:
    """Seconds of each answer of the one address, until the clients have ended. Nobody comes to these places."""
    asked = []
    while clients.poll() is None:
        began = time.monotonic()
        await many_listeners.ask_door(door, None)
        asked.append(time.monotonic() - began)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(clients.wait, ASK_SECONDS)
    return asked


if __name__ == "__main__":
    sys.exit(main())
