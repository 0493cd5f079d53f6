"""`docker pull`: candidates, tags, ancestry, then json and layer from root to top."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO

from tests.clients.v1_layer import Inflated
from tests.clients.v1_model import Pulled, PulledLayer, Resumed
from tests.clients.v1_session import TOKEN_WANTED, Session, quoted
from tests.clients.v1_wire import ClientError, ConnectionLost, Response, pieces, whole

TRIES = 5
DOWNLOADS = 3
RESUMES = 20
_FULL_ID = re.compile(r"[a-f0-9]{64}")


class Pull:
    """One pull of one repository. With `into`, each layer is also kept there as `<id>.layer`, as transmitted."""

    def __init__(self, session: Session, repository: str, into: Path | None = None) -> None:
        self.session = session
        self.repository = repository
        self._into = into
        self._layers: dict[str, PulledLayer] = {}
        self._endpoint = session.endpoints[0]
        self._name = f"{session.host}/{repository}"

    def run(self, tag: str | None) -> dict[str, Pulled]:
        """By tag; all tags when none is named. Raises ClientError with docker's message."""
        listed = self.candidates(tag)
        wanted = self._tags(tag)
        echoed = {entry["id"]: entry["Tag"] for entry in listed if entry.get("Tag") and tag in {None, entry["Tag"]}}
        for image_id in echoed.keys() - set(wanted.values()):
            # A registry that echoes tags makes docker fetch that image too, whatever the tag map says.
            self._image(image_id, echoed[image_id])
        return {name: self._image(image_id, name) for name, image_id in wanted.items()}

    def candidates(self, tag: str | None = None) -> list[dict[str, Any]]:
        """GET the repository's images; tokens and endpoints come with them."""
        url = f"{self.session.index}repositories/{self.repository}/images"
        answer = self.session.ask("GET", url, headers=TOKEN_WANTED)
        if answer.status == 401:
            raise self.session.login_required(answer)
        if answer.status == 404:
            raise ClientError(f"Error: image {self.repository}{':' + tag if tag else ''} not found", answer)
        if answer.status != 200:
            problem = f"Error: Status {answer.status} trying to pull repository {self.repository}: "
            raise ClientError(problem + quoted(answer.body), answer)
        if self.session.engine.needs_token:
            self.session.remember_tokens(answer)
        self.session.remember_endpoints(answer)
        return [dict(entry) for entry in _list(answer)]

    def tags(self) -> dict[str, str]:
        return {str(tag): _text(image_id, answer) for answer in [self._ask_tags("")] for tag, image_id in _map(answer)}

    def ancestry(self, image_id: str) -> list[str]:
        """The image itself first, its root last."""
        answer = self.session.ask("GET", self._url(image_id, "ancestry"))
        if answer.status == 401:
            raise self.session.login_required(answer)
        if answer.status != 200:
            problem = f"Server error: {answer.status} trying to fetch remote history for {image_id}"
            raise ClientError(problem, answer)
        ids = [_text(entry, answer) for entry in _list(answer)]
        if not ids:
            raise ClientError(f"empty history for image {image_id}", answer)
        return ids

    def json(self, image_id: str) -> tuple[bytes, int]:
        """The json's bytes and X-Docker-Size (-1 when absent); five tries, whatever the failure."""
        for attempt in range(1, TRIES):
            try:
                return self._json(image_id)
            except ClientError:
                self.session.wait(0.5 * attempt)
        return self._json(image_id)

    def resume(self, image_id: str, cut_after: int, path: Path) -> Resumed:
        """Break the download after `cut_after` bytes, then ask for the rest as docker does, into `path`."""
        _, size = self.json(image_id)
        with path.open("wb") as file:
            with self._start(image_id) as first:
                _require_ranges(first, size)
                _copy(first, file, cut_after)
            if file.tell() != cut_after:
                raise ClientError(f"the layer has {file.tell()} bytes only: it cannot be cut after {cut_after}")
            second = self._rest(image_id, cut_after, size)
            status, content_range = second.status, second.headers.get("Content-Range", "")
            for piece in pieces(second):
                file.write(piece)
        with path.open("rb") as file:
            return Resumed(status, content_range, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())

    def _tags(self, tag: str | None) -> dict[str, str]:
        if tag is not None and self.session.engine.looks_up_one_tag:
            answer = self._ask_tags(f"/{tag}", f"Tag {tag} not found in repository {self._name}")
            return {tag: _text(_decoded(answer), answer)}
        tags = self.tags()
        if tag is not None and tag not in tags:
            raise ClientError(f"Tag {tag} not found in repository {self._name}")
        return tags if tag is None else {tag: tags[tag]}

    def _ask_tags(self, suffix: str, missing: str = "Repository not found") -> Response:
        """From the first endpoint that answers 200 or 404."""
        name = self.repository if "/" in self.repository else f"library/{self.repository}"
        for endpoint in self.session.endpoints:
            answer = self.session.ask("GET", f"{endpoint}repositories/{name}/tags{suffix}")
            if answer.status == 404:
                raise ClientError(missing, answer)
            if answer.status == 200:
                return answer
        raise ClientError("Could not reach any registry endpoint", answer)

    def _image(self, image_id: str, tag: str) -> Pulled:
        """From the first endpoint that can give all of it."""
        last = ClientError("no endpoint")
        for endpoint in self.session.endpoints:
            self._endpoint = endpoint
            try:
                return self._chain(image_id)
            except ClientError as wrong:
                last = wrong
        raise ClientError(f"Error pulling image ({tag}) from {self._name}, {last}", last.response) from last

    def _chain(self, image_id: str) -> Pulled:
        if self.session.engine.validates_ids and not _FULL_ID.fullmatch(image_id):
            raise ClientError(f'image ID "{image_id}" is invalid')
        chain = self.ancestry(image_id)[::-1]
        if self.session.engine.pulls_jsons_first:
            described = [(layer_id, *self.json(layer_id)) for layer_id in chain]
            with ThreadPoolExecutor(max_workers=DOWNLOADS) as pool:
                layers = tuple(pool.map(lambda known: self._layer(*known), described))
        else:
            layers = tuple(self._next(layer_id) for layer_id in chain)
        return Pulled(image_id, layers)

    def _next(self, layer_id: str) -> PulledLayer:
        return self._layers[layer_id] if layer_id in self._layers else self._layer(layer_id, *self.json(layer_id))

    def _layer(self, layer_id: str, document: bytes, size: int) -> PulledLayer:
        """Download once in this pull, hashing on the way."""
        if layer_id not in self._layers:
            digest, inflated, received = hashlib.sha256(), Inflated(), 0
            with (self._into / f"{layer_id}.layer").open("wb") if self._into else nullcontext() as file:
                for piece in self._download(layer_id, size):
                    digest.update(piece)
                    inflated.update(piece)
                    received += len(piece)
                    if file:
                        file.write(piece)
            hashes = (digest.hexdigest(), received, inflated.hexdigest())
            self._layers[layer_id] = PulledLayer(layer_id, document, *hashes)
        return self._layers[layer_id]

    def _json(self, image_id: str) -> tuple[bytes, int]:
        answer = self.session.ask("GET", self._url(image_id, "json"))
        if answer.status != 200:
            raise ClientError(f"HTTP code {answer.status}", answer)
        size = answer.header("X-Docker-Size")
        if size and not re.fullmatch(r"-?\d+", size):
            raise ClientError(f'strconv.ParseInt: parsing "{size}": invalid syntax', answer)
        if not isinstance(_decoded(answer), dict):
            raise ClientError("Failed to parse json: it is no object", answer)
        return answer.body, int(size or -1)

    def _download(self, image_id: str, size: int) -> Iterator[bytes]:
        """Bytes of the layer; a broken read is resumed when the registry takes ranges and told the size."""
        response = self._start(image_id)
        ranges = response.headers.get("Accept-Ranges") == "bytes" and size > 0
        received = 0
        for _ in range(RESUMES):
            try:
                for piece in pieces(response):
                    received += len(piece)
                    yield piece
                return
            except ConnectionLost:
                if not ranges:
                    raise
            response = self._rest(image_id, received, size)
        raise ClientError(f"the layer broke off {RESUMES} times")

    def _start(self, image_id: str) -> HTTPResponse:
        response = self.session.open("GET", self._url(image_id, "layer"))
        if response.status != 200:
            problem = f"Server error: Status {response.status} while fetching image layer ({image_id})"
            raise ClientError(problem, whole(response))
        if response.headers.get("Content-Encoding"):
            # Go would inflate it on the way, and then resume at the wrong byte.
            response.close()
            raise ClientError("the layer came with a Content-Encoding")
        return response

    def _rest(self, image_id: str, received: int, size: int) -> HTTPResponse:
        """The end asked for is one past the last byte. All received already: exactly 416, Content-Length 0."""
        if not received:
            return self._start(image_id)
        self.session.wait(5)
        headers = {"Range": f"bytes={received}-{size}"}
        response = self.session.open("GET", self._url(image_id, "layer"), headers=headers)
        complete = response.status == 416 and received == size and response.headers.get("Content-Length") == "0"
        if response.status != 206 and not complete:
            raise ClientError("the server doesn't support byte ranges", whole(response))
        return response

    def _url(self, image_id: str, part: str) -> str:
        return f"{self._endpoint}images/{image_id}/{part}"


def _require_ranges(response: HTTPResponse, size: int) -> None:
    if response.headers.get("Accept-Ranges") != "bytes" or size <= 0:
        raise ClientError("this download cannot be resumed: Accept-Ranges is not bytes, or X-Docker-Size is missing")


def _copy(response: HTTPResponse, file: BinaryIO, length: int) -> None:
    while length and (piece := response.read(min(length, 1 << 16))):
        file.write(piece)
        length -= len(piece)


def _decoded(answer: Response) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError as wrong:
        raise ClientError(f"Failed to parse json: {wrong}", answer) from wrong


def _list(answer: Response) -> list[Any]:
    told = _decoded(answer)
    if not isinstance(told, list):
        raise ClientError("json: cannot unmarshal the answer into a Go slice", answer)
    return told


def _map(answer: Response) -> list[tuple[str, Any]]:
    told = _decoded(answer)
    if not isinstance(told, dict):
        raise ClientError("json: cannot unmarshal the answer into a Go map", answer)
    return list(told.items())


def _text(value: object, answer: Response) -> str:
    if not isinstance(value, str):
        raise ClientError("json: cannot unmarshal the answer into a Go value of type string", answer)
    return value
