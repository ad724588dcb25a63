"""App: the live routes of the server, as a FastAPI application: one socket, uploads, downloads, the page's own files.

    WS   live/ws              Socket, once origin and subprotocol are right
    POST live/prompts         a sound becomes a prompt of the seat
    POST live/context         the music goes on from a sound
    POST live/leave           gives the seat back: a page's last word when it is closed
    GET  live/recordings/{id}, live/last, live/log     what was played
    GET  live/static/{file}, live/health               no token

Everything but the last two asks for the token itself: a page's login covers the page's routes and not these. A file is
found by a name that was made here, never by a path that came. docs/live-protocol.md says what is on the wire.

Stateful shell; one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import math
import mimetypes
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from jaxtyping import Float

from magenta_rt_py.audio import SAMPLE_RATE_HZ
from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.serve import bodies, origins, uploads, wire
from magenta_rt_py.serve.hall import Hall
from magenta_rt_py.serve.seat import Seat
from magenta_rt_py.serve.socket import SUBPROTOCOL, Socket, SocketConfig
from magenta_rt_py.serve.tokens import TokenClaim, Tokens
from magenta_rt_py.serve.uploads import UploadConfig

__all__ = ["ServeConfig", "create_app"]

FILE_ID = re.compile(r"[0-9a-f]{32}")
STATIC_SUFFIXES = {".css", ".html", ".ico", ".js", ".json", ".png", ".svg", ".woff2"}
MOST_STATIC_BYTES = 4_000_000
MOST_LAST_SECONDS = 60.0
PIECE_BYTES = 2**16
TAIL_BYTES = 2**20
DECODERS = 2
"""Threads that read and write sound files: they must not take the processor from the music."""
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """How the routes are set up. Ours."""

    tokens: Tokens
    """What mints the page's tokens."""
    static_folder: Path | None = None
    """The page's own files: those that lie directly in it when the app is made."""
    allowed_origins: tuple[str, ...] = ()
    """Pages from elsewhere that may talk to this server: "https://studio.example"."""
    hosts: tuple[str, ...] = ()
    """Names this server is known by, without ports; requests for others are refused (DNS rebinding). Empty: any."""
    is_proxy_trusted: bool = False
    """Whether X-Forwarded-Host is believed: only with a proxy in front that sets it."""
    root_path: str = ""
    """Prefix that a proxy takes away: "/mix"."""
    most_sockets: int = 400
    """Open at once, those without a seat among them."""
    most_uploads: int = 4
    """Bodies that are read at once; one of each seat."""
    upload: UploadConfig = dataclasses.field(default_factory=UploadConfig)
    """What is taken as sound."""
    socket: SocketConfig = dataclasses.field(default_factory=SocketConfig)
    """What a socket may do."""


def create_app(hall: Hall, config: ServeConfig) -> FastAPI:
    """The application: the hall runs as long as it does.

    Args:
      hall: seats; started and closed with the application.
      config: how the routes are set up.
    Raises:
      ValueError: an origin that is none.
    """
    for origin in config.allowed_origins:
        if origins.place_of_origin(origin) is None:
            raise ValueError(f"{origin!r} is no origin; give scheme and host, like https://studio.example")
    routes = _Routes(hall, config)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        hall.start()
        yield
        await asyncio.to_thread(hall.close)
        routes.close()

    app = FastAPI(lifespan=lifespan, root_path=config.root_path, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_KnownHosts, config=config)
    app.add_api_websocket_route("/live/ws", routes.socket)
    app.add_api_route("/live/prompts", routes.prompt, methods=["POST"])
    app.add_api_route("/live/context", routes.context, methods=["POST"])
    app.add_api_route("/live/leave", routes.leave, methods=["POST"])
    app.add_api_route("/live/recordings/{file_id}", routes.recording, methods=["GET"])
    app.add_api_route("/live/last", routes.last, methods=["GET"])
    app.add_api_route("/live/log", routes.log, methods=["GET"])
    app.add_api_route("/live/health", routes.health, methods=["GET"])
    app.add_api_route("/live/static/{name}", routes.static, methods=["GET", "HEAD"])
    return app


class _KnownHosts:
    """Refuses whatever was sent to a name that is not ours, the page among it."""

    def __init__(self, app: Any, config: ServeConfig) -> None:
        self._app, self._config = app, config

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_request = scope["type"] in ("http", "websocket")
        if not is_request or origins.is_known_host(_host(scope, self._config), self._config.hosts):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(4403)  # before it is accepted: answered with 403
        else:
            await JSONResponse({"detail": "this server is not known by that name"}, 421)(scope, receive, send)


