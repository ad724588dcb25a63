"""Origins: which pages and programs may talk to this server. Pure.

A browser sends along which page a request comes from, and no page can change that. CORS does not protect WebSockets, so the
server has to look for itself: the page's host must be the one the request went to, or be on a list. A program is no browser
and sends no origin; it says so in a header that a page cannot set on a socket.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["PROGRAM_HEADER", "Place", "host_of", "is_allowed", "is_known_host", "place_of_origin"]

PROGRAM_HEADER = "x-live-client"
"""A program says "1" in it."""
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Place(NamedTuple):
    """Where a page comes from."""

    host: str
    """Lower case, without brackets."""
    port: int
    """Of the scheme if none was given."""


def place_of_origin(origin: str) -> tuple[str, Place] | None:
    """Scheme and place of an origin such as "https://studio.example:8443"; None if it is none ("null", a path, nonsense)."""
    try:
        parts = urlsplit(origin.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path or parts.query or parts.fragment:
        return None
    if parts.username is not None or parts.password is not None:
        return None
    return parts.scheme, Place(parts.hostname.lower(), DEFAULT_PORTS[parts.scheme] if port is None else port)


def host_of(hosts: Sequence[str], forwarded: Sequence[str], *, is_proxy_trusted: bool) -> str | None:
    """The host a request was sent to.

    Args:
      hosts: all Host headers that came.
      forwarded: all X-Forwarded-Host headers that came.
      is_proxy_trusted: whether a proxy of ours is in front; without one, anybody can send that header.
    Returns:
      None if there is not exactly one.
    """
    chosen = forwarded if is_proxy_trusted and forwarded else hosts
    return chosen[0].strip() if len(chosen) == 1 and chosen[0].strip() else None


def is_known_host(host: str | None, known: Collection[str]) -> bool:
    """Whether a request was sent to one of our names. A name that a stranger made point here (DNS rebinding) is none.

    Args:
      host: of `host_of`, with or without a port.
      known: names without ports, lower case; empty is any.
    """
    if not known:
        return True
    place = None if host is None else place_of_origin(f"http://{host}")
    return place is not None and place[1].host in known


def is_allowed(origins: Sequence[str], host: str | None, *, allowed: Collection[str] = (), is_program: bool = False) -> bool:
    """Whether the sender may talk to us.

    Args:
      origins: all Origin headers that came.
      host: the host the request was sent to, see `host_of`.
      allowed: further origins, "https://studio.example".
      is_program: whether it says that it is no browser.
    """
    if not origins:
        return is_program
    origin = place_of_origin(origins[0]) if len(origins) == 1 else None
    if origin is None:
        return False
    if any(origin == place_of_origin(other) for other in allowed):
        return True
    # A Host without a port means the port of the scheme that the browser used, and that is the origin's.
    return host is not None and place_of_origin(f"{origin[0]}://{host}") == origin
