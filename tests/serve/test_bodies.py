"""Bodies: read while they are counted; what is too large, too slow, packed or no form is refused before it is all there."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import HTTPException, Request

from magenta_rt_py.serve.bodies import read_file
from magenta_rt_py.serve.uploads import UploadConfig

LIMITS = UploadConfig(most_bytes=1000, body_seconds=30.0, silent_seconds=30.0)
FORM = b"--x\r\nContent-Disposition: form-data; name=a; filename=../b.wav\r\n\r\n%s\r\n--x--\r\n"


def read(pieces, headers=(), config=LIMITS, query=b"", taken=None):
    """What comes of a body in pieces; None among them waits for ever, a number so many seconds."""
    left = list(pieces)

    async def receive():
        while left and not isinstance(left[0], bytes):
            await asyncio.sleep(1e9 if left[0] is None else left[0])
            left.pop(0)
        if not left:
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        if taken is not None:
            taken.append(len(piece))
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    told = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": told, "query_string": query}
    with ThreadPoolExecutor(1) as thread:  # browser tests leave a loop running on the main one
        return thread.submit(asyncio.run, asyncio.wait_for(read_file(Request(scope, receive), config), 60.0)).result()


def refusal(*arguments, **options) -> int:
    with pytest.raises(HTTPException) as caught:
        read(*arguments, **options)
    assert "\n" not in caught.value.detail
    return caught.value.status_code


def test_a_body_is_the_file():
    assert read([b"ab", b"", b"cd"], query=b"name=my%20song.wav") == ("my song.wav", b"abcd")
    assert read([b"x" * 1000]) == ("", b"x" * 1000)


def test_a_form_has_a_file():
    kind = [("content-type", "multipart/form-data; boundary=x")]
    assert read([FORM % b"abcd"], kind) == ("../b.wav", b"abcd")
    assert read([(FORM % b"abcd")[place : place + 1] for place in range(len(FORM % b"abcd"))], kind)[1] == b"abcd"
    assert refusal([FORM % (b"x" * 1001)], kind) == 413
    assert refusal([b"--x--\r\n"], kind) == 400
    assert refusal([b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nwords\r\n--x--\r\n"], kind) == 400


def test_what_is_too_large_is_not_read_to_its_end():
    taken = []
    assert refusal([b"x" * 1000] * 1000, taken=taken) == 413
    assert len(taken) <= 12
    assert refusal([], [("content-length", "20000")]) == 413
    assert refusal([], [("content-length", "9" * 5000)]) == 413
    assert refusal([b"x" * 1001]) == 413


def test_who_sends_nothing_is_not_waited_for():
    quick = UploadConfig(most_bytes=1000, body_seconds=1e6, silent_seconds=0.05)
    assert refusal([None], config=quick) == 408
    assert refusal([b"a", None], config=quick) == 408


def test_who_trickles_is_not_waited_for():
    quick = UploadConfig(most_bytes=1000, body_seconds=0.1, silent_seconds=1e6)
    assert refusal([piece for _ in range(10_000) for piece in (b"a", 0.005)], config=quick) == 408


def test_what_is_packed_or_breaks_off_is_refused():
    assert refusal([b"x"], [("content-encoding", "gzip")]) == 415
    assert refusal([b"x", 0.0]) == 400
