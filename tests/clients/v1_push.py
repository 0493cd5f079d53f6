"""`docker push`: announce, check, upload parent before child, tag, confirm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.clients.v1_layer import LayerBody, cut_after
from tests.clients.v1_model import ImageLike, LayerLike, Pushed, SentLayer, announced, tags_by_id
from tests.clients.v1_session import ALREADY_EXISTS, TOKEN_WANTED, Headers, Session, quoted, refusal
from tests.clients.v1_wire import ClientError, Cut, Response

JSON = "application/json"
CHECKERS = 5


class Push:
    """One push session for one repository; the methods are docker's steps, to be played in any order."""

    def __init__(self, session: Session, repository: str) -> None:
        self.session = session
        self.repository = repository
        self.cut: int | None = None

    def run(self, images: Mapping[str, ImageLike]) -> Pushed:
        """Everything after the pings. Raises ClientError with docker's message."""
        layers = announced(images)
        self.announce(images)
        uploads: dict[str, SentLayer] = {}
        for endpoint in self.session.endpoints:
            uploads |= self._upload(endpoint, layers, tags_by_id(images))
        self.close()
        uploaded = tuple(layer.id for layer in layers if layer.id in uploads)
        skipped = tuple(layer.id for layer in layers if layer.id not in uploads)
        return Pushed(uploaded, skipped, uploads)

    def announce(self, images: Mapping[str, ImageLike]) -> Response:
        """PUT the list of images; an image is listed once for each of its tags."""
        tags = tags_by_id(images)
        entries = [
            {"id": layer.id, **({"Tag": tag} if tag else {})}
            for layer in announced(images)
            for tag in tags.get(layer.id, [""])
        ]
        answer = self._put_index("", entries, {})
        if answer.status not in {200, 201}:
            raise self._failed(answer, "push repository")
        if self.session.engine.needs_token and not answer.header("X-Docker-Token"):
            raise ClientError("Index response didn't contain an access token", answer)
        if not answer.header("X-Docker-Endpoints"):
            raise ClientError("Index response didn't contain any endpoints", answer)
        if self.session.engine.needs_token:
            self.session.remember_tokens(answer)
        self.session.remember_endpoints(answer)
        return answer

    def close(self) -> Response:
        """PUT the list of images with checksums, which is always empty."""
        answer = self._put_index("images", [], {"X-Docker-Endpoints": self.session.endpoints})
        if answer.status != 204:
            raise self._failed(answer, "push checksums")
        return answer

    def has(self, image_id: str, endpoint: str | None = None) -> bool:
        """Anything but 200 means that the image will be pushed, even a broken connection."""
        try:
            return self.session.ask("GET", self._image(image_id, "json", endpoint)).status == 200
        except ClientError:
            return False

    def put_json(self, layer: LayerLike, endpoint: str | None = None) -> bool:
        """False when the registry says that it has the image already: layer and checksum are skipped then."""
        url = self._image(layer.id, "json", endpoint)
        try:
            answer = self.session.ask("PUT", url, headers={"Content-Type": JSON}, body=layer.json)
        except ClientError as wrong:
            raise ClientError(f"Failed to upload metadata: {wrong}", wrong.response) from wrong
        if answer.status == 200:
            return True
        if answer.status == 401 and url.startswith("http://"):
            raise ClientError("HTTP code 401, Docker will not send auth headers over HTTP.", answer)
        problem = refusal(f"HTTP code {answer.status} while uploading metadata", answer)
        if str(problem) == ALREADY_EXISTS:
            return False
        raise problem

    def put_layer(self, layer: LayerLike, endpoint: str | None = None) -> SentLayer:
        """The tar, through gzip on the fly, chunked. `cut` ends the connection once, after that many bytes."""
        body = LayerBody(layer.json, layer.layer)
        limit, self.cut = self.cut, None
        try:
            answer = self.session.ask(
                "PUT",
                self._image(layer.id, "layer", endpoint),
                headers={"Content-Type": "application/octet-stream"},
                body=body if limit is None else cut_after(body, limit),
            )
        except (ClientError, Cut) as wrong:
            raise ClientError(f"Failed to upload layer: {str(wrong) or 'the connection was cut'}") from wrong
        if answer.status != 200:
            raise ClientError(
                f"Received HTTP code {answer.status} while uploading layer: {quoted(answer.body)}", answer
            )
        return body.sent

    def put_checksum(self, image_id: str, sent: SentLayer, endpoint: str | None = None) -> Response:
        headers = {"X-Docker-Checksum": sent.tarsum, "X-Docker-Checksum-Payload": sent.payload}
        try:
            answer = self.session.ask("PUT", self._image(image_id, "checksum", endpoint), headers=headers)
        except ClientError as wrong:
            raise ClientError(f"Failed to upload metadata: {wrong}", wrong.response) from wrong
        if answer.status != 200:
            raise refusal(f"HTTP code {answer.status} while uploading metadata", answer)
        return answer

    def put_tag(self, tag: str, image_id: str, endpoint: str | None = None) -> Response:
        base = endpoint or self.session.endpoints[0]
        url = f"{base}repositories/{self.repository}/tags/{tag}"
        answer = self.session.ask("PUT", url, headers={"Content-Type": JSON}, body=f'"{image_id}"'.encode())
        if answer.status not in {200, 201}:
            problem = f"Internal server error: {answer.status} trying to push tag {tag} on {self.repository}"
            raise ClientError(problem, answer)
        return answer

    def put_image(self, layer: LayerLike, endpoint: str | None = None) -> SentLayer | None:
        """Json, layer, checksum; None when the registry had the image."""
        if not self.put_json(layer, endpoint):
            return None
        sent = self.put_layer(layer, endpoint)
        self.put_checksum(layer.id, sent, endpoint)
        return sent

    def _upload(self, endpoint: str, layers: list[LayerLike], tags: Mapping[str, list[str]]) -> dict[str, SentLayer]:
        present = self._present(endpoint, layers) if self.session.engine.checks_all_first else None
        uploads: dict[str, SentLayer] = {}
        for layer in layers:
            there = self.has(layer.id, endpoint) if present is None else layer.id in present
            sent = None if there else self.put_image(layer, endpoint)
            if sent:
                uploads[layer.id] = sent
            for tag in tags.get(layer.id, []):
                self.put_tag(tag, layer.id, endpoint)
        return uploads

    def _present(self, endpoint: str, layers: list[LayerLike]) -> set[str]:
        with ThreadPoolExecutor(max_workers=min(CHECKERS, len(layers))) as pool:
            found = pool.map(lambda layer: self.has(layer.id, endpoint), layers)
            return {layer.id for layer, there in zip(layers, found, strict=True) if there}

    def _put_index(self, suffix: str, entries: list[dict[str, str]], more: Headers) -> Response:
        """Follows every redirect to its Location as it stands. This header's name is spelt `Content-type` here only."""
        url = f"{self.session.index}repositories/{self.repository}/{suffix}"
        headers: Headers = {"Content-type": JSON, **TOKEN_WANTED, **more}
        body = json.dumps(entries, separators=(",", ":")).encode()
        while True:
            answer = self.session.ask("PUT", url, headers=headers, body=body)
            if not 300 <= answer.status < 400:
                break
            url = answer.header("Location")
        if answer.status == 401:
            raise self.session.login_required(answer)
        return answer

    def _failed(self, answer: Response, what: str) -> ClientError:
        text = f"Error: Status {answer.status} trying to {what} {self.repository}: {quoted(answer.body)}"
        return ClientError(text, answer)

    def _image(self, image_id: str, part: str, endpoint: str | None) -> str:
        return f"{endpoint or self.session.endpoints[0]}images/{image_id}/{part}"
