"""Plays for many clients at once from one server with the stand-in model, for minutes, and prints JSON.

    python benchmarks/many_listeners.py [--minutes 10] [--clients 24] [--cost 0.002] [--lead 1.5] [--out FILE]

The clients have a process of their own and no browser. They play by the wall clock, turn knobs, leave and come back. One of
them drops its socket again and again and resumes, one floods, one stops reading. Reported:

admission   seats that were ever taken at once; more than `most` would be a fault
gaps        places where a client's sound did not go on with the very next sample
starved     times that a well-behaved client had nothing to play
memory      of the server's process, minute by minute, and its slope after the first fifth of the run
ended       close codes; only the flooding and the deaf are closed by the server

The model costs time and no computing, so the figures are those of sessions, sockets and encoding. The figures are the
machine's and its load's; run it with nothing else going on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import itertools
import json
import os
import platform
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import numpy as np

SAMPLES_A_SECOND = 48_000
BEGIN_SAMPLES = 19_200
"""A client begins to play when it has so much."""
REPORT_SECONDS = 0.1
SEAT_SECONDS = (30.0, 60.0)
"""A client leaves after so long, and comes back with a new token."""
TURN_SECONDS = 1.0
WATCH_SECONDS = 0.5
FOLLOWS = {"drop": 5.0, "flood": 15.0, "deaf": 15.0}
"""By kind of misbehaviour: seconds with a seat before it begins."""
FLOOD_MESSAGES = 5000


def main(argv: list[str] | None = None) -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0, help="default 10")
    add_options(parser)
    parser.add_argument("--as-clients", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if not (arguments.minutes > 0.0 and arguments.clients >= 1 and arguments.cost >= 0.0):
        parser.error("give more than 0 minutes, 1 client or more, and a cost of 0 or more")
    if arguments.as_clients:
        print(json.dumps(asyncio.run(play_all(json.loads(arguments.as_clients)))))
        return 0
    return tell(measure(arguments), arguments.out)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every program has whose clients these are."""
    parser.add_argument("--clients", type=int, default=24, help="default 24")
    parser.add_argument("--cost", type=float, default=0.002, help="seconds the model takes for a frame (default 0.002)")
    parser.add_argument("--lead", type=float, default=1.5, help="seconds a client asks for (default 1.5)")
    parser.add_argument("--seed", type=int, default=0, help="of what the clients do (default 0)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")


def tell(report: dict[str, Any], out: Path | None) -> int:
    """Prints the report, and writes it to `out`; the program's exit status."""
    text = json.dumps(report, indent=2, allow_nan=False)
    print(text)
    if out:
        out.write_text(text + "\n", encoding="utf-8")
    return 0 if report["is_good"] else 1


# The server's process.


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Serves, lets the clients' process play, and watches."""
    from magenta_rt_py.serve import spent_memory
    from magenta_rt_py.serve.app import ServeConfig, create_app
    from magenta_rt_py.serve.hall import Hall, HallConfig
    from magenta_rt_py.serve.stand_in import StandInFactory
    from magenta_rt_py.serve.tokens import Tokens

    spent_memory.keep_few_pools()  # as `mrtpy ui` does
    seconds = 60.0 * arguments.minutes
    tokens, hall = Tokens(), Hall(StandInFactory(cost_seconds=arguments.cost), HallConfig(grace_seconds=5.0))
    app = create_app(hall, ServeConfig(tokens=tokens))
    many = int(arguments.clients * (seconds / SEAT_SECONDS[0] + 10))
    given = {
        "clients": arguments.clients,
        "seconds": seconds,
        "lead": arguments.lead,
        "seed": arguments.seed,
        "tokens": [tokens.mint() for _ in range(many)],
    }
    with served(app) as address:
        began, cpu = time.monotonic(), time.process_time()
        command = [sys.executable, os.fspath(Path(__file__).resolve()), "--as-clients"]
        clients = subprocess.Popen([*command, json.dumps({**given, "address": address})], stdout=subprocess.PIPE, text=True)
        try:
            most_seated, most_waiting, memory = watch(hall, clients, began)
            answer = clients.communicate()[0]
        finally:
            clients.kill()
        spent = time.monotonic() - began
        cores = (time.process_time() - cpu) / spent
    if clients.returncode:
        raise RuntimeError(f"the clients' process ended with {clients.returncode}")
    told = json.loads(answer)
    slope = slope_of(memory)
    is_good = most_seated <= hall.most and not told["gaps"] and not told["starved"] and not told["unexpected"]
    return {
        "command": " ".join(sys.argv),
        "machine": machine(),
        "minutes": round(spent / 60.0, 2),
        "is_good": bool(is_good and (slope is None or slope < 1.0)),
        "clients": arguments.clients,
        "most": hall.most,
        "most_seated": most_seated,
        "most_waiting": most_waiting,
        "rtf": _rounded(hall.device.rtf),
        "server_cores": round(cores, 3),
        **told,
        "memory_megabytes": [round(each, 1) for _, each in memory[:: max(1, round(60.0 / WATCH_SECONDS))]],
        "memory_slope_megabytes_a_minute": _rounded(slope),
    }


