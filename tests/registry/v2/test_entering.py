"""The first requests of every client: who is asked for a password, and what says that this is a v2 registry."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import httpx
import pytest

from pier_registry.web import users
from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic, opened
from tests.registry.v2.answers import CONTAINERD, DOCKER, connect_as, lawful, listed, refusal
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository

OLD_ENGINES = ["docker/1.3.2 go/go1.3", "docker/1.5.0 go/go1.4.1 git-commit/a8a31ef", "docker/1.9.1 go/go1.4.2",
               "Go 1.1 package http"]  # fmt: skip
NEWER_ENGINES = ["docker/1.10.3 go/go1.5.3", "docker/1.13.1 go/go1.7.5", "docker/17.05.0-ce go/go1.7.5", DOCKER,
                 "Go-http-client/1.1", "curl/8"]  # fmt: skip
UNKNOWN = digest(b"of nothing")
ADDRESSES = [
    ("GET", "/v2/"), ("HEAD", "/v2/"), ("GET", "/v2"), ("GET", "/v2/_catalog"), ("GET", "/v2/a/b/tags/list"),
    ("GET", "/v2/a/b/manifests/1"), ("HEAD", "/v2/a/b/manifests/1"), ("PUT", "/v2/a/b/manifests/1"),
    ("DELETE", "/v2/a/b/manifests/1"), ("GET", f"/v2/a/b/blobs/{UNKNOWN}"), ("DELETE", f"/v2/a/b/blobs/{UNKNOWN}"),
    ("POST", "/v2/a/b/blobs/uploads/"), ("PATCH", "/v2/a/b/blobs/uploads/x"), ("PUT", "/v2/a/b/blobs/uploads/x"),
    ("GET", f"/v2/a/b/referrers/{UNKNOWN}"), ("GET", "/v2/there/is/nothing"), ("OPTIONS", "/v2/"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_without_credentials_v2_asks_for_a_password(door: Running, method: str, path: str) -> None:
    answer = door.anonymous().request(method, path)
    lawful(answer)
    assert answer.status_code == 401
    assert answer.headers.get_list("WWW-Authenticate") == ['Basic realm="Pier"']
    if method != "HEAD":
        assert refusal(answer) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_with_credentials_it_says_that_it_is_there(admin: httpx.Client, method: str, path: str) -> None:
    answer = admin.request(method, path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == "2"
    assert answer.text == ("{}" if method == "GET" else "")


@pytest.mark.parametrize("path", ["/v2/", "/v2/a/b/tags/list"])
@pytest.mark.parametrize("user", ["admin", "unknown"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(door: Running, user: str, path: str) -> None:
    answer = door.client(user, "wrong").get(path)
    lawful(answer)
    assert refusal(answer) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Pier"'


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic !!!", "Basic Og==", "Bearer abc", "Token a", "Basic YTpi\xff", "Basic " + "A" * 7_000],
    ids=lambda text: repr(text[:16]),
)
def test_anything_else_than_a_password_is_no_credential(door: Running, authorization: str) -> None:
    answer = door.anonymous().get("/v2/", headers={b"Authorization": authorization.encode("latin-1")})
    lawful(answer)
    assert refusal(answer) == (401, "UNAUTHORIZED")


def test_a_login_beyond_all_measure_is_refused_by_whoever_reads_it_first(door: Running) -> None:
    answer = door.anonymous().get("/v2/", headers={"Authorization": "Basic " + "A" * 12_000})
    assert answer.status_code in {401, 431}


def test_a_no_takes_as_long_for_an_unknown_user_as_for_a_wrong_password(tmp_path: Path) -> None:
    with opened(tmp_path, "nginx", login_failures=1000) as running:
        users.put(running.data / "users.htpasswd", "slow", users.hash_password("right", 10))
        took = [(_seconds(running, "slow"), _seconds(running, "unknown")) for _ in range(9)]
    slow, unknown = (statistics.median(each) for each in zip(*took, strict=True))
    assert 1 / 4 < slow / unknown < 4


def _seconds(running: Running, user: str) -> float:
    client = running.client(user, "wrong")
    begun = time.monotonic()
    assert client.get("/v2/").status_code == 401
    return time.monotonic() - begun


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("POST", "tags/list"), ("DELETE", "tags/list"), ("PUT", f"blobs/{UNKNOWN}"), ("POST", f"blobs/{UNKNOWN}"),
        ("PATCH", f"blobs/{UNKNOWN}"), ("POST", "manifests/1"), ("PATCH", "manifests/1"), ("PUT", "blobs/uploads/"),
        ("PATCH", "blobs/uploads/"), ("POST", "blobs/uploads/123"), ("PUT", f"referrers/{UNKNOWN}"),
        ("DELETE", f"referrers/{UNKNOWN}"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("unchanged")
def test_a_method_that_an_address_does_not_take_is_405_and_says_which_it_takes(
    repository: Repository, method: str, rest: str
) -> None:
    answer = repository.http.request(method, repository.path(rest))
    assert refusal(answer) == (405, "UNSUPPORTED")
    assert answer.headers["Allow"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/v2/", "/v2/_catalog"])
def test_what_can_only_be_read_takes_no_other_method(admin: httpx.Client, method: str, path: str) -> None:
    assert refusal(admin.request(method, path)) == (405, "UNSUPPORTED")


@pytest.mark.parametrize(
    "path", ["/v2/foo", "/v2/a/b", "/v2/a/b/tags", "/v2/a/b/tags/list/more", "/v2/a/b/unknown/c", "/v2/_unknown",
             "/v2/a/b/referrers", "/v2/a/b/manifests", "/v2/a/b/blobs", "/v2/tags/list", "/v2/manifests/1"],
)  # fmt: skip
def test_an_unknown_address_is_a_404_with_a_list_of_errors(admin: httpx.Client, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code == 404
    assert listed(answer)


def test_what_a_strange_method_gets_is_no_page(door: Running) -> None:
    with Raw(door) as wire:
        answer = wire.ask("BREW /v2/a/b/tags/list", basic(door))
    assert 400 <= answer.status < 500
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("logged_in", [False, True])
@pytest.mark.parametrize("agent", OLD_ENGINES)
def test_for_old_engines_there_is_no_v2(door: Running, agent: str, logged_in: bool) -> None:
    """They would choose it by the header, and push what no registry takes any more."""
    client = door.client() if logged_in else door.anonymous()
    for method, path in ADDRESSES:
        answer = client.request(method, path, headers={"User-Agent": agent})
        assert answer.status_code == 404, (method, path)
        assert "Docker-Distribution-Api-Version" not in answer.headers
        assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("agent", NEWER_ENGINES)
def test_for_newer_clients_there_is(door: Running, agent: str) -> None:
    answer = door.anonymous().get("/v2/", headers={"User-Agent": agent})
    assert answer.status_code == 401
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_v1_does_not_claim_to_be_v2(door: Running) -> None:
    for path in ("/v1/_ping", "/v1/users/"):
        assert "Docker-Distribution-Api-Version" not in door.client().get(path).headers


def test_what_mirrors_and_crane_add_to_an_address_is_ignored(repository: Repository) -> None:
    pushed = repository.image(noise(), tag="1")
    path = repository.path("manifests/1")
    answer = repository.http.get(f"{path}?ns=registry.example&origin=x&unknown=1", headers={"X-Unknown": "1"})
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (200, pushed)


def test_no_signature_store_is_promised(admin: httpx.Client) -> None:
    assert "X-Registry-Supports-Signatures" not in admin.get("/v2/").headers


def test_a_login_that_is_right_is_never_asked_for_again(door: Running, newcomer: str) -> None:
    """401 makes a client try once more with the same password; what its user may not do is 403."""
    reader = connect_as(door, newcomer, "pull", agent=CONTAINERD)
    assert refusal(reader.post("/v2/a/b/blobs/uploads/")) == (403, "DENIED")
