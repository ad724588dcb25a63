"""Fair protocol: uvicorn's WebSockets, read in small pieces, so that who sends a flood does not keep the others waiting.

A socket that is ready is read and all its messages are taken apart at once, on the thread that serves everybody: a quarter
of a megabyte of them as a rule, thousands of messages, a second of work. Here it is some hundred, and then it is the
others' turn.

Stateful, as uvicorn's is; one for each connection.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["READ_BYTES", "FairProtocol"]

READ_BYTES = 8192
"""Read from a socket at once."""


class FairProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`."""

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        if hasattr(transport, "max_size"):  # asyncio's own; under TLS records are small anyway
            transport.max_size = READ_BYTES
        super().connection_made(transport)
