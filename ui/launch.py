"""Launch: the live-mix page from one command: loads a model, serves the page, says where it is, until somebody ends it.

    bundle -> serve.model_seats -> live_server.LiveServer -> address, public link, browser -> Ctrl-C -> recordings completed

Stateful shell.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from magenta_rt_py.errors import MrtError
from magenta_rt_py.serve import spent_memory
from magenta_rt_py.ui import addresses
from magenta_rt_py.ui.launch_config import LaunchConfig
from magenta_rt_py.ui.live_server import LiveServer, MakeFactory

__all__ = ["LaunchConfig", "for_others", "greeting", "load_factory", "open_browser", "serve", "until_interrupted"]


def load_factory(bundle: Path | None, say: Callable[[str], None], *, most: int | None = None) -> Any:
    """A bundle as a `serve.seat.SeatFactory`: loads, compiles, measures; takes from seconds to minutes.

    Args:
      bundle: its folder; None is the starter.
      say: told how far it is.
      most: performances at once; None: as many as a hall lets in.
    """
    from magenta_rt_py.generators import system
    from magenta_rt_py.serve.model_seats import ModelSeats
    from magenta_rt_py.ui.suggestions import suggest

    say("loading the model")
    model = system.load(bundle)
    # A finetuned bundle begins with the mean style of the music it was finetuned on.
    suggestions = (*model.directions, *suggest(model.bundle.record))
    return ModelSeats(model, knobs={"prompt/1/text": suggestions[0]}, suggestions=suggestions, say=say, most=most)


def greeting(server: LiveServer) -> Iterator[str]:
    """What a person needs to know: the address first."""
    config = server.config
    yield f"The live-mix page: {server.url}"
    if config.root_path:
        yield f"  behind your proxy under {config.root_path}/ (docs/live-mix.md has its configuration)"
    yield from for_others(config, server.port, server.fingerprint)
    most = server.hall.most
    yield f"  {most} may play at once{'' if config.max_sessions else ', as measured'}; Ctrl-C ends it"


def for_others(config: LaunchConfig, port: int, fingerprint: str | None) -> Iterator[str]:
    """What a person needs to know if other devices can connect."""
    if not addresses.is_loopback(config.host):
        where = addresses.network_address() if config.host in ("0.0.0.0", "::") else config.host
        if where is not None:
            yield f"  from other devices: {addresses.url(where, port, is_secure=config.is_secure)}"
        if not config.users:
            yield "  warning: everybody in this network can open it; ask for a password with --auth user:password"
        if not config.is_secure:
            yield (
                "  warning: over plain http other devices get no microphone and the plain player only: add --self-signed, "
                "or --ssl-cert and --ssl-key"
            )
    if config.is_self_signed and fingerprint:
        yield "  browsers will warn that nobody vouches for the certificate; go on if its SHA-256 fingerprint is"
        yield f"  {fingerprint}"


def serve(
    config: LaunchConfig,
    *,
    make_factory: MakeFactory | None = None,
    say: Callable[[str], None] = lambda line: None,
    tell: Callable[[str], None] = print,
) -> None:
    """Loads, serves and opens the page, until Ctrl-C or a polite kill.

    Args:
      config: what is wanted.
      make_factory: from a bundle to seats; None is `load_factory`.
      say: told how far loading is.
      tell: told lines for people, the address first.
    """
    make_factory = make_factory or functools.partial(load_factory, most=config.max_sessions)
    with LiveServer(config, make_factory=make_factory, say=say) as server:
        server.start()
        spent_memory.freeze()
        with until_interrupted() as ended:
            for line in greeting(server):
                tell(line)
            if config.is_shared:
                threading.Thread(target=_share, args=(server, tell), name="share", daemon=True).start()
            if config.opens_browser and not config.root_path:  # the page belongs under its prefix, at the proxy
                open_browser(server.url)
            while not ended.wait(0.2) and server.is_serving:
                pass
            tell("ending ...")
            server.close()
    if server.recordings:
        tell(f"{len(server.recordings)} recording(s) in {server.folder}")
    if server.problem is not None and not ended.is_set():
        raise MrtError(f"the page's server broke off ({type(server.problem).__name__}: {server.problem}); start it again")
    if not server.has_ended_cleanly:  # a model that hangs cannot be ended, and would take the interpreter down noisily
        sys.stdout.flush()
        os._exit(0)


def open_browser(url: str) -> None:
    """Opens the page if there is a screen to open it on; never waits for it."""
    # Without one, a browser for terminals might be found, and would take this terminal over.
    has_screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_screen:
        return

    def work() -> None:
        with suppress(Exception):  # whoever has no browser has the address
            webbrowser.open(url)

    threading.Thread(target=work, name="browser", daemon=True).start()


def _share(server: LiveServer, tell: Callable[[str], None]) -> None:
    """Asks for a public link, which may take a while; the page plays meanwhile."""
    try:
        tell(f"  for everybody who has this link, for 72 hours at most: {server.open_share()}")
    except MrtError as error:
        tell(f"  {error}")


@contextmanager
def until_interrupted() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C or a polite kill; the second time, the process ends at once."""
    ended = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield ended
        return

    def end(number: int, frame: Any) -> None:
        if ended.is_set():
            os._exit(128 + number)
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
