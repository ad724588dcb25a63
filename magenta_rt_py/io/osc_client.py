"""OSC client: steers a session from another program. Stateful: it has sockets, and a thread if it has subscribed.

with OscClient(port=7400) as client:
    client.set("temperature", 1.2)
    client.act("tap")
    client.subscribe(lambda address, arguments: print(address, *arguments))
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from magenta_rt_py.io.osc_packet import OscMessage, load_osc, read_packet, write_message

__all__ = ["DEFAULT_PORT", "LOOPBACK", "OscClient"]

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 7400
"""Where the server listens unless told otherwise; ours, OSC has none."""
POLL_SECONDS = 0.2
"""The subscription's thread notices so soon that it is to end."""
LARGEST_PACKET_BYTES = 65_536


class OscClient:
    """Talks to one server; may be used with `with`. Any thread may call anything."""

    def __init__(self, *, host: str = LOOPBACK, port: int = DEFAULT_PORT) -> None:
        """Sends nothing yet; UDP does not say whether anyone listens, `get` does.

        Args:
          host: of the server.
          port: of the server.
        Raises:
          MissingExtraError: python-osc is not installed.
          OSError: there is no such host.
        """
        load_osc()
        self._family, _, _, _, self._server = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
        self._lock = threading.Lock()
        self._errors: list[str] = []
        self._feedback: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> OscClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set(self, name: str, value: str | float | int | bool) -> None:
        """Turns a knob; if that is wrong, `errors` will tell.

        Raises:
          OSError: it could not be sent.
        """
        self._send(f"/{name}", value)

    def act(self, name: str, value: str | float | int | None = None) -> None:
        """Asks for an action; if that is wrong, `errors` will tell.

        Raises:
          OSError: it could not be sent.
        """
        self._send(f"/{name}", *(() if value is None else (value,)))

    def get(self, name: str, *, timeout_seconds: float = 1.0) -> Any:
        """What a knob stands at: a float, int or str; a switch is 0 or 1.

        Raises:
          ValueError: there is no such knob.
          TimeoutError: no server answered.
        """
        return self._ask("/get", name, reply=f"/{name}", timeout_seconds=timeout_seconds).arguments[0]

    def errors(self) -> list[str]:
        """What the server has said to be wrong since the last call. It takes a moment to say so."""
        with self._lock:
            self._collect_errors()
            errors, self._errors = self._errors, []
        return errors

    def subscribe(
        self, callback: Callable[[str, tuple[Any, ...]], None], *, port: int = 0, timeout_seconds: float = 1.0
    ) -> int:
        """Hears of every change, and of the status, until `unsubscribe`. First come all values as they are.

        Args:
          callback: called with address and arguments on a thread of this client; what it raises is forgotten.
          port: UDP port where to listen; 0 takes a free one.
          timeout_seconds: how long to wait for the server.
        Returns:
          the port.
        Raises:
          ValueError: the server refused; or this client has subscribed already.
          TimeoutError: no server answered.
          OSError: the port is taken.
        """
        if self._feedback is not None:
            raise ValueError("this client has subscribed already; unsubscribe first")
        feedback = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            feedback.settimeout(POLL_SECONDS)
            feedback.bind((LOOPBACK if self._server[0] == LOOPBACK else "", port))
            chosen = feedback.getsockname()[1]
            self._ask("/subscribe", chosen, reply="/subscribed", timeout_seconds=timeout_seconds)
        except Exception:
            feedback.close()
            raise
        self._feedback = feedback
        self._thread = threading.Thread(target=self._hear, args=(feedback, callback), name="osc client", daemon=True)
        self._thread.start()
        return chosen

    def unsubscribe(self) -> None:
        """Hears no more. Without a subscription it does nothing."""
        feedback, self._feedback = self._feedback, None
        if feedback is None:
            return
        with contextlib.suppress(OSError):  # a server that is gone sends nothing either
            self._send("/unsubscribe", feedback.getsockname()[1])
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5.0)
        feedback.close()

    def close(self) -> None:
        """Ends the subscription and lets the sockets go."""
        self.unsubscribe()
        self._socket.close()

    def _send(self, address: str, *arguments: str | float | int | bool) -> None:
        self._socket.sendto(write_message(address, *arguments), self._server)

    def _ask(self, address: str, argument: str | int, *, reply: str, timeout_seconds: float) -> OscMessage:
        with self._lock:
            self._collect_errors()
            self._send(address, argument)
            end = time.monotonic() + timeout_seconds
            while (left := end - time.monotonic()) > 0.0:
                for message in self._receive(left):
                    if message.address == reply:
                        return message
                    error = str(message.arguments[0]) if message.address == "/error" and message.arguments else ""
                    if error.startswith(f"{address}: "):
                        raise ValueError(error)
                    self._errors += [error] if error else []
        raise TimeoutError(f"no OSC server answered at {self._server[0]}, port {self._server[1]}; is the session running?")

    def _collect_errors(self) -> None:
        while messages := self._receive(0.0):
            self._errors += [str(each.arguments[0]) for each in messages if each.address == "/error" and each.arguments]

    def _receive(self, timeout_seconds: float) -> list[OscMessage]:
        """The next packet; empty if none came, or one that is no OSC."""
        self._socket.settimeout(timeout_seconds)
        try:
            return read_packet(self._socket.recv(LARGEST_PACKET_BYTES))
        except (OSError, ValueError):
            return []

    def _hear(self, feedback: socket.socket, callback: Callable[[str, tuple[Any, ...]], None]) -> None:
        while self._feedback is feedback:
            try:
                messages = read_packet(feedback.recv(LARGEST_PACKET_BYTES))
            except (OSError, ValueError):  # nothing came, or something else
                continue
            for message in messages:
                with contextlib.suppress(Exception):  # a broken display must not end the subscription
                    callback(message.address, message.arguments)
