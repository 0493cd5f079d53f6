"""Pushing as docker does, step by step, against a registry that writes everything down."""

from __future__ import annotations

import gzip
import hashlib
import threading

import pytest

from tests.clients.itself.conftest import Connect, Serve, image
from tests.clients.itself.scripted import Seen, Server, TinyRegistry, answer
from tests.clients.v1 import ClientError, Image

VERSIONS = ["1.4.1", "1.6.2", "1.9.1", "1.13.1"]
EXISTS = '{"error": "Image already exists"}'


def after_the_announcement(server: Server) -> list[str]:
    """Method, the word after the last id or `tags`, as `PUT json base`."""
    names = {name.encode().hex().ljust(64, "0"): name for name in ("base", "app", "web", "a", "b", "c", "d", "e")}
    start = server.lines.index("PUT /v1/repositories/team/app/")
    told = []
    for line in server.lines[start + 1 :]:
        method, path = line.split(" ")
        *_, before, last = path.split("/")
        told.append(f"{method} {last} {names.get(before, before)}")
    return told


@pytest.fixture
def two() -> dict[str, Image]:
    return {"app": image("base", "app"), "web": image("base", "web")}


def test_images_are_announced_root_first_with_their_tags(connect: Connect, server: Server) -> None:
    pushed = image("base", "app")
    connect().push("team/app", {"v1": pushed, "latest": pushed})
    base, app = pushed.layers[0].id, pushed.layers[1].id
    told = f'[{{"id":"{base}"}},{{"id":"{app}","Tag":"v1"}},{{"id":"{app}","Tag":"latest"}}]'
    assert server.one("PUT /v1/repositories/team/app/").body.decode() == told


def test_everything_is_checked_before_the_first_upload(connect: Connect, server: Server, two: dict[str, Image]) -> None:
    connect("1.6.2").push("team/app", two)
    told = after_the_announcement(server)
    assert sorted(told[:3]) == ["GET json app", "GET json base", "GET json web"]
    assert told[3:] == [
        *["PUT json base", "PUT layer base", "PUT checksum base"],
        *["PUT json app", "PUT layer app", "PUT checksum app", "PUT app tags"],
        *["PUT json web", "PUT layer web", "PUT checksum web", "PUT web tags"],
        "PUT images app",
    ]


def test_the_oldest_engines_check_and_upload_in_turns(connect: Connect, server: Server) -> None:
    connect("1.4.1").push("team/app", {"v1": image("base", "app")})
    assert after_the_announcement(server) == [
        *["GET json base", "PUT json base", "PUT layer base", "PUT checksum base"],
        *["GET json app", "PUT json app", "PUT layer app", "PUT checksum app", "PUT v1 tags"],
        "PUT images app",
    ]


def test_five_existence_checks_run_at_once(connect: Connect, registry: TinyRegistry) -> None:
    meeting = threading.Barrier(5, timeout=20)

    def meet(_: Seen) -> bytes:
        meeting.wait()
        return answer(200, "{}")

    registry.rule("GET /v1/images/.*/json", meet)
    pushed = connect().push("team/app", {"v1": image("a", "b", "c", "d", "e")})
    assert (len(pushed.skipped), pushed.uploaded) == (5, ())


def test_an_image_that_is_there_is_not_uploaded_again(connect: Connect, server: Server) -> None:
    client, base = connect(), image("base")
    client.push("team/app", {"v1": base})
    server.seen.clear()
    pushed = client.push("team/app", {"v1": image("base", "app")})
    assert (pushed.skipped, pushed.uploaded) == ((base.top.id,), (image("base", "app").top.id,))
    assert "PUT json base" not in after_the_announcement(server)


def test_image_already_exists_skips_layer_and_checksum(
    connect: Connect, server: Server, registry: TinyRegistry
) -> None:
    registry.rule("PUT /v1/images/.*/json", answer(409, EXISTS))
    pushed = connect().push("team/app", {"v1": image("base")})
    assert pushed.skipped == (image("base").top.id,)
    assert after_the_announcement(server) == ["GET json base", "PUT json base", "PUT v1 tags", "PUT images app"]


def test_another_conflict_ends_the_push(connect: Connect, registry: TinyRegistry) -> None:
    registry.rule("PUT /v1/images/.*/json", answer(409, '{"error": "taken"}'))
    with pytest.raises(ClientError) as told:
        connect().push("team/app", {"v1": image("base")})
    assert str(told.value) == r'HTTP code 409 while uploading metadata: "{\"error\": \"taken\"}"'


def test_an_error_object_that_is_not_flat_is_not_understood(connect: Connect, registry: TinyRegistry) -> None:
    registry.rule("PUT /v1/images/.*/json", answer(409, '{"error": "Image already exists", "code": 409}'))
    with pytest.raises(ClientError, match="cannot unmarshal"):
        connect().push("team/app", {"v1": image("base")})


def test_image_already_exists_ends_the_push_when_a_checksum_gets_it(connect: Connect, registry: TinyRegistry) -> None:
    registry.rule("PUT /v1/images/.*/checksum", answer(409, EXISTS))
    with pytest.raises(ClientError, match=r"^Image already exists$"):
        connect().push("team/app", {"v1": image("base")})


