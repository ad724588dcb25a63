"""Live server: hall, routes and page in one process, on one port.

    port -> certificate -> seats -> hall -> serve.app (routes) + page (Gradio) -> serve.web_server

The port is taken before the model is loaded, so that a taken one is said at once. All sessions live in this process.
Stateful shell.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from magenta_rt_py.errors import MissingExtraError
from magenta_rt_py.serve.tokens import Tokens
from magenta_rt_py.ui import addresses, certificates, sharing
from magenta_rt_py.ui.launch_config import LaunchConfig

if TYPE_CHECKING:
    from fastapi import FastAPI

    from magenta_rt_py.serve.hall import Hall
    from magenta_rt_py.serve.web_server import WebServer

__all__ = ["LiveServer", "MakeFactory", "certificate_of", "hosts_of", "state_folder"]

HALL_SECONDS = 1.2
"""Performances end, and recordings are completed, within so long."""
MOST_QUEUED = 64
"""Calls that wait in Gradio."""
UPLOAD_BYTES = 2**20
"""Through Gradio: presets, which are small, and nothing else. Sounds have a route of their own."""
KEPT_FOLDERS = 20
"""Folders of recordings that are kept, the newest."""
MakeFactory = Callable[[Path | None, Callable[[str], None]], Any]
"""From a bundle, and a function that is told how far it is, to a `serve.playing.SeatFactory`."""
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; connect-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'"
)
"""What a browser may load for the page: nothing from elsewhere. Gradio's templates need to evaluate code."""


def state_folder() -> Path:
    """Where recordings, logs and the certificate lie: magenta_rt_py in XDG_STATE_HOME, else ~/.local/state."""
    home = os.environ.get("XDG_STATE_HOME", "").strip()
    return (Path(home) if home else Path.home() / ".local" / "state") / "magenta_rt_py"


class LiveServer:
    """The page, served. A context manager; `start` and `close` belong to one thread.

    Attributes:
      config: what was asked for.
      url: to open on this machine.
      hall: who plays.
      tokens: what the page's token is made by.
      app: all routes, the page among them.
      share: the public link, once there is one.
    """

    def __init__(
        self,
        config: LaunchConfig,
        *,
        make_factory: MakeFactory,
        say: Callable[[str], None] = lambda line: None,
        tokens: Tokens | None = None,
    ) -> None:
        """Takes the port, loads the model, puts everything together; nothing is served yet.

        Args:
          config: what is wanted.
          make_factory: from a bundle to seats; tests give a stand-in.
          say: told how far it is.
          tokens: what mints the page's tokens; None is a secret of this server's own.
        Raises:
          ValueError: the port is taken, or no certificate can be made.
          MissingExtraError: the extra `ui` is not installed.
        """
        _keep_gradio_quiet()
        self.config = config
        self.share: sharing.Share | None = None
        self.has_ended_cleanly = True
        self._server: WebServer | None = None
        with ExitStack() as undo:
            self._socket = undo.enter_context(addresses.listen(config.host, config.port))
            self.port = int(self._socket.getsockname()[1])
            self.url = addresses.url(config.host, self.port, is_secure=config.is_secure)
            self._certificate = certificate_of(config)
            factory = make_factory(config.bundle, say)
            undo.callback(getattr(factory, "close", lambda: None))
            self._folder = _new_folder()
            self.hall = _hall_of(config, factory, self._folder)
            undo.callback(self._close_hall)
            self.tokens = tokens or Tokens()
            self.app = _app_of(config, self.hall, factory, self.tokens)
            self._server = _server_of(self.app, self._socket, self._certificate)
            self._undo = undo.pop_all()

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_serving(self) -> bool:
        """Whether the page can be had."""
        return self._server is not None and self._server.is_serving

    @property
    def problem(self) -> BaseException | None:
        """What broke the serving off; None if nothing has."""
        return None if self._server is None else self._server.problem

    @property
    def fingerprint(self) -> str | None:
        """Of the certificate that was made here; None if none was."""
        return self._certificate.fingerprint if self._certificate is not None and self.config.is_self_signed else None

    @property
    def recordings(self) -> list[Path]:
        """Recordings that were made here; they stay."""
        return sorted(path for path in self._folder.glob("*.flac") if path.stat().st_size)

    @property
    def folder(self) -> Path:
        """Where recordings and logs are."""
        return self._folder

    def start(self) -> None:
        """Serves from now on, on a thread of its own; comes back when the page can be had.

        Raises:
          MrtError: it cannot be served.
        """
        assert self._server is not None
        self._server.start()

    def open_share(self) -> str:
        """A public link.

        Raises:
          MrtError: there is none to be had.
        """
        self.share = sharing.open_share(self.port)
        if not self.is_serving:  # it was ended meanwhile
            self.share.close()
        return self.share.url

    def close(self) -> None:
        """Ends all performances, completes recordings, and stops serving: within about two seconds. Once is enough."""
        undo, self._undo = self._undo, ExitStack()
        undo.close()

    def _close_hall(self) -> None:
        """Pages are told first; then the server may go."""
        if self.share is not None:
            self.share.close()
        self.has_ended_cleanly = self.hall.close(timeout_seconds=HALL_SECONDS)
        if self._server is not None:
            self._server.stop()
        _tidy(self._folder)