@contextlib.contextmanager
def served(app: Any) -> Any:
    """The app's address, under uvicorn on a thread."""
    from magenta_rt_py.serve import spent_memory
    from magenta_rt_py.serve.web_server import WebServer

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = WebServer(app, listening)
        server.start()
        spent_memory.freeze()  # as the page's server does
        try:
            yield f"ws://127.0.0.1:{server.port}/live/ws"
        finally:
            server.stop()


def watch(hall: Any, clients: subprocess.Popen, began: float) -> tuple[int, int, list[tuple[float, float]]]:
    """Most seated, most waiting, and (seconds, megabytes) until the clients have ended."""
    import psutil

    process, seated, waiting = psutil.Process(), 0, 0
    memory: list[tuple[float, float]] = []
    while clients.poll() is None:
        health = hall.health()
        seated, waiting = max(seated, health.sessions), max(waiting, health.waiting)
        memory.append((time.monotonic() - began, process.memory_info().rss / 2**20))
        with contextlib.suppress(subprocess.TimeoutExpired):
            clients.wait(WATCH_SECONDS)
    gc.collect()
    return seated, waiting, memory


def slope_of(memory: list[tuple[float, float]]) -> float | None:
    """Megabytes a minute, by a straight line through all but the first fifth; None for too few points."""
    settled = np.array(memory[len(memory) // 5 :])
    if len(settled) < 10:
        return None
    return float(np.polyfit(settled[:, 0] / 60.0, settled[:, 1], 1)[0])


def machine() -> dict[str, Any]:
    """Where it ran."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.platform(), "python": platform.python_version(), "cores": cores, "load": os.getloadavg()[0]}


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 4)


# The clients' process.


async def play_all(given: dict[str, Any]) -> dict[str, Any]:
    """All clients, until the time is over; what they have seen, added up."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + given["seconds"]
    find = functools.partial(ask_door, given["door"]) if "door" in given else one_place(given["address"], given["tokens"])
    kinds = itertools.chain(FOLLOWS, itertools.repeat("good"))
    clients = [
        Client(find, ends, kind, given["lead"], random.Random(given["seed"] + number))
        for number, kind in zip(range(given["clients"]), kinds)
    ]
    await asyncio.gather(*(client.run() for client in clients))
    good = [client for client in clients if client.kind in ("good", "drop")]
    codes = [code for client in clients for code in client.codes]
    return {
        "gaps": sum(client.gaps for client in clients),
        "starved": sum(client.starved for client in good),
        "performances": sum(client.seats for client in clients),
        "hours_played": round(sum(client.received for client in clients) / SAMPLES_A_SECOND / 3600.0, 3),
        "ended": {str(code): codes.count(code) for code in sorted(set(codes))},
        "unexpected": [code for client in good for code in client.codes if code not in (1000, 1006)],
        "resumed": sum(client.resumed for client in clients),
        "reopened": sum(client.reopened for client in clients),
        "by_address": dict(sum((client.visits for client in clients), Counter())),
        "moved": sum(client.moved for client in clients),
        "least_queued_seconds": round(min(client.least_queued for client in good) / SAMPLES_A_SECOND, 3),
    }


class Place(NamedTuple):
    """Where to play."""

    address: str
    token: str
    replica: str = ""


Find = Callable[[Place | None], Awaitable[Place]]
"""A new place; the one that was had before, if it is given."""


def one_place(address: str, tokens: list[str]) -> Find:
    """All clients play at one server; it has minted their tokens."""
    new = iter(tokens)

    async def find(before: Place | None) -> Place:
        return before or Place(address, next(new))

    return find


async def ask_door(door: str, before: Place | None) -> Place:
    """The address that places performers at replicas says where to go."""
    headers = {} if before is None else {"Authorization": f"Bearer {before.token}", "X-Session-Id": before.replica}

    def ask() -> dict[str, Any]:
        with urlopen(UrlRequest(f"{door}live/place", data=b"", headers=headers), timeout=30.0) as answer:
            return json.load(answer)

    told = await asyncio.to_thread(ask)
    return Place(told["socket"], told["token"], told["replica"])


class Client:
    """One listener after the other, each with a token of its own.

    Attributes:
      kind: "good", or what it does after a while: "drop", "flood", "deaf".
      gaps, starved, seats, received, resumed, reopened: counts; received in samples.
      visits: performances at each address.
      moved: times that it came back and had lost its seat.
      least_queued: fewest samples in its buffer while it played.
      codes: close codes.
    """

    def __init__(self, find: Find, ends: float, kind: str, lead: float, chance: random.Random) -> None:
        """Ready to `run`."""
        self.kind, self.codes = kind, []
        self.gaps = self.starved = self.seats = self.received = self.resumed = self.reopened = 0
        self.moved, self.visits = 0, Counter()
        self.least_queued = 4 * SAMPLES_A_SECOND
        self._find, self._ends, self._lead, self._chance = find, ends, lead, chance
        self._place = Place("", "")
        self._opening = self._next = 0
        self._played, self._is_playing, self._seated_at = 0.0, False, None

    async def run(self) -> None:
        """Until the time is over."""
        loop = asyncio.get_running_loop()
        while loop.time() < self._ends:
            self._place, resume = await self._find(None), None
            self._played, self._is_playing, self._next = 0.0, False, 0
            leaves_after = self._chance.uniform(*SEAT_SECONDS)
            while True:
                resume = await self._connect(self._place.token, resume, leaves_after)
                if resume is None or loop.time() >= self._ends:
                    break
                before, self._place = self._place, await self._find(self._place)
                self.moved += self._place != before
            await asyncio.sleep(self._chance.uniform(0.1, 1.0))

    async def _connect(self, token: str, resume: dict | None, leaves_after: float) -> dict | None:
        """One connection; where to resume, or None if it is over."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed

        loop = asyncio.get_running_loop()
        self._seated_at = None
        headers = {"X-Live-Client": "1"}
        options = {"subprotocols": ["mrt-live.1"], "additional_headers": headers, "compression": None, "close_timeout": 1.0}
        connection = await connect(self._place.address, **options)
        follows = FOLLOWS.get(self.kind, 1e9) * self._chance.uniform(0.7, 1.3)
        await self._say(connection, type="hello", token=token, resume=resume, lead=self._lead)
        reporter = asyncio.create_task(self._report(connection))
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        self._take(await connection.recv())
                seated = 0.0 if self._seated_at is None else loop.time() - self._seated_at
                if loop.time() >= self._ends or seated >= leaves_after:
                    await self._say(connection, type="leave")
                    await connection.wait_closed()
                    break
                if seated >= follows and self.kind == "drop":
                    connection.transport.abort()
                    return {"opening": self._opening, "position": self._next}
                if seated >= follows and self.kind == "flood":
                    for number in range(FLOOD_MESSAGES):
                        await self._say(connection, type="set", id=number, values={"temperature": number % 4})
                        await asyncio.sleep(0)  # sending alone yields to nobody, and the others play on this thread
                if seated >= follows and self.kind == "deaf":
                    reporter.cancel()
                    await asyncio.sleep(20.0)
                    break
        except ConnectionClosed:
            pass
        finally:
            reporter.cancel()
            connection.transport.abort()
            if connection.close_code is not None:
                self.codes.append(connection.close_code)
        return None

    def _take(self, data: str | bytes) -> None:
        from magenta_rt_py.serve import wire

        if isinstance(data, bytes):
            packet = wire.unpack(data)
            if packet.opening == self._opening:
                self.gaps += packet.position != self._next
                self._next = packet.position + packet.samples
                self.received += packet.samples
            return
        message = json.loads(data)
        if message["type"] == "welcome":
            self.seats += self._seated_at is None
            self.visits[self._place.address] += self._seated_at is None
            self._seated_at = asyncio.get_running_loop().time()
            if message["opening"] != self._opening or message["position"] != self._next:
                self._begin(message["opening"], message["position"])
        elif message["type"] == "resumed":
            self.resumed += 1
        elif message["type"] == "reopened":
            self.reopened += 1
            self._begin(message["opening"], 0)

    def _begin(self, opening: int, position: int) -> None:
        self._opening, self._next, self._played, self._is_playing = opening, position, float(position), False

    async def _report(self, connection: Any) -> None:
        """Plays by the clock, reports, and turns a knob now and then."""
        loop = asyncio.get_running_loop()
        last, turned, has_said = loop.time(), loop.time(), False
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            now = loop.time()
            passed, last = now - last, now
            if self._is_playing:
                self._played += passed * SAMPLES_A_SECOND
                self.least_queued = min(self.least_queued, max(0, self._next - round(self._played)))
                if self._played > self._next:
                    self.starved, self._played, self._is_playing = self.starved + 1, float(self._next), False
            elif self._next - self._played >= BEGIN_SAMPLES:
                self._is_playing = True
            if self._seated_at is None:
                continue
            if not has_said:
                has_said = True
                await self._say(connection, type="play")
            position = int(self._played)
            said = {"opening": self._opening, "position": position, "queued": self._next - position}
            await self._say(connection, type="report", is_playing=self._is_playing, **said)
            if now - turned >= TURN_SECONDS:
                turned = now
                await self._say(connection, type="set", id=1, values={"prompt/1/weight": round(self._chance.random(), 2)})

    async def _say(self, connection: Any, **message: Any) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):
            await connection.send(json.dumps(message))


if __name__ == "__main__":
    sys.exit(main())