class _Routes:
    """The routes' functions, and what they share."""

    def __init__(self, hall: Hall, config: ServeConfig) -> None:
        self._hall, self._config = hall, config
        self._pool = ThreadPoolExecutor(DECODERS, thread_name_prefix="decoder")
        self._uploading: set[str] = set()
        self._saving: set[str] = set()
        self._num_sockets = 0
        self._static = dict(_static_files(config.static_folder))
        lead = (wire.LOWEST_LEAD_SECONDS, wire.HIGHEST_LEAD_SECONDS)
        told = {
            "lead_seconds": lead,
            "upload_bytes": config.upload.most_bytes,
            "upload_seconds": config.upload.most_seconds,
            "message_bytes": wire.MOST_TEXT_BYTES,
            "messages_a_second": config.socket.limits.messages_a_second,
            "microphone_samples": wire.MOST_MICROPHONE_SAMPLES,
            "last_seconds": MOST_LAST_SECONDS,
        }
        self._socket_config = dataclasses.replace(config.socket, told={**told, **config.socket.told})

    def close(self) -> None:
        """Lets the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # The socket.

    async def socket(self, websocket: WebSocket) -> None:
        """WS live/ws."""
        if not self._is_from_us(websocket, is_program=websocket.headers.get(origins.PROGRAM_HEADER) == "1"):
            await websocket.close(4403)  # before it is accepted: answered with 403
        elif SUBPROTOCOL not in websocket.scope.get("subprotocols", []):
            await _turn_away(websocket, 4400, f"the subprotocol is missing; ask for {SUBPROTOCOL}")
        elif self._num_sockets >= self._config.most_sockets:
            await _turn_away(websocket, 4429, "too many connections; come back later", SUBPROTOCOL)
        else:
            self._num_sockets += 1
            try:
                await websocket.accept(SUBPROTOCOL)
                await Socket(websocket, self._hall, self._config.tokens, self._socket_config).run()
            finally:
                self._num_sockets -= 1

    async def leave(self, request: Request) -> Response:
        """POST live/leave."""
        await asyncio.to_thread(self._hall.vacate, self._claim(request))
        return Response(status_code=204, headers=PRIVATE)

    # Sounds that come.

    async def prompt(self, request: Request) -> JSONResponse:
        """POST live/prompts."""
        async with self._upload(request) as (seat, sound):
            try:
                prompt = seat.shelf.add(sound)
            except ValueError as error:
                raise HTTPException(409, str(error)) from None
            return JSONResponse({"prompt": prompt, "name": sound.name, "seconds": round(sound.seconds, 3)}, headers=PRIVATE)

    async def context(self, request: Request) -> JSONResponse:
        """POST live/context."""
        async with self._upload(request) as (seat, sound):
            try:
                await self._in_pool(seat.bring, sound.samples, sound.name)
            except ValueError as error:
                raise HTTPException(409, str(error)) from None
            return JSONResponse({"name": sound.name, "seconds": round(sound.seconds, 3)}, headers=PRIVATE)

    @contextlib.asynccontextmanager
    async def _upload(self, request: Request) -> AsyncIterator[tuple[Seat, uploads.Upload]]:
        """Seat and sound of a request."""
        claim, config = self._claim(request), self._config
        seat = self._hall.find(claim)
        if seat is None:
            raise HTTPException(409, "there is no seat with this token; press play first")
        if claim.seat_id in self._uploading or len(self._uploading) >= config.most_uploads:
            raise HTTPException(429, "another file is just being read; wait a moment")
        self._uploading.add(claim.seat_id)
        try:
            name, data = await bodies.read_file(request, config.upload)
            try:
                sound = await self._in_pool(_decode, data, name, config.upload)
            except AudioFormatError as error:
                raise HTTPException(422, str(error)) from None
            yield seat, sound
        finally:
            self._uploading.discard(claim.seat_id)

    # Files that go.

    async def recording(self, request: Request, file_id: str) -> FileResponse:
        """GET live/recordings/{file_id}."""
        claim = self._claim(request)
        try:
            if not FILE_ID.fullmatch(file_id):
                raise KeyError(file_id)
            stored = self._hall.recordings.find(claim.seat_id, file_id)
        except KeyError:
            raise HTTPException(404, "there is no such recording of yours") from None
        return FileResponse(stored.path, media_type="audio/flac", filename=stored.name, headers=PRIVATE)

    async def last(self, request: Request, seconds: str = "60") -> Response:
        """GET live/last."""
        seat = self._hall.find(self._claim(request))
        try:
            wanted = float(seconds[:20])
        except ValueError:
            wanted = math.nan
        if not 1.0 <= wanted <= MOST_LAST_SECONDS:
            raise HTTPException(422, f"seconds are {seconds[:20]!r}; give 1 to {MOST_LAST_SECONDS:g}")
        if seat is None:
            raise HTTPException(409, "there is no seat with this token; press play first")
        if seat.id in self._saving:
            raise HTTPException(429, "the last one is still being written; wait a moment")
        self._saving.add(seat.id)
        try:
            data = await self._in_pool(lambda: _flac(seat.last(wanted)))
        finally:
            self._saving.discard(seat.id)
        if not data:
            raise HTTPException(409, "nothing was played yet")
        headers = {**PRIVATE, "Content-Disposition": 'attachment; filename="last.flac"'}
        return Response(data, media_type="audio/flac", headers=headers)

    async def log(self, request: Request) -> StreamingResponse:
        """GET live/log: whole lines, as far as they are written."""
        path = self._hall.log_of(self._claim(request).seat_id)
        try:
            size = 0 if path is None else await asyncio.to_thread(_whole_lines, path)
        except OSError:
            size = 0
        if path is None or not size:
            raise HTTPException(404, "there is no log of yours")
        headers = {**PRIVATE, "Content-Disposition": 'attachment; filename="performance.jsonl"', "Content-Length": str(size)}
        return StreamingResponse(_pieces(path, size), media_type="application/jsonl", headers=headers)

    async def health(self) -> JSONResponse:
        """GET live/health."""
        sessions, most, waiting, rtf, _ = self._hall.health()
        shown = round(rtf, 3) if math.isfinite(rtf) else None
        return JSONResponse({"sessions": sessions, "most": most, "waiting": waiting, "rtf": shown}, headers=PRIVATE)

    async def static(self, name: str) -> Response:
        """GET live/static/{name}."""
        found = self._static.get(name)
        if found is None:
            raise HTTPException(404, "there is no such file")
        data, media_type = found
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(data, media_type=media_type, headers=headers)

    # Who asks.

    def _claim(self, request: Request) -> TokenClaim:
        """What the request's token says.

        Raises:
          HTTPException: 403 a foreign page, 401 no token, or none of ours.
        """
        if not self._is_from_us(request, is_program=True):
            raise HTTPException(403, "this page is not one of this server's")
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            token = request.query_params.get("token", "") if request.method == "GET" else ""
        try:
            return self._config.tokens.check(token.strip())
        except ValueError as error:
            raise HTTPException(401, str(error), headers={"WWW-Authenticate": "Bearer"}) from None

    def _is_from_us(self, asked: Request | WebSocket, *, is_program: bool) -> bool:
        host, config = _host(asked.scope, self._config), self._config
        told = asked.headers.getlist("origin")
        return origins.is_allowed(told, host, allowed=config.allowed_origins, is_program=is_program)

    async def _in_pool(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


async def _turn_away(websocket: WebSocket, code: int, reason: str, subprotocol: str | None = None) -> None:
    """Says why not, which a page can only read on an open socket."""
    await websocket.accept(subprotocol)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await websocket.close(code, reason)


def _host(scope: Any, config: ServeConfig) -> str | None:
    told = {
        wanted: [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
        for wanted in (b"host", b"x-forwarded-host")
    }
    return origins.host_of(told[b"host"], told[b"x-forwarded-host"], is_proxy_trusted=config.is_proxy_trusted)


def _static_files(folder: Path | None) -> Iterator[tuple[str, tuple[bytes, str]]]:
    """Name, content and type of each file; no links, nothing hidden, nothing below."""
    for path in sorted(folder.iterdir()) if folder is not None else ():
        is_ours = path.suffix in STATIC_SUFFIXES and not path.name.startswith(".") and not path.is_symlink()
        if is_ours and path.is_file() and path.stat().st_size <= MOST_STATIC_BYTES:
            kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
            yield path.name, (path.read_bytes(), kind or "application/octet-stream")


def _decode(data: bytes, name: str, config: UploadConfig) -> uploads.Upload:
    return uploads.decode(data, name, config=config)


def _flac(samples: Float[np.ndarray, "samples 2"]) -> bytes:
    """The very 16 bits that were sent; nothing for no samples."""
    if not len(samples):
        return b""
    whole = np.clip(np.rint(samples * wire.FULL_SCALE), -wire.FULL_SCALE, wire.FULL_SCALE - 1.0).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, whole, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _whole_lines(path: Path) -> int:
    """Bytes up to the last line's end."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        start = file.seek(max(0, size - TAIL_BYTES))
        return start + file.read(size - start).rfind(b"\n") + 1


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """So much of a file, and not what is written meanwhile."""
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
            size -= len(piece)
            yield piece
