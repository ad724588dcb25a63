"""Addresses: where the page is to be had. Finds a free port, and words for people who have to open it.

Stateful: sockets. No packet leaves this machine.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket

__all__ = ["check_host", "check_origin", "check_root_path", "is_loopback", "listen", "network_address", "url"]

DEFAULT_PORT = 7860
TRIED_PORTS = 100
"""From the default one on, the first free one is taken."""
BACKLOG = 128
"""Connections that wait until they are served."""
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+", re.ASCII)
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~\-]+)+", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> str:
    """The host, if it is an address of this machine.

    Raises:
      ValueError: it is none.
    """
    try:
        if not host:
            raise OSError("it is empty")
        with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"--host is {host!r} ({error}); give one of this machine: 127.0.0.1 for itself alone, 0.0.0.0 for everyone"
        ) from error
    return host


def check_origin(origin: str) -> str:
    """A foreign page's origin as browsers write it.

    Raises:
      ValueError: it is none.
    """
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"--allow-origin is {origin!r}; give scheme, host and port alone, such as https://example.org")
    return origin.lower()


def check_root_path(path: str) -> str:
    """A prefix under which a reverse proxy shows the page: "" or "/mix".

    Raises:
      ValueError: it is none.
    """
    shown = path.rstrip("/")
    if shown and (not _ROOT_PATH.fullmatch(shown) or ".." in shown.split("/")):
        raise ValueError(f"--root-path is {path!r}; give the proxy's prefix, such as /mix")
    return shown


def listen(host: str, port: int | None) -> socket.socket:
    """A listening socket, so that nobody takes the port while the model loads; a browser that comes early waits.

    Args:
      host: address of this machine.
      port: None tries DEFAULT_PORT and those after it; 0 takes any.
    Raises:
      ValueError: the port is taken, or not allowed.
    """
    wanted = range(DEFAULT_PORT, DEFAULT_PORT + TRIED_PORTS) if port is None else (port,)
    reason: OSError | None = None
    for number in wanted:
        bound = socket.socket(_family(host), socket.SOCK_STREAM)
        try:
            # A port that was just closed may be used again; one that somebody listens on may not.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if _is_answered(host, number):
                raise OSError("somebody listens there")
            bound.bind((host, number))
            bound.listen(BACKLOG)
            return bound
        except OSError as error:
            bound.close()
            reason = error
    shown = f"{wanted[0]} to {wanted[-1]}" if len(wanted) > 1 else str(wanted[0])
    raise ValueError(f"port {shown} of {host} cannot be had ({reason}); give another one: --port 8000") from reason


def url(host: str, port: int, *, is_secure: bool = False, root_path: str = "") -> str:
    """Address to open in a browser on this machine, with a slash at its end."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if is_secure else 'http'}://{shown}:{port}{root_path}/"


def network_address() -> str | None:
    """This machine's address in its network; None if it is in none.

    A datagram socket is connected to an address that is reserved for examples: the system chooses the way, nothing is sent.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        found = probe.getsockname()[0]
        return None if is_loopback(found) or found == "0.0.0.0" else found
    return None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _is_answered(host: str, port: int) -> bool:
    """Whether somebody listens already: on some systems one may bind to such a port all the same."""
    if not port:
        return False
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((target, port)) == 0
