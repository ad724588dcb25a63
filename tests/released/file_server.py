"""A server on this machine that speaks as much of the hub's protocol as fetching needs, with faults on demand.

Addresses: /api/models/<repository>/revision/<revision> is the listing; /<repository>/resolve/<revision>/<path> leads to a
file. Small files are sent at once. Large ones are redirected to another host name, as the hub does with its content store.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_FROM_BYTES = 1000
"""Files of at least this size are large: sha256, and elsewhere."""


@dataclasses.dataclass
class Request:
    """What was asked for, and how much content was sent."""

    method: str
    path: str
    range_start: int
    sent: int = 0
    authorization: str | None = None


@dataclasses.dataclass
class Hub:
    """The state of the server; tests change it while it runs.

    Attributes:
      files: path -> content.
      faults: path -> what happens to the next requests for content, in order: ("drop", n) sends n bytes and hangs up;
        ("status", code) answers that; ("garble", 0) sends other bytes; ("whole", 0) ignores the range.
      refuse: answer everything with (status, error code); None answers properly.
    """

    repository: str
    files: dict[str, bytes]
    commit: str = COMMIT
    faults: dict[str, list[tuple[str, int]]] = dataclasses.field(default_factory=dict)
    refuse: tuple[int, str] | None = None
    requests: list[Request] = dataclasses.field(default_factory=list)
    address: str = ""

    def listing(self) -> dict[str, Any]:
        """The answer of the models API with files' metadata."""
        siblings = []
        for path, content in self.files.items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_sha1(content)}
            if is_large(content):
                entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {"id": self.repository, "modelId": self.repository, "sha": self.commit, "siblings": siblings, "tags": []}

    def content_requests(self, path: str) -> list[Request]:
        """Requests that asked for a file's content."""
        return [request for request in self.requests if request.method == "GET" and request.path.endswith(path)]

    def sent(self, path: str = "") -> int:
        """Bytes of content sent, of one file or of all."""
        return sum(request.sent for request in self.content_requests(path) if "/api/" not in request.path)


def sha256(content: bytes) -> str:
    """Of large files."""
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    """Of small files."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def is_large(content: bytes) -> bool:
    """Whether the hub would keep it elsewhere."""
    return len(content) >= LARGE_FROM_BYTES


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serves a hub on a free port of this machine while the block runs; its address is in hub.address."""

    class Bound(_Handler):
        pass

    Bound.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:  # quiet
        pass

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, *, with_content: bool) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        request = Request(self.command, path, start, authorization=self.headers.get("Authorization"))
        hub.requests.append(request)
        if hub.refuse:
            self._fail(*hub.refuse)
        elif path.startswith(f"/api/models/{hub.repository}/revision/"):
            if path.rpartition("/")[2] not in ("main", hub.commit):
                self._fail(404, "RevisionNotFound")
            else:
                self._send(json.dumps(hub.listing()).encode(), {"Content-Type": "application/json"}, with_content)
        elif path.startswith(f"/{hub.repository}/resolve/"):
            name = path.removeprefix(f"/{hub.repository}/resolve/").partition("/")[2]
            self._resolve(request, name, start, with_content)
        elif path.startswith("/store/") and path.removeprefix("/store/") in hub.files:
            self._content(request, path.removeprefix("/store/"), start, with_content)
        else:
            self._fail(404, "RepoNotFound")

    def _resolve(self, request: Request, name: str, start: int, with_content: bool) -> None:
        hub = self.hub
        if name not in hub.files:
            self._fail(404, "EntryNotFound")
            return
        content = hub.files[name]
        if not is_large(content):
            self._content(request, name, start, with_content)
            return
        port = urlsplit(hub.address).port
        headers = {
            "X-Repo-Commit": hub.commit,
            "X-Linked-Etag": f'"{sha256(content)}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"http://localhost:{port}/store/{name}",
        }
        self._send(b"", headers, with_content, status=302)

    def _content(self, request: Request, name: str, start: int, with_content: bool) -> None:
        hub, content = self.hub, self.hub.files[name]
        headers = {"X-Repo-Commit": hub.commit, "ETag": f'"{git_sha1(content)}"', "Accept-Ranges": "bytes"}
        kind, number = (hub.faults.get(name) or [("", 0)])[0]
        if with_content and kind:
            hub.faults[name].pop(0)
            if kind == "status":
                self._fail(number, "")
                return
            if kind == "garble":
                content = bytes(byte ^ 1 for byte in content)
            if kind == "whole":
                start = 0
        status = 206 if start else 200
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if with_content and kind == "drop":
            self._headers(status, headers, len(body))
            self.wfile.write(body[:number])
            self.wfile.flush()
            request.sent = number
            self.close_connection = True
            return
        self._send(body, headers, with_content, status=status)
        request.sent = len(body) if with_content else 0

    def _fail(self, status: int, code: str) -> None:
        self._send(b"", {"X-Error-Code": code, "X-Repo-Commit": self.hub.commit}, True, status=status)

    def _send(self, body: bytes, headers: dict[str, str], with_content: bool, *, status: int = 200) -> None:
        self._headers(status, headers, len(body))
        if with_content:
            self.wfile.write(body)

    def _headers(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()
