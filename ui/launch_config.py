"""Launch config: what is served, where, and to whom. Checked as it is made, so that nothing is loaded in vain.

Looks at this machine's addresses and at the files of a certificate; else pure.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from magenta_rt_py.ui import addresses, certificates

__all__ = ["LaunchConfig"]

MOST_SESSIONS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchConfig:
    """See the module's head; the errors name the options of `mrtpy ui`."""

    bundle: Path | None = None
    """Model; None is the starter."""
    host: str = "127.0.0.1"
    """Address of this machine to listen on; this one is for itself alone."""
    port: int | None = None
    """None is 7860 or the next one that is free; 0 any."""
    max_sessions: int | None = None
    """Who may play at once; None: what the machine can, as measured."""
    users: tuple[tuple[str, str], ...] = ()
    """Names and passwords; empty lets everybody in who can connect."""
    is_shared: bool = False
    """A public link through gradio.live."""
    is_self_signed: bool = False
    """https with a certificate made here."""
    certificate: Path | None = None
    """https with this one, PEM."""
    key: Path | None = None
    """Its key, PEM."""
    root_path: str = ""
    """Prefix of a reverse proxy, "/mix"."""
    allowed_origins: tuple[str, ...] = ()
    """Further pages that may connect, "https://studio.example"."""
    opens_browser: bool = True
    """Whether the page is opened."""

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise ValueError(f"--port is {self.port}; give 0 to 65535")
        if self.max_sessions is not None and not 1 <= self.max_sessions <= MOST_SESSIONS:
            raise ValueError(f"--max-sessions is {self.max_sessions}; give 1 to {MOST_SESSIONS}")
        if len({name for name, _ in self.users}) < len(self.users):
            raise ValueError("--auth names somebody twice; give each name once")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("--ssl-cert and --ssl-key belong together; give both or neither")
        if self.certificate is not None and self.is_self_signed:
            raise ValueError("--self-signed makes a certificate and --ssl-cert gives one; give one of them")
        if self.is_shared and self.is_secure:
            raise ValueError("--share brings its own https; leave --self-signed and --ssl-cert out")
        if self.is_shared and self.root_path.strip("/"):
            raise ValueError("--share needs no reverse proxy; leave --root-path out")
        object.__setattr__(self, "root_path", addresses.check_root_path(self.root_path))
        object.__setattr__(self, "allowed_origins", tuple(addresses.check_origin(each) for each in self.allowed_origins))
        addresses.check_host(self.host)
        if self.certificate is not None and self.key is not None:
            certificates.check(certificates.Certificate(self.certificate, self.key))

    @property
    def is_secure(self) -> bool:
        """Whether it is https."""
        return self.is_self_signed or self.certificate is not None
