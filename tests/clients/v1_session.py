"""What lasts for one docker command: the standalone verdict, tokens, endpoints and cookies."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from urllib.parse import urljoin

from tests.clients.v1_versions import Command, Engine
from tests.clients.v1_wire import Body, ClientError, Response, Wire, whole

Headers = Mapping[str, str | list[str]]

ALREADY_EXISTS = "Image already exists"
TOKEN_WANTED = {"X-Docker-Token": "true"}
_REDIRECTS = frozenset({301, 302, 303, 307})
_MAX_REDIRECTS = 10


class Session:
    """`index` and each of `endpoints` are URLs that end in `/v1/`; `wait` is given the seconds that docker sleeps."""

    def __init__(
        self, wire: Wire, engine: Engine, host: str, user: str, password: str, wait: Callable[[float], None]
    ) -> None:
        self.engine = engine
        self.wait = wait
        self.host = host
        self.root = f"{wire.scheme}://{host}"
        self.index = f"{self.root}/v1/"
        self.endpoints = [self.index]
        self.tokens: list[str] = []
        self.user = user
        self._wire = wire
        self._basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._always_basic = False
        self._cookies = CookieJar()

    def resolve(self, command: Command, *, asks_v2: bool = True) -> None:
        """The pings before the session's own. Raises ClientError when this engine would go on in v2."""
        if asks_v2 and self.engine.asks_v2 and not (command == "search" and self.engine.tries_v2_anyway):
            self._refuse_v2(self.plain("GET", f"{self.root}/v2/"))
        if self.engine.resolves_v1(command):
            self.ping()

    def start(self) -> None:
        """The session's ping: a standalone registry over https gets Basic on every request from here on."""
        self._always_basic = self.root.startswith("https:") and self.ping()

    def ping(self) -> bool:
        """Whether the registry is standalone; its status is not looked at."""
        answer = self.plain("GET", self.index + "_ping", agent=self.engine.ping_agent)
        header = answer.header("X-Docker-Registry-Standalone")
        return header.lower() == "true" or header == "1" if header else _standalone_in_body(answer.body)

    def plain(
        self,
        method: str,
        url: str,
        *,
        headers: Headers | None = None,
        body: Body = None,
        agent: str | None = None,
        basic: bool = False,
    ) -> Response:
        """A request outside the session: no cookies, Basic only when asked for."""
        own = {**(headers or {}), **({"Authorization": self._basic} if basic else {})}
        return whole(self._wire.send(method, url, self.engine.agent if agent is None else agent, own, body))

    def ask(self, method: str, url: str, *, headers: Headers | None = None, body: Body = None) -> Response:
        return whole(self.open(method, url, headers=headers, body=body))

    def open(self, method: str, url: str, *, headers: Headers | None = None, body: Body = None) -> HTTPResponse:
        """As `ask`, with the body still to be read. GETs follow redirects, without credentials."""
        own = dict(headers or {})
        authorization = self._authorization(method, own)
        answer = self._send(method, url, own | ({"Authorization": authorization} if authorization else {}), body)
        for _ in range(_MAX_REDIRECTS):
            if method != "GET" or answer.status not in _REDIRECTS:
                return answer
            answer.close()
            previous, url = url, urljoin(url, answer.headers.get("Location", ""))
            answer = self._send(method, url, {**own, "Referer": previous}, None)
        answer.close()
        raise ClientError(f"Get {url}: stopped after {_MAX_REDIRECTS} redirects")

    def login_required(self, answer: Response) -> ClientError:
        return ClientError(self.engine.login_required, answer)

    def remember_endpoints(self, answer: Response) -> None:
        """Each name of X-Docker-Endpoints, under the index's scheme; nothing sent leaves them as they are."""
        names = [name.strip() for line in answer.headers.get_all("X-Docker-Endpoints", []) for name in line.split(",")]
        scheme = self.root.partition("://")[0]
        self.endpoints = [f"{scheme}://{name}/v1/" for name in names] or self.endpoints

    def remember_tokens(self, answer: Response) -> None:
        self.tokens = answer.headers.get_all("X-Docker-Token", self.tokens)

    def _send(self, method: str, url: str, headers: Headers, body: Body) -> HTTPResponse:
        carrier = urllib.request.Request(url, method=method)
        self._cookies.add_cookie_header(carrier)
        cookie = carrier.get_header("Cookie")
        sent = {**headers, **({"Cookie": cookie} if cookie else {})}
        answer = self._wire.send(method, url, self.engine.agent, sent, body)
        self._cookies.extract_cookies(answer, carrier)
        if not self.engine.needs_token and not self._always_basic:
            self.tokens = answer.headers.get_all("X-Docker-Token", self.tokens)
        return answer

    def _authorization(self, method: str, headers: Headers) -> str | None:
        if "Authorization" in headers:
            return None
        if self._always_basic:
            return self._basic
        wants_token = headers.get("X-Docker-Token") == "true"
        if self.engine.needs_token:
            if wants_token:
                return self._basic if self.user or method == "PUT" else None
            return "Token " + ",".join(self.tokens)
        if wants_token and self.user:
            return self._basic
        return "Token " + ",".join(self.tokens) if self.tokens else None

    def _refuse_v2(self, answer: Response) -> None:
        named = "registry/2.0" in " ".join(answer.headers.get_all("Docker-Distribution-Api-Version", [])).split()
        if named and (answer.status in {200, 401} or not self.engine.needs_v2_status):
            raise ClientError(f"docker {self.engine.version} speaks v2 to this registry, not v1", answer)


def _standalone_in_body(body: bytes) -> bool:
    try:
        told = json.loads(body)
    except ValueError:
        return True
    return told.get("standalone") is not False if isinstance(told, dict) else True


def quoted(body: bytes) -> str:
    """As Go's %q."""
    return json.dumps(body.decode("utf-8", "backslashreplace"), ensure_ascii=False)


def refusal(text: str, answer: Response) -> ClientError:
    """`text` and the body of the answer, as docker shows a failed image upload.

    The body must be a flat object of strings: otherwise docker shows why it could not decode it. Exactly
    `Image already exists` becomes that error.
    """
    try:
        told = json.loads(answer.body)
        if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
            raise ValueError("json: cannot unmarshal value into Go value of type map[string]string")
    except ValueError as wrong:
        return ClientError(f"{text}: {quoted(str(wrong).encode())}", answer)
    if told.get("error") == ALREADY_EXISTS:
        return ClientError(ALREADY_EXISTS, answer)
    return ClientError(f"{text}: {quoted(answer.body)}", answer)
