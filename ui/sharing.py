"""Sharing: a public link to the page through gradio.live, for people elsewhere. Needs the network, and asks for it in words.

Stateful: a process of its own carries the traffic. The first time, Gradio fetches that program.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable

from magenta_rt_py.errors import MrtError

__all__ = ["Share", "open_share"]

PATIENCE_SECONDS = 45.0
"""Gradio's servers are given up after so long."""


class Share:
    """A public link.

    Attributes:
      url: for people elsewhere.
    """

    def __init__(self, url: str, close: Callable[[], None]) -> None:
        """Open already.

        Args:
          url: for people elsewhere.
          close: ends it.
        """
        self.url, self._close = url, close

    def close(self) -> None:
        """Ends it; the second time does nothing."""
        close, self._close = self._close, lambda: None
        with contextlib.suppress(Exception):  # the program may have ended by itself
            close()


def open_share(port: int, *, patience_seconds: float = PATIENCE_SECONDS) -> Share:
    """Opens a link to a port of this machine.

    Args:
      port: where the page is, on 127.0.0.1, http.
      patience_seconds: for all of it.
    Raises:
      MrtError: there is no network, or the other side refuses; the page itself is not touched by it.
    """
    made: list[str | BaseException] = []

    def work() -> None:
        try:
            made.append(_tunnel(port))
        except BaseException as error:  # SystemExit, too: it is told, not acted on
            made.append(error)

    thread = threading.Thread(target=work, name="share", daemon=True)  # its requests have no limit of their own
    thread.start()
    thread.join(patience_seconds)
    result = made[0] if made else TimeoutError(f"no answer in {patience_seconds:.0f} s")
    if isinstance(result, BaseException):
        reason = " ".join(str(result).split())[:160] or type(result).__name__
        raise MrtError(
            f"--share: there is no public link ({reason}); it needs the internet and gradio.live; the page still plays here"
        )
    return Share(result, lambda: _close_tunnel(port))


def _tunnel(port: int) -> str:
    """The link's address."""
    from gradio import networking

    folder = os.environ.get("GRADIO_SHARE_SERVER_ADDRESS")
    return networking.setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), folder, None)


def _close_tunnel(port: int) -> None:
    from gradio import tunneling

    for tunnel in list(tunneling.CURRENT_TUNNELS):
        if tunnel.local_port == port:
            tunnel.kill()
