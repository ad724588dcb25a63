"""Bodies: what comes with a request, read while it is counted. Too much, too slow or packed is refused before it is there.

A form's file of more than 1 MB lies in a temporary file without a name while it is read; else nothing is written.
Stateless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import HTTPException, Request

from magenta_rt_py.serve.uploads import UploadConfig

__all__ = ["read_file"]

FORM_BYTES = 10_000
"""What surrounds a file in a form."""


async def read_file(request: Request, config: UploadConfig) -> tuple[str, bytes]:
    """The file of an upload: of a form its first file, else the whole body.

    Args:
      request: whose body has not been read.
      config: what is taken.
    Returns:
      the sender's name of it (of a raw body: the parameter `name`), and its bytes.
    Raises:
      HTTPException: 408 too slow, 413 too large, 415 packed, 400 no file in it or broken off.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "a packed body is not taken; send the file as it is")
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said[:20]) > config.most_bytes + FORM_BYTES:
        raise _too_large(config)
    counted = Request(request.scope, _count(request.receive, config))
    try:
        async with asyncio.timeout(config.body_seconds):
            return await _take_file(counted, config)
    except TimeoutError:
        raise HTTPException(408, "the file came too slowly; send a shorter one") from None


def _count(receive: Callable[[], Awaitable[Any]], config: UploadConfig) -> Callable[[], Awaitable[Any]]:
    """The same, but it stops where there is too much, or nothing for too long."""
    taken = 0

    async def counted() -> Any:
        nonlocal taken
        # Not wait_for: in Python 3.11 it may swallow the end of the whole body's time (its own task ends just then).
        async with asyncio.timeout(config.silent_seconds):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, "the upload broke off")
        taken += len(message.get("body", b""))
        if taken > config.most_bytes + FORM_BYTES:
            raise _too_large(config)
        return message

    return counted


async def _take_file(request: Request, config: UploadConfig) -> tuple[str, bytes]:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        async with request.form(max_files=1, max_fields=8) as form:
            for value in form.values():
                if not isinstance(value, str):
                    data = await value.read(config.most_bytes + 1)
                    return value.filename or "", _within(data, config)
        raise HTTPException(400, "there is no file in the form; send one")
    body = bytearray()
    async for piece in request.stream():
        body += piece
    return request.query_params.get("name", ""), _within(bytes(body), config)


def _within(data: bytes, config: UploadConfig) -> bytes:
    if len(data) > config.most_bytes:
        raise _too_large(config)
    return data


def _too_large(config: UploadConfig) -> HTTPException:
    return HTTPException(413, f"the file is larger than {config.most_bytes / 1e6:g} MB; send a shorter one, or FLAC")
