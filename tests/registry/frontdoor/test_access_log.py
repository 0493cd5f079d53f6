"""One line of JSON for each request, whatever the request is made of."""

from __future__ import annotations

import time

import pytest

from tests.registry.frontdoor.door import LOGIN, Door


def test_a_line_tells_who_did_what_and_how_much(door: Door) -> None:
    door.ask("/v1/upload?told", LOGIN | {"User-Agent": "docker/1.9.1"}, method="PUT", body=b"x" * 5000)
    (line,) = door.log_lines("/v1/upload?told")
    assert set(line) == {
        "time",
        "client",
        "user",
        "method",
        "uri",
        "status",
        "sent",
        "received",
        "seconds",
        "agent",
        "request",
    }
    assert (line["user"], line["client"], line["method"], line["status"]) == ("ann", "127.0.0.1", "PUT", 200)
    assert line["agent"] == "docker/1.9.1"
    assert 5000 < line["received"] < 6000
    assert line["sent"] > 60
    assert line["seconds"] >= 0


def test_a_download_counts_the_bytes_of_the_layer(door: Door) -> None:
    door.layer("counted", b"x" * 300_000)
    door.ask("/v1/file/counted")
    (line,) = door.log_lines("/v1/file/counted")
    assert (line["sent"], line["user"]) == (300_000, "ann")


def test_the_time_of_a_slow_request_is_told_in_seconds(door: Door) -> None:
    with door.tls() as connection:
        connection.sendall(
            b"PUT /v1/upload?slowly HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: 2\r\n\r\na"
        )
        time.sleep(1.2)
        connection.sendall(b"b")
        connection.recv(1)
    (line,) = door.log_lines("/v1/upload?slowly")
    assert 1 < line["seconds"] < 10


def test_a_request_without_credentials_has_no_user(door: Door) -> None:
    door.ask("/v1/nobody", {"X-Pier-User": "admin"})
    (line,) = door.log_lines("/v1/nobody")
    assert (line["user"], line["status"]) == ("", 401)


@pytest.mark.parametrize(
    ("number", "agent"),
    [
        (1, b'x","user":"admin","z":"'),
        (2, b"x\\"),
        (3, b"caf\xc3\xa9"),
        (4, b"\xff\xfe not utf-8"),
        (5, b"tab\tinside"),
    ],
)
def test_an_agent_cannot_forge_a_line(door: Door, number: int, agent: bytes) -> None:
    path = f"/v1/forged-{number}%0d%0a%7b%22user%22:%22admin%22%7d"
    door.say(
        b"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\nUser-Agent: %s\r\n\r\n"
        % (path.encode(), agent)
    )
    (line,) = door.log_lines(f"/v1/forged-{number}")
    assert line["uri"] == path
    assert line["user"] == "ann"
    assert line["agent"] == agent.decode("utf-8", "replace")


def test_a_broken_request_is_logged_as_json_too(door: Door) -> None:
    door.say(b'GET /v1/broken"line HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n')
    (line,) = door.log_lines("/v1/broken")
    assert (line["status"], line["uri"]) == (400, '/v1/broken"line')


def test_probes_of_the_private_port_are_not_logged(door: Door) -> None:
    door.private("/readyz?probed")
    door.ask("/v1/after-the-probe")
    assert door.log_lines("/v1/after-the-probe")
    assert b"probed" not in door.log.read_bytes()
