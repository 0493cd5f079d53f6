"""A docker engine of old, as far as a v1 registry can tell: `DockerV1(ca=..., user=..., version="1.6.2").push(...)`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from tests.clients.v1_model import (
    Image,
    ImageLike,
    Layer,
    LayerLike,
    Pulled,
    PulledLayer,
    Pushed,
    Resumed,
    SentLayer,
)
from tests.clients.v1_pull import Pull
from tests.clients.v1_push import Push
from tests.clients.v1_session import TOKEN_WANTED, Headers, Session
from tests.clients.v1_versions import Command, Engine
from tests.clients.v1_wire import Body, ClientError, ConnectionLost, Response, Wire

__all__ = [
    "ClientError",
    "ConnectionLost",
    "DockerV1",
    "Image",
    "Layer",
    "Pulled",
    "PulledLayer",
    "Pushed",
    "Response",
    "Resumed",
    "SentLayer",
]

EXISTS_ALREADY = b'"Username or email already exists"'


class DockerV1:
    """One docker host with one login.

    `ca` is the only authority trusted; None means plain http. `wait` stands for sleep. `asks_v2=False` leaves out
    the v2 pings, as before 1.5. `address` is where the host is, whatever its name. Every method raises ClientError with
    the message that docker would show.
    """

    def __init__(
        self,
        host: str = "localhost:5443",
        *,
        ca: Path | None,
        user: str = "",
        password: str = "",
        version: str = "1.6.2",
        wait: Callable[[float], None] = time.sleep,
        asks_v2: bool = True,
        address: str = "",
    ) -> None:
        self.engine = Engine(version)
        self._host = host
        self._wire = Wire(ca, address)
        self._login = (user, password)
        self._wait = wait
        self._asks_v2 = asks_v2
        self._open: Push | None = None
        self._cut: int | None = None

    def login(self) -> None:
        session = self._session()
        session.resolve("login", asks_v2=self._asks_v2)
        if self.engine.registers_at_login:
            if self._register(session):
                return
        elif self._asks_v2:
            session.plain("GET", f"{session.root}/v2/")
        answer = session.plain("GET", session.index + "users/", basic=True)
        if answer.status != 200:
            raise _login_refused(answer, session.index)

    def push(self, repository: str, images: Mapping[str, ImageLike]) -> Pushed:
        return self._push(repository).run(images)

    def pull(self, repository: str, tag: str | None = None, *, into: Path | None = None) -> dict[str, Pulled]:
        """By tag, all tags without one. `into`: a folder that keeps each layer as `<id>.layer`."""
        session = self._session()
        self._resolve_tag_command(session, "pull", repository, tag)
        return Pull(session, repository, into).run(tag)

    def search(self, term: str) -> list[dict[str, Any]]:
        session = self._started("search")
        limit = "&n=25" if self.engine.limits_search else ""
        answer = session.ask("GET", f"{session.index}search?q={quote_plus(term)}{limit}", headers=TOKEN_WANTED)
        if answer.status != 200:
            raise ClientError(f"Unexpected status code {answer.status}", answer)
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def tags(self, repository: str) -> dict[str, str]:
        """Tag to image id."""
        return Pull(self._started(None), repository).tags()

    def delete_tag(self, repository: str, tag: str) -> Response:
        """No docker command does this; any status is returned."""
        session = self._started(None)
        return session.ask("DELETE", f"{session.index}repositories/{repository}/tags/{tag}")

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers | None = None,
        body: Body = None,
        credentials: bool = True,
        agent: str | None = None,
    ) -> Response:
        """The raw door: one request as given, with Basic unless refused; an iterable body goes chunked."""
        session = self._session()
        basic = credentials and "Authorization" not in (headers or {})
        return session.plain(method, session.root + path, headers=headers, body=body, agent=agent, basic=basic)

    def pull_layer_resuming(self, image_id: str, cut_after: int, path: Path) -> Resumed:
        """Cut the download after so many bytes and resume it into `path`; with all of them, 416 is required."""
        return Pull(self._started(None), "").resume(image_id, cut_after, path)

    def fail_after(self, sent: int) -> None:
        """Cut the connection of the next layer upload after that many bytes of its body, or before its end."""
        self._cut = sent
        if self._open:
            self._open.cut = sent

    def open_session(self, repository: str, images: Mapping[str, ImageLike]) -> Response:
        """The pings and the announcement; the steps below then belong to this session."""
        self._open = self._push(repository)
        return self._open.announce(images)

    def close_session(self) -> Response:
        """The final PUT of a push."""
        closing, self._open = self._step(), None
        return closing.close()

    def has(self, image_id: str) -> bool:
        """The existence check of a push."""
        return self._step().has(image_id)

    def put_json(self, layer: LayerLike) -> bool:
        """False for `Image already exists`."""
        return self._step().put_json(layer)

    def put_layer(self, layer: LayerLike) -> SentLayer:
        return self._step().put_layer(layer)

    def put_checksum(self, image_id: str, sent: SentLayer) -> Response:
        return self._step().put_checksum(image_id, sent)

    def put_tag(self, repository: str, tag: str, image_id: str) -> Response:
        step = self._step()
        step.repository = repository
        return step.put_tag(tag, image_id)

    def _session(self) -> Session:
        return Session(self._wire, self.engine, self._host, *self._login, self._wait)

    def _started(self, command: Command | None) -> Session:
        session = self._session()
        if command:
            session.resolve(command, asks_v2=self._asks_v2)
        session.start()
        return session

    def _push(self, repository: str) -> Push:
        session = self._session()
        self._resolve_tag_command(session, "push", repository, None)
        push = Push(session, repository)
        push.cut, self._cut = self._cut, None
        return push

    def _step(self) -> Push:
        """The open session, or a bare one: pinged, nothing announced."""
        if self._open is None:
            self._open = Push(self._started(None), "")
            self._open.cut = self._cut
        self._cut = None
        return self._open

    def _resolve_tag_command(self, session: Session, command: Command, repository: str, tag: str | None) -> None:
        session.resolve(command, asks_v2=self._asks_v2)
        if self._asks_v2 and self.engine.tries_v2_anyway:
            _attempt_v2(session, command, repository, tag)
        session.start()

    def _register(self, session: Session) -> bool:
        """POST as old engines log in. True: an account was made; False: a GET has to decide."""
        user, password = self._login
        account = {"username": user, "password": password, "auth": "", "email": f"{user}@example.org"}
        answer = session.plain(
            "POST",
            session.index + "users/",
            headers={"Content-Type": "application/json; charset=utf-8"},
            body=json.dumps(account, separators=(",", ":")).encode(),
            agent=self.engine.registration_agent,
        )
        if answer.status == 201:
            return True
        if answer.status == 401 or (answer.status == 400 and answer.body == EXISTS_ALREADY):
            return False
        shown = answer.body.decode(errors="replace")
        if answer.status == 400:
            raise ClientError(f"Registration: {shown}", answer)
        raise ClientError(f"Unexpected status code [{answer.status}] : {shown}", answer)


def _attempt_v2(session: Session, command: Command, repository: str, tag: str | None) -> None:
    """Engines from 1.10 on try v2 also unconfirmed; only its failure lets them fall back to v1."""
    base = f"{session.root}/v2/{repository}/"
    if command == "push":
        answer = session.plain("POST", base + "blobs/uploads/", headers={"Content-Type": ""})
    else:
        answer = session.plain("GET", base + (f"manifests/{tag}" if tag else "tags/list"))
    if answer.status < 400:
        raise ClientError(f"docker {session.engine.version} speaks v2 to this registry, not v1", answer)


def _login_refused(answer: Response, index: str) -> ClientError:
    shown = f"Login: {answer.body.decode(errors='replace')} (Code: {answer.status}; Headers: {answer.headers.items()})"
    inactive = f"Login: Account is not active. Please see the documentation of the registry {index} for instructions"
    known = {
        401: "Wrong login/password, please try again",
        403: inactive + " how to activate it.",
        500: "Internal Server Error",
    }
    return ClientError(known.get(answer.status, shown), answer)
