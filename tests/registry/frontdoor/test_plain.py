"""Plain http for a front door that ends TLS: the same addresses, the same rules."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator

import pytest

from tests.registry.frontdoor.door import LOGIN, Answer, Door, answer, free_ports, opened


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with opened(tmp_path_factory.mktemp("plain"), plain_port=free_ports()["port"]) as running:
        yield running


def ask(
    door: Door, path: str, headers: dict[str, str] = LOGIN, *, method: str = "GET", body: bytes | None = None
) -> Answer:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", door.settings.plain_port, timeout=20)
    ) as connection:
        return answer(connection, method, path, headers, body)


def test_it_serves_what_https_serves(plain: Door) -> None:
    seen = ask(plain, "/v1/echo", LOGIN | {"Host": "registry.example.org"})
    assert seen.status == 200
    assert seen.json["scheme"] == "https"
    assert seen.json["headers"]["HOST"] == "registry.example.org"
    assert ask(plain, "/v1/upload", method="PUT", body=b"x" * 5_000_000).json["size"] == 5_000_000


def test_files_are_sent_there_too(plain: Door) -> None:
    plain.layer("some", b"content")
    assert ask(plain, "/v1/file/some").body == b"content"


def test_nobody_passes_without_credentials(plain: Door) -> None:
    refused = ask(plain, "/v2/", {})
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic")


def test_what_only_a_front_door_may_say_is_not_taken(plain: Door) -> None:
    told = ask(plain, "/v1/echo", LOGIN | {"X-Pier-Client": "forged", "X-Pier-Private": "1"}).json["headers"]
    assert "forged" not in told.values()
    assert ask(plain, "/healthz").status == 404


def test_https_goes_on(plain: Door) -> None:
    assert plain.ask("/v1/echo").status == 200


def test_there_is_no_such_port_by_default(door: Door) -> None:
    assert door.settings.plain_port == 0
    assert "listen 0.0.0.0:0" not in (door.settings.run / "nginx.conf").read_text()
