"""Who gets through to the registry, by which path, and with which headers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pier_registry import errors
from pier_registry.proxy import configuration
from pier_registry.proxy.configuration import STRIPPED
from tests.registry.frontdoor.door import LOGIN, Door, opened

NOTHING = {"error": "there is nothing at this address"}


def refused(path: str, code: str, sentence: str) -> object:
    """The JSON API and v2 promise the list of OCI, everything else is a flat object."""
    if path.startswith(("/api/", "/v2")):
        return {"errors": [{"code": code, "message": sentence, "detail": None}]}
    return {"error": sentence}


V1 = ["/v1", "/v1/users/", "/v1/_pingX", "/v1/_ping/", "/v1/_ping/x"]
V2 = ["/v2", "/v2/", "/v2/?x=1", "/v2/_catalog", "/v2/token", "/v2/a/b/blobs/uploads/", "/v2/a/b/c/manifests/latest"]


@pytest.mark.parametrize("path", [*V1, *V2, "/api/usage"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_without_credentials_nginx_itself_asks_for_them(door: Door, path: str, method: str) -> None:
    before = len(door.seen())
    got = door.ask(path, {}, method=method)
    assert got.status == 401
    assert got.headers["www-authenticate"] == 'Basic realm="Pier"'
    assert got.headers["content-type"] == "application/json"
    sentence = "Requires authorization" if path in V1 else "log in: this registry needs a user name and a password"
    assert method == "HEAD" or got.json == refused(path, "UNAUTHORIZED", sentence)
    assert len(door.seen()) == before


def test_the_version_header_of_v1_stands_on_its_refusals_only(door: Door) -> None:
    assert door.ask("/v1/users/", {}).headers["x-docker-registry-version"] == "0.9.1"
    assert "x-docker-registry-version" not in door.ask("/api/usage", {}).headers
    assert "x-docker-registry-version" not in door.ask("/v2/", {}).headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH"])
@pytest.mark.parametrize("path", V2)
def test_the_version_header_of_v2_stands_on_all_of_its_refusals(door: Door, path: str, method: str) -> None:
    assert door.ask(path, {}, method=method).headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize("path", ["/v1/users/", "/api/usage", "/", "/v2x", "/v20/", "/v1/v2/"])
def test_the_version_header_of_v2_stands_nowhere_else(door: Door, path: str) -> None:
    assert "docker-distribution-api-version" not in door.ask(path, {}).headers


@pytest.mark.parametrize("path", ["/_ping", "/v1/_ping", "/v1/_ping?x=1"])
def test_the_pings_are_open(door: Door, path: str) -> None:
    assert door.ask(path, {}).status == 200


@pytest.mark.parametrize("path", ["/v1/echo", "/v1", "/v2", "/v2/", "/v2/a/tags/list", "/v2/token", "/api/usage"])
def test_with_credentials_the_registry_decides(door: Door, path: str) -> None:
    assert door.ask(path).json["path"] == path


OLD_ENGINES = [
    "docker/1.5.0 go/go1.4.1 git-commit/a8a31ef kernel/3.16.0 os/linux arch/amd64",
    "docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/4.2.0 os/linux arch/amd64",
    "Upstart/1 docker/1.6.2 go/go1.4.2",
    "Go 1.1 package http",
]
ENGINES_OF_V2 = [
    "docker/1.10.3 go/go1.5.3 git-commit/20f81dd kernel/4.2.0 os/linux arch/amd64",
    "docker/20.10.24 go/go1.19 git-commit/x kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.24)",
    "notdocker/1.9.1",
    "Go-http-client/1.1",
    "containerd/1.6.20",
    "",
]


@pytest.mark.parametrize("agent", OLD_ENGINES)
@pytest.mark.parametrize("login", [{}, LOGIN], ids=["nobody", "a user"])
@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/_catalog", "/v2/a/b/blobs/uploads/", "/v2//"])
def test_old_engines_find_no_v2_before_any_password(door: Door, path: str, login: dict[str, str], agent: str) -> None:
    before = len(door.seen())
    got = door.ask(path, login | {"User-Agent": agent})
    assert (got.status, got.json) == (404, refused(path, "UNSUPPORTED", "there is nothing at this address"))
    assert "docker-distribution-api-version" not in got.headers
    assert "www-authenticate" not in got.headers
    assert len(door.seen()) == before


@pytest.mark.parametrize("agent", OLD_ENGINES)
def test_old_engines_are_asked_for_a_password_over_v1(door: Door, agent: str) -> None:
    assert door.ask("/v1/users/", {"User-Agent": agent}).status == 401
    assert door.ask("/v1/echo", LOGIN | {"User-Agent": agent}).status == 200


@pytest.mark.parametrize("agent", ENGINES_OF_V2)
def test_all_others_find_v2(door: Door, agent: str) -> None:
    got = door.ask("/v2/", {"User-Agent": agent})
    assert (got.status, got.headers["docker-distribution-api-version"]) == (401, "registry/2.0")
    assert door.ask("/v2/", LOGIN | {"User-Agent": agent}).json["path"] == "/v2/"


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with opened(tmp_path_factory.mktemp("anonymous"), anonymous_pull=True) as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/echo", "/v1", "/v2", "/v2/", "/v2/token", "/v2/a/tags/list", "/api/usage"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_with_anonymous_pull_the_registry_decides_about_strangers(open_door: Door, path: str, method: str) -> None:
    before = len(open_door.seen())
    assert open_door.ask(path, {}, method=method).status == 200
    assert open_door.seen()[before:] == [f"{method} {path}"]


@pytest.mark.parametrize("agent", OLD_ENGINES)
def test_old_engines_find_no_v2_with_anonymous_pull_either(open_door: Door, agent: str) -> None:
    got = open_door.ask("/v2/", {"User-Agent": agent})
    assert got.status == 404
    assert "docker-distribution-api-version" not in got.headers


def test_with_anonymous_pull_nothing_more_is_there(open_door: Door) -> None:
    assert [open_door.ask(path, {}).status for path in ("/", "/healthz", "/metrics", "/_layers/a")] == [404] * 4


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/nginx",
        "/V1/echo",
        "/_error/login",
        "/_error/nothing",
        "/_layers/a",
        "/_layers/",
        "/_whole/a",
        "/_layers../users.htpasswd",
        "/_layers/../users.htpasswd",
        "/_layers/%2e%2e/users.htpasswd",
        "/v1../api/usage",
        "/index.html",
        "/v2x",
    ],
)
def test_nothing_else_is_there(door: Door, path: str) -> None:
    door.layer("a", b"layer")
    before = len(door.seen())
    got = door.ask(path)
    assert got.status == 404
    assert set(got.json) == {"error"}
    assert len(door.seen()) == before


@pytest.mark.parametrize(
    "path",
    [
        "//v1/echo",
        "/v1//echo",
        "/v1/./echo",
        "/v1/../v1/echo",
        "/v1/x/../_ping",
        "/v1/x/..",
        "/v1/%2e%2e/api/usage",
        "/v1/%2E%2e/api/usage",
        "/v1/x/.%2e/_ping",
        "/v1/x%2f..%2f_ping",
        "/v1/..%2fapi/usage",
        "/v1/x/..\\_ping",
        "/v1/x%5c..%5c_ping",
        "/v1/_ping#/../users/",
        "/v1/_ping%23",
        "/v1/%2f/echo",
        "/v2//",
        "/v2//a/tags/list",
        "/v2/a/../b/tags/list",
        "/v2/%2e%2e/api/usage",
        "/v2/..%2fapi/usage",
        "/v2/a%5c..%5c_ping",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_stays_outside(door: Door, path: str) -> None:
    before = len(door.seen())
    got = door.say(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 404 ")
    assert json.loads(got.partition(b"\r\n\r\n")[2]) == refused(path, "UNSUPPORTED", NOTHING["error"])
    assert len(door.seen()) == before


@pytest.mark.parametrize("path", ["/../", "/../v1/echo", "/v1/%00", "/v1/%zz", "/v1/\x01"])
def test_a_path_that_is_none_is_malformed(door: Door, path: str) -> None:
    got = door.say(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "path", ["/v1/search?q=a//b", "/v1/search?q=../..", "/v1/foo%2Fbar", "/v1/a..b/c", "/v1/.a/b."]
)
def test_names_and_questions_with_dots_and_slashes_pass(door: Door, path: str) -> None:
    assert door.ask(path).json["raw"] == path


def test_the_path_of_an_absolute_address_is_judged_like_any_other(door: Door) -> None:
    got = door.say(b"GET https://elsewhere/v1/users/ HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 401 ")
    got = door.say(b"GET https://elsewhere/v1//echo HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("path", ["/v2/a/blobs/sha256%3Aabc", "/v2/a%2Fb/tags/list", "/v2/a/tags/list?n=1&last=a%2Fb"])
def test_encoded_colons_and_slashes_reach_the_registry_as_they_came(door: Door, path: str) -> None:
    assert door.ask(path).json["raw"] == path


def test_a_manifest_may_come_with_many_tags(door: Door) -> None:
    tags = "&".join(f"tag=a-tag-of-a-hundred-and-twenty-eight-characters-{number:0>80}" for number in range(100))
    assert door.ask(f"/v2/a/manifests/sha256:abc?{tags}", method="PUT").status == 200


def test_the_registrys_own_locations_stay_paths(door: Door) -> None:
    got = door.ask("/v2/session", method="POST")
    assert (got.status, got.headers["location"]) == (202, "/v2/session/1?state=2")


def test_the_registry_sees_the_host_with_its_port(door: Door) -> None:
    seen = door.ask("/v1/echo")
    assert seen.json["headers"]["HOST"] == f"localhost:{door.settings.port}"
    assert seen.json["scheme"] == "https"


def test_what_only_a_front_door_may_say_is_not_taken_from_clients(door: Door) -> None:
    forged = dict.fromkeys(
        (*STRIPPED, "X-Pier-Private", "X-Pier-Client", "X-Forwarded-For", "X_Pier_Private"), "forged"
    )
    seen = door.ask("/v1/echo", LOGIN | forged | {"X-Docker-Token": "true"}).json["headers"]
    assert "forged" not in seen.values()
    assert seen["X_PIER_CLIENT"] == "127.0.0.1"
    assert seen["X_DOCKER_TOKEN"] == "true"
    assert set(seen) == {
        "HOST",
        "X_PIER_CLIENT",
        "X_FORWARDED_PROTO",
        "ACCEPT_ENCODING",
        "AUTHORIZATION",
        "X_DOCKER_TOKEN",
    }


def test_the_user_of_an_answer_is_for_the_log_only(door: Door) -> None:
    assert "x-pier-user" not in door.ask("/v1/echo").headers


def test_a_trusted_proxy_names_the_client(tmp_path_factory: pytest.TempPathFactory) -> None:
    with opened(tmp_path_factory.mktemp("trusting"), trusted_proxies=("127.0.0.0/8", "10.0.0.0/8")) as door:
        seen = door.ask("/v1/echo", LOGIN | {"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.1.1.1"})
        assert seen.json["headers"]["X_PIER_CLIENT"] == "203.0.113.9"
        assert door.log_lines("203.0.113.9")[0]["uri"] == "/v1/echo"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_the_private_port_speaks_for_itself(door: Door, path: str) -> None:
    got = door.private(path)
    assert got.json["path"] == path
    assert got.json["headers"]["X_PIER_PRIVATE"] == "1"


def test_nginx_answers_for_itself_on_the_private_port(door: Door) -> None:
    before = len(door.seen())
    assert door.private("/nginx").status == 200
    assert len(door.seen()) == before


@pytest.mark.parametrize("path", ["/", "/healthz/", "/metrics/x", "/v1/_ping", "/_ping", "/api/usage", "/nginx/"])
def test_the_private_port_has_exactly_its_own_paths(door: Door, path: str) -> None:
    before = len(door.seen())
    got = door.private(path)
    assert (got.status, got.json) == (404, refused(path, "UNSUPPORTED", NOTHING["error"]))
    assert len(door.seen()) == before


def test_a_registry_that_is_down_is_said_to_be_starting_or_down(own_door: Door) -> None:
    registry = own_door.processes[0]
    registry.terminate()
    registry.wait(20)
    got = own_door.ask("/v1/echo")
    assert got.status == 503
    assert got.json == {"error": "the registry is starting or down: try again in a few seconds"}
    assert got.headers["retry-after"] == "5"
    listed = own_door.ask("/v2/")
    assert (listed.status, listed.json) == (503, refused("/v2/", "UNAVAILABLE", got.json["error"]))
    assert (listed.headers["retry-after"], listed.headers["docker-distribution-api-version"]) == ("5", "registry/2.0")
    assert own_door.private("/nginx").status == 200
    assert own_door.private("/readyz").status == 503


@pytest.mark.parametrize("status", [401, 404, 413, 500, 503])
def test_the_registrys_own_refusals_pass_untouched(door: Door, status: int) -> None:
    got = door.ask(f"/v1/status/{status}")
    assert (got.status, got.body) == (status, b"")


def test_nginx_and_the_registry_use_the_same_words() -> None:
    layer, login, route = errors.LayerUnknown(""), errors.Unauthorized(), errors.RouteUnknown()
    assert (configuration.CODES["image"], configuration.LISTED["image"]) == (layer.code, layer.message)
    assert (configuration.CODES["login"], configuration.LISTED["login"]) == (login.code, login.message)
    assert route.message == NOTHING["error"]
