"""A registry that only tells what reached it: `python -m tests.registry.frontdoor.stub`, settings from PIER_*.

GET /v1/echo           what the registry sees of the request
GET /v1/file/NAME      a layer by X-Accel-Redirect, or whole whatever the Range with ?whole; /v2/file/NAME, too
GET /v1/status/CODE    an empty answer of that status
PUT /v1/upload         reads the body, noting each piece
POST /v2/session       202 with the Location /v2/session/1?state=2
Every request appends a line to `<data>/seen`; each piece of an upload appends its length to `<data>/pieces`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pier_registry import serving
from pier_registry.settings import Settings

Start = Callable[[str, list[tuple[str, str]]], Any]


class Stub:
    def __init__(self, data: Path) -> None:
        self._data = data

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self._note("seen", f"{environ['REQUEST_METHOD']} {path}")
        if path.startswith(("/v1/file/", "/v2/file/")):
            return self._file(environ, start)
        if path == "/v2/session":
            start("202 Accepted", [("Location", "/v2/session/1?state=2"), ("Content-Length", "0")])
            return [b""]
        if path == "/v1/upload":
            return self._upload(environ, start)
        if path.startswith("/v1/status/"):
            start(f"{path.rpartition('/')[2]} Said", [("Content-Length", "0"), ("X-Pier-User", "ann")])
            return [b""]
        return self._answer(start, _seen(environ))

    def _file(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        area = "_whole" if environ["QUERY_STRING"] == "whole" else "_layers"
        _, room, _, name = environ["PATH_INFO"].split("/", 3)
        start(
            "200 OK",
            [
                ("X-Accel-Redirect", f"/{area}/{name}"),
                *([("Docker-Distribution-Api-Version", "registry/2.0")] if room == "v2" else []),
                ("Content-Type", "application/vnd.test.layer"),
                ("ETag", '"sha256:abc"'),
                ("Docker-Content-Digest", "sha256:abc"),
                ("X-Docker-Size", "12"),
                ("X-Docker-Registry-Version", "stub"),
                ("Accept-Ranges", "bytes"),
                ("Cache-Control", "max-age=31536000"),
                ("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT"),
                ("X-Pier-User", "ann"),
            ],
        )
        return [b""]

    def _upload(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        body, digest, size = environ["wsgi.input"], hashlib.sha256(), 0
        while piece := body.read(65536):
            digest.update(piece)
            size += len(piece)
            self._note("pieces", str(len(piece)))
        return self._answer(start, {"size": size, "sha256": digest.hexdigest()})

    def _answer(self, start: Start, told: dict[str, Any]) -> Iterable[bytes]:
        body = json.dumps(told).encode()
        start(
            "200 OK",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("X-Docker-Registry-Version", "stub"),
                ("X-Pier-User", "ann"),
            ],
        )
        return [body]

    def _note(self, file: str, line: str) -> None:
        with (self._data / file).open("a", encoding="utf-8") as notes:
            notes.write(line + "\n")


def _seen(environ: dict[str, Any]) -> dict[str, Any]:
    headers = {key.removeprefix("HTTP_"): value for key, value in environ.items() if key.startswith("HTTP_")}
    scheme = environ["wsgi.url_scheme"]
    return {
        "path": environ["PATH_INFO"],
        "raw": environ["RAW_URI"],
        "scheme": scheme,
        "headers": headers,
        "worker": os.getpid(),
    }


if __name__ == "__main__":
    settings = Settings.load()
    serving.run(settings, lambda _: Stub(settings.data.absolute()))
