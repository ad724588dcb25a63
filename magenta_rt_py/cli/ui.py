"""`mrtpy ui`: the live-mix page, played in a browser."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.options import add_bundle_option
from magenta_rt_py.cli.report import end_progress, progress
from magenta_rt_py.errors import MissingExtraError

if TYPE_CHECKING:
    from magenta_rt_py.ui.launch import LaunchConfig

NEEDED = ("gradio", "fastapi", "uvicorn", "websockets", "python_multipart")


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "ui",
        help="the live-mix page: play in a browser",
        description="Loads a model and serves the live-mix page, for this machine alone unless told otherwise.",
        epilog="example: mrtpy ui --host 0.0.0.0 --self-signed --auth ann:secret; docs/live-mix.md is the page's guide",
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, help="port (default: 7860, or the next one that is free); 0 for any")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    parser.add_argument("--max-sessions", type=int, metavar="N", help="who may play at once (default: as measured)")
    many = parser.add_argument_group("several processes or machines (extra 'cluster')")
    many.add_argument("--replicas", type=int, metavar="N", help="as many live servers, each with a device, at one address")
    many.add_argument("--cluster", metavar="ADDRESS", help="of a running Ray cluster for --replicas, or auto")
    access = parser.add_argument_group("who gets in")
    access.add_argument("--auth", action="append", metavar="USER:PASSWORD", default=[], help="ask for it; may be repeated")
    access.add_argument("--share", action="store_true", help="a public link through gradio.live, for 72 hours at most")
    access.add_argument("--self-signed", action="store_true", help="https with a certificate made here, for your network")
    access.add_argument("--ssl-cert", type=Path, metavar="FILE", help="https with this certificate (PEM)")
    access.add_argument("--ssl-key", type=Path, metavar="FILE", help="its private key (PEM, without a password)")
    access.add_argument("--root-path", default="", metavar="PREFIX", help="prefix of a reverse proxy, such as /mix")
    access.add_argument(
        "--allow-origin", action="append", metavar="URL", default=[], help="a further page that may connect: https://example.org"
    )
    add_bundle_option(parser)
    parser.set_defaults(run=run, json=False)


def run(arguments: argparse.Namespace) -> int:
    """Checks everything, loads, serves until Ctrl-C."""
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("the live-mix page", module, "ui")
    from magenta_rt_py.io.priority import raise_priority
    from magenta_rt_py.serve.spent_memory import keep_few_pools
    from magenta_rt_py.ui import launch

    config = config_of(arguments)
    if arguments.replicas is not None or arguments.cluster is not None:
        return _run_replicas(arguments, config)
    raise_priority()  # before any thread begins: they inherit it
    keep_few_pools()
    launch.serve(config, say=lambda line: progress(arguments, line), tell=lambda line: _tell(arguments, line))
    return 0


def _run_replicas(arguments: argparse.Namespace, config: LaunchConfig) -> int:
    """Several live servers, until Ctrl-C."""
    if arguments.replicas is None or arguments.replicas < 1:
        raise ValueError(f"--replicas is {arguments.replicas}; give 1 or more, --cluster says where they run")
    try:
        from magenta_rt_py.ui.launch_replicas import serve_replicas
    except ImportError as error:
        raise MissingExtraError("several replicas", error.name or "ray", "cluster") from error
    serve_replicas(
        config,
        count=arguments.replicas,
        cluster=arguments.cluster,
        say=lambda line: progress(arguments, line),
        tell=lambda line: _tell(arguments, line),
    )
    return 0


def config_of(arguments: argparse.Namespace) -> LaunchConfig:
    """What the command line says.

    Raises:
      ValueError: something that cannot work.
    """
    from magenta_rt_py.ui.launch import LaunchConfig

    return LaunchConfig(
        bundle=arguments.bundle,
        host=arguments.host,
        port=arguments.port,
        max_sessions=arguments.max_sessions,
        users=tuple(_user(text) for text in arguments.auth),
        is_shared=arguments.share,
        is_self_signed=arguments.self_signed,
        certificate=arguments.ssl_cert,
        key=arguments.ssl_key,
        root_path=arguments.root_path,
        allowed_origins=tuple(arguments.allow_origin),
        opens_browser=not arguments.no_browser,
    )


def _user(text: str) -> tuple[str, str]:
    """User and password; the latter may hold colons. What was given is not repeated in the error: it may be a password."""
    user, colon, password = text.partition(":")
    if not (user.strip() and colon and password):
        raise ValueError("--auth wants a name and a password with a colon between them: ann:secret")
    return user.strip(), password


def _tell(arguments: argparse.Namespace, line: str) -> None:
    """A line for people; at once, as others may be waiting for the address."""
    end_progress(arguments)
    print(line, flush=True)
    sys.stderr.flush()