def test_the_layer_arrives_as_the_tar_in_gzip(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    top = image("base").top
    pushed = connect().push("team/app", {"v1": image("base")})
    seen = server.one(f"PUT /v1/images/{top.id}/layer")
    assert isinstance(top.layer, bytes)
    assert gzip.decompress(seen.body) == top.layer[:2048]
    assert (len(seen.chunks) > 1, pushed.bytes_sent) == (True, len(seen.body))


def test_checksums_are_of_the_bytes_that_went_over(connect: Connect, registry: TinyRegistry) -> None:
    top = image("base").top
    connect().push("team/app", {"v1": image("base")})
    tarsum, payload = registry.checksums[top.id]
    assert payload == "sha256:" + hashlib.sha256(top.json + b"\n" + registry.layers[top.id]).hexdigest()
    assert (tarsum or "").startswith("tarsum+sha256:")


@pytest.mark.parametrize(("version", "works"), [("1.4.1", False), ("1.6.2", False), ("1.9.1", True), ("1.13.1", True)])
def test_only_engines_before_1_7_need_a_token(
    connect: Connect, server: Server, registry: TinyRegistry, version: str, works: bool
) -> None:
    registry.rule("PUT /v1/repositories/team/app/", lambda _: answer(200, X_Docker_Endpoints=server.host))
    if works:
        assert connect(version).push("team/app", {"v1": image("base")}).uploaded
    else:
        with pytest.raises(ClientError, match="Index response didn't contain an access token"):
            connect(version).push("team/app", {"v1": image("base")})


@pytest.mark.parametrize("version", VERSIONS)
def test_every_engine_needs_endpoints(connect: Connect, registry: TinyRegistry, version: str) -> None:
    registry.rule("PUT /v1/repositories/team/app/", answer(200, X_Docker_Token="x"))
    with pytest.raises(ClientError, match="Index response didn't contain any endpoints"):
        connect(version).push("team/app", {"v1": image("base")})


def test_images_go_to_every_endpoint_named(
    connect: Connect, server: Server, registry: TinyRegistry, serve: Serve
) -> None:
    other = TinyRegistry()
    second = serve(other)
    hosts = f"{server.host} , {second.host}"
    registry.rule("PUT /v1/repositories/team/app/", answer(200, X_Docker_Token="x", X_Docker_Endpoints=hosts))
    connect().push("team/app", {"v1": image("base")})
    assert registry.layers == other.layers
    assert f"X-Docker-Endpoints: https://{second.host}/v1/\r\n" in server.seen[-1].head


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("PUT /v1/repositories/team/app/", 401, "Authentication is required."),
        ("PUT /v1/repositories/team/app/", 500, 'Error: Status 500 trying to push repository team/app: "no"'),
        ("PUT /v1/images/.*/layer", 409, 'Received HTTP code 409 while uploading layer: "no"'),
        ("PUT /v1/images/.*/checksum", 201, "HTTP code 201 while uploading metadata: .*"),
        ("PUT /v1/repositories/.*/tags/v1", 404, "Internal server error: 404 trying to push tag v1 on team/app"),
        ("PUT /v1/repositories/team/app/images", 200, 'Error: Status 200 trying to push checksums team/app: "no"'),
    ],
)
def test_a_refused_step_ends_the_push_with_dockers_words(
    connect: Connect, registry: TinyRegistry, line: str, status: int, message: str
) -> None:
    registry.rule(line, answer(status, "no"))
    with pytest.raises(ClientError, match=f"^{message}$") as told:
        connect().push("team/app", {"v1": image("base")})
    assert told.value.response
    assert told.value.response.status == status


def test_the_announcement_follows_its_redirect_as_it_stands(
    connect: Connect, server: Server, registry: TinyRegistry
) -> None:
    elsewhere = f"https://{server.host}/v1/repositories/team/moved/"
    registry.rule("PUT /v1/repositories/team/app/", answer(307, Location=elsewhere))
    connect().push("team/app", {"v1": image("base")})
    assert server.one("PUT /v1/repositories/team/moved/").body


@pytest.mark.parametrize("sent", [0, 40, 10_000_000])
def test_an_upload_can_be_cut_in_the_middle(
    connect: Connect, server: Server, registry: TinyRegistry, sent: int
) -> None:
    client = connect()
    client.fail_after(sent)
    with pytest.raises(ClientError, match="Failed to upload layer"):
        client.push("team/app", {"v1": image("base")})
    server.settle()
    cut = server.one(f"PUT /v1/images/{image('base').top.id}/layer")
    assert (cut.complete, len(cut.body) <= sent) == (False, True)


def test_a_cut_upload_succeeds_the_next_time(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    client = connect()
    client.fail_after(40)
    with pytest.raises(ClientError):
        client.push("team/app", {"v1": image("base")})
    assert client.push("team/app", {"v1": image("base")}).uploaded == (image("base").top.id,)


def test_steps_can_be_played_in_any_order(connect: Connect, server: Server) -> None:
    client, top = connect(), image("base").top
    client.open_session("team/app", {"v1": image("base")})
    server.seen.clear()
    assert client.put_json(top)
    sent = client.put_layer(top)
    client.put_layer(top)
    client.put_checksum(top.id, sent)
    client.put_tag("team/app", "v1", top.id)
    assert client.has(top.id)
    assert client.close_session().status == 204
    assert [line.rpartition("/")[2] for line in server.lines] == [
        *["json", "layer", "layer", "checksum"],
        *["v1", "json", "images"],
    ]


def test_steps_without_a_session_ping_and_announce_nothing(connect: Connect, server: Server) -> None:
    connect().put_json(image("base").top)
    assert [line.split(" ")[0] for line in server.lines] == ["GET", "PUT"]
