"""Bare server: hall, routes and web server without the page, for load tests and programs that bring a page of their own.

Stateful shell.
"""

from __future__ import annotations

import contextlib
import socket

from magenta_rt_py.serve import spent_memory
from magenta_rt_py.serve.app import ServeConfig, create_app
from magenta_rt_py.serve.hall import Hall, HallConfig
from magenta_rt_py.serve.playing import SeatFactory
from magenta_rt_py.serve.stand_in import StandInFactory
from magenta_rt_py.serve.tokens import Tokens
from magenta_rt_py.serve.web_server import WebServer

__all__ = ["BareServer", "open_stand_in"]


class BareServer:
    """Serves as soon as it is made, on this machine alone. A `replicas.ReplicaServer`.

    Attributes:
      hall: who plays.
      tokens: what opens the socket.
      url: where it is, with a slash at its end.
    """

    def __init__(
        self, factory: SeatFactory, *, tokens: Tokens | None = None, hall: HallConfig | None = None, port: int = 0
    ) -> None:
        """Serves.

        Args:
          factory: makes performances.
          tokens: what its tokens are checked with; None is a secret of its own.
          hall: how many may play.
          port: where to listen; any other if it is taken.
        Raises:
          MrtError: it cannot be served.
        """
        self.tokens, self.hall = tokens or Tokens(), Hall(factory, hall)
        self._listening = _listen(port)
        self._server = WebServer(create_app(self.hall, ServeConfig(tokens=self.tokens)), self._listening)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.port}/"

    @property
    def is_serving(self) -> bool:
        """Whether it answers."""
        return self._server.is_serving

    def close(self) -> None:
        """Ends all performances, and stops serving."""
        self.hall.close()
        self._server.stop()
        self._listening.close()


def open_stand_in(
    port: int, tokens: Tokens, *, cost_seconds: float, most_sessions: int | None = None, grace_seconds: float = 5.0
) -> BareServer:
    """One with the stand-in model, for `replicas.OpenServer`.

    Args:
      port: where to listen; any other if it is taken.
      tokens: what its tokens are checked with.
      cost_seconds: what the model takes for a frame.
      most_sessions: seats; None follows from the costs.
      grace_seconds: a lost connection may come back so long.
    """
    spent_memory.keep_few_pools()  # as `mrtpy ui` does
    config = HallConfig(most_sessions=most_sessions, grace_seconds=grace_seconds)
    server = BareServer(StandInFactory(cost_seconds=cost_seconds), tokens=tokens, hall=config, port=port)
    spent_memory.freeze()
    return server


def _listen(port: int) -> socket.socket:
    with contextlib.suppress(OSError):
        return socket.create_server(("127.0.0.1", port))
    return socket.create_server(("127.0.0.1", 0))
