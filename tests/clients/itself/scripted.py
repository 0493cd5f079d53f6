"""A TLS socket that writes down exactly what a client sent, and a registry small enough to be trusted by eye."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: its head as sent, its de-chunked body, the sizes of its chunks, whether it came to its end."""

    head: str
    body: bytes = b""
    chunks: tuple[int, ...] = ()
    complete: bool = True

    @property
    def line(self) -> str:
        """Method and target."""
        return self.head.partition(" HTTP/1.1")[0]

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}: ?(.*)\r$", self.head, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else None


Handler = Callable[[Seen], bytes | None]


def answer(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """Header names are given with `_` for `-`."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Text", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    lines += [] if status == 204 or "Content_Length" in headers else [f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class Server:
    """Answers one request per connection, each in a thread of its own; `seen` in order of arrival.

    `early` may answer on the head alone; the body is then drained without a word.
    """

    handler: Handler
    tls: ssl.SSLContext | None
    early: Handler = lambda _: None
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = f"localhost:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)

    @property
    def lines(self) -> list[str]:
        return [seen.line for seen in self.seen]

    def one(self, line: str) -> Seen:
        """The only request with that method and target."""
        (found,) = [seen for seen in self.seen if seen.line == line]
        return found

    @contextmanager
    def running(self) -> Iterator[Server]:
        self._acceptor.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._acceptor.join()
            self._listener.close()
            for thread in self._threads:
                thread.join()

    def settle(self) -> None:
        """Wait until every connection made so far is dealt with."""
        for thread in list(self._threads):
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(plain,)))
            self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(30)
        with plain:
            try:
                with self.tls.wrap_socket(plain, server_side=True) if self.tls else plain as connection:
                    self._exchange(connection)
            except (ssl.SSLError, ConnectionError):
                return

    def _exchange(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as reader:
            head = _head(reader)
            early = self.early(Seen(head))
            if early:
                connection.sendall(early)
            request = _request(head, reader)
            self.seen.append(request)
            told = self.handler(request) if request.complete and not early else None
            if told:
                connection.sendall(told)


def _head(reader: BinaryIO) -> str:
    lines = []
    while (line := reader.readline()) not in {b"\r\n", b""}:
        lines.append(line.decode())
    return "".join(lines)


def _request(head: str, reader: BinaryIO) -> Seen:
    if "\r\nTransfer-Encoding: chunked\r\n" not in head:
        length = int(Seen(head).header("Content-Length") or 0)
        body = reader.read(length)
        return Seen(head, body, (), len(body) == length)
    chunks: list[bytes] = []
    try:
        while length := int(reader.readline(), 16):
            chunks.append(reader.read(length))
            if len(chunks[-1]) < length or reader.readline() != b"\r\n":
                raise ValueError("cut")
        complete = reader.readline() == b"\r\n"
    except (ValueError, OSError):
        complete = False
    return Seen(head, b"".join(chunks), tuple(len(chunk) for chunk in chunks), complete)


class TinyRegistry:
    """The happy path of a standalone v1 registry, in memory. `rules` go first: (pattern of the line, handler)."""

    def __init__(self) -> None:
        self.rules: list[tuple[str, Handler]] = []
        self.jsons: dict[str, bytes] = {}
        self.layers: dict[str, bytes] = {}
        self.checksums: dict[str, tuple[str | None, str | None]] = {}
        self.tags: dict[str, str] = {}

    def rule(self, pattern: str, told: bytes | Handler) -> None:
        self.rules.insert(0, (pattern, told if callable(told) else lambda _: told))

    def __call__(self, seen: Seen) -> bytes | None:
        for pattern, handler in [*self.rules, *self._routes()]:
            if re.fullmatch(pattern, seen.line):
                return handler(seen)
        return answer(404, '{"error": "nothing here"}')

    def _routes(self) -> list[tuple[str, Handler]]:
        return [
            ("GET /v1/_ping", lambda _: answer(200, "{}", X_Docker_Registry_Standalone="True")),
            ("PUT /v1/repositories/.*/tags/.*", self._put_tag),
            ("PUT /v1/repositories/.*/images", lambda _: answer(204)),
            ("PUT /v1/repositories/.*/", lambda seen: answer(200, '""', **_index(seen))),
            ("PUT /v1/images/.*", self._put_image),
            ("GET /v1/repositories/.*/images", self._list),
            ("GET /v1/repositories/.*/tags", lambda _: answer(200, json.dumps(self.tags))),
            ("GET /v1/repositories/.*/tags/.*", self._get_tag),
            ("GET /v1/images/.*", self._get_image),
        ]

    def _put_tag(self, seen: Seen) -> bytes:
        self.tags[_last(seen)] = json.loads(seen.body)
        return answer(200, "true")

    def _put_image(self, seen: Seen) -> bytes:
        image_id, part = seen.line.split("/")[-2:]
        if part == "json":
            self.jsons[image_id] = seen.body
        elif part == "layer":
            self.layers[image_id] = seen.body
        else:
            self.checksums[image_id] = (seen.header("X-Docker-Checksum"), seen.header("X-Docker-Checksum-Payload"))
            payload = hashlib.sha256(self.jsons[image_id] + b"\n" + self.layers[image_id]).hexdigest()
            if self.checksums[image_id][1] != f"sha256:{payload}":
                return answer(400, '{"error": "Checksum mismatch"}')
        return answer(200, "true")

    def _list(self, seen: Seen) -> bytes:
        return answer(200, json.dumps([{"id": image_id} for image_id in self.jsons]), **_index(seen))

    def _get_tag(self, seen: Seen) -> bytes:
        tag = _last(seen)
        return answer(200, json.dumps(self.tags[tag])) if tag in self.tags else answer(404, "{}")

    def _get_image(self, seen: Seen) -> bytes:
        image_id, part = seen.line.split("/")[-2:]
        if image_id not in self.checksums:
            return answer(404, '{"error": "Image not found"}')
        if part == "json":
            return answer(200, self.jsons[image_id], X_Docker_Size=str(len(self.layers[image_id])))
        return self.ranged(seen, self.layers[image_id]) if part == "layer" else answer(200, self._ancestry(image_id))

    def ranged(self, seen: Seen, data: bytes) -> bytes:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", seen.header("Range") or "")
        if not asked:
            return answer(200, data, Accept_Ranges="bytes")
        if int(asked[1]) >= len(data):
            return answer(416, b"", Content_Range=f"bytes */{len(data)}")
        told = f"bytes {asked[1]}-{len(data) - 1}/{len(data)}"
        return answer(206, data[int(asked[1]) :], Content_Range=told)

    def _ancestry(self, image_id: str) -> str:
        chain = [image_id]
        while parent := json.loads(self.jsons[chain[-1]]).get("parent"):
            chain.append(parent)
        return json.dumps(chain)


def _last(seen: Seen) -> str:
    return urlsplit(seen.line.split(" ")[1]).path.rpartition("/")[2]


def _index(seen: Seen) -> dict[str, str]:
    return {"X_Docker_Endpoints": seen.header("Host") or "", "X_Docker_Token": 'Token signature=AB,repository="x/y"'}