def certificate_of(config: LaunchConfig) -> certificates.Certificate | None:
    """What https is done with; None for http."""
    if config.certificate is not None and config.key is not None:
        return certificates.Certificate(config.certificate, config.key)
    if not config.is_self_signed:
        return None
    here = addresses.network_address()
    names = {config.host} - {"0.0.0.0", "::"}
    return certificates.self_signed(state_folder() / "tls", tuple(names | ({here} if here else set())))


def _new_folder() -> Path:
    """A folder for the recordings and logs of this process; of those of earlier ones, the newest are kept."""
    above = state_folder() / "recordings"
    above.mkdir(parents=True, exist_ok=True)
    for old in sorted(path for path in above.iterdir() if path.is_dir())[: -KEPT_FOLDERS + 1 or None]:
        shutil.rmtree(old, ignore_errors=True)
    folder = above / f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}-{secrets.token_hex(2)}"
    folder.mkdir(mode=0o700)
    return folder


def _tidy(folder: Path) -> None:
    """A folder without a recording goes, logs and all: nobody asked for them."""
    with contextlib.suppress(OSError):
        if not any(path.suffix == ".flac" and path.stat().st_size for path in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def _hall_of(config: LaunchConfig, factory: Any, folder: Path) -> Hall:
    from magenta_rt_py.serve.hall import Hall, HallConfig

    return Hall(factory, HallConfig(most_sessions=config.max_sessions, folder=folder))


def _keep_gradio_quiet() -> None:
    """Nothing about anybody goes anywhere. Gradio reads this when it is imported, and when a page is built.

    Raises:
      MissingExtraError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    for name in ("gradio", "fastapi", "uvicorn", "websockets"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError("the live-mix page", name, "ui")


def _server_of(app: Any, listening: socket.socket, certificate: certificates.Certificate | None) -> WebServer:
    from magenta_rt_py.serve.web_server import WebServer

    return WebServer(app, listening, certificate=certificate)


class _Policy:
    """ASGI: adds to every page what it may load."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [(b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff")]
                headers.append((b"referrer-policy", b"same-origin"))
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        await self._app(scope, receive, add)


def hosts_of(config: LaunchConfig) -> tuple[str, ...]:
    """Names that the page may be asked for by; empty is any.

    Where nothing but this machine can connect, only its own and those that were given: a stranger's page whose name was made
    to point here would get in by it.
    """
    is_open = config.is_shared or not addresses.is_loopback(config.host)
    named = tuple(urlsplit(origin).hostname or "" for origin in config.allowed_origins)
    if is_open or (config.root_path and not named):
        return ()
    return ("localhost", "127.0.0.1", "::1", config.host.lower(), *named)


def _app_of(config: LaunchConfig, hall: Hall, factory: Any, tokens: Tokens) -> FastAPI:
    """Routes and page."""
    import gradio as gr

    from magenta_rt_py.serve.app import ServeConfig, create_app
    from magenta_rt_py.ui import page
    from magenta_rt_py.ui.fallback import PlainPlayer

    def mint(request: gr.Request) -> str:
        return tokens.mint(str(request.username or ""))

    plain = PlainPlayer(hall, lambda request: tokens.check(mint(request)))
    blocks = page.build(
        page.PageConfig(
            make_token=mint,
            suggestions=tuple(factory.about.suggestions),
            has_adapters=factory.about.capabilities.get("adapters", False),
            fallback=plain.place,
        )
    )
    with blocks:
        blocks.unload(plain.forget)
    app = create_app(
        hall,
        ServeConfig(
            tokens=tokens,
            static_folder=page.STATIC_FOLDER,
            allowed_origins=config.allowed_origins,
            hosts=hosts_of(config),
        ),
    )
    app.add_middleware(_Policy)
    blocks.queue(api_open=False, max_size=MOST_QUEUED)
    return gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        auth=list(config.users) or None,
        root_path=config.root_path or None,
        max_file_size=UPLOAD_BYTES,
        show_error=False,
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=page.theme(),
        head=page.head(),
    )
