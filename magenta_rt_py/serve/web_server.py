"""Web server: an application under uvicorn, on a thread of its own, with what sound on sockets needs.

    WebServer(app, listening) -> start -> is_serving ... stop      the socket listens before: who comes early waits

Stateful shell; `start` and `stop` belong to one thread.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from magenta_rt_py.errors import MrtError
from magenta_rt_py.serve.fair_protocol import FairProtocol

__all__ = ["WebServer"]

START_SECONDS = 30.0
"""The server itself, without the model, is up after so long or never."""
GRACE_SECONDS = 1
"""Open connections are cut so long after the end."""
END_SECONDS = 3.0
"""The server's thread is given up after so long."""
LONGEST_MESSAGE_BYTES = 65_536
"""On a socket; what may really come is limited by `socket`."""
PING_SECONDS = 10.0


class WebServer:
    """See the module's head.

    Attributes:
      port: that it listens on.
      problem: what broke it off; None if nothing has.
    """

    def __init__(self, app: Any, listening: socket.socket, *, certificate: tuple[Path, Path] | None = None) -> None:
        """Ready to `start`.

        Args:
          app: an ASGI application.
          listening: bound and listening; not closed here.
          certificate: of https, with its key, PEM; None is http.
        """
        self.port = int(listening.getsockname()[1])
        self.problem: BaseException | None = None
        self._listening, self._thread = listening, threading.Thread(target=self._run, name="server", daemon=True)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                workers=1,
                loop="asyncio",
                http="h11",  # httptools may have come with other packages, and would be chosen by itself
                ws=FairProtocol,
                ws_max_size=LONGEST_MESSAGE_BYTES,
                ws_per_message_deflate=False,  # sound does not get smaller, and it costs 28 ms for 2 s
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PING_SECONDS,
                ssl_certfile=None if certificate is None else str(certificate[0]),
                ssl_keyfile=None if certificate is None else str(certificate[1]),
                log_level="warning",
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    @property
    def is_serving(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive() and self._server.started

    def start(self) -> None:
        """Serves from now on; comes back when it answers.

        Raises:
          MrtError: it cannot be served.
        """
        self._thread.start()
        ends = time.monotonic() + START_SECONDS
        while not self.is_serving:
            if not self._thread.is_alive() or time.monotonic() > ends:
                reason = self.problem or "it takes too long"
                raise MrtError(f"the page's server did not start ({reason}); try another --port")
            time.sleep(0.01)

    def stop(self) -> None:
        """Ends it, within some seconds; does nothing if it was never started."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(END_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listening]))
        except BaseException as error:  # SystemExit is how uvicorn says that it cannot start
            self.problem = error
