"""What an engine of each version puts on the wire: spelling, order, credentials, pings."""

from __future__ import annotations

import gzip
import ssl

import pytest

from tests.clients.itself.conftest import Connect, image, self_signed
from tests.clients.itself.scripted import Seen, Server, TinyRegistry, answer
from tests.clients.v1 import ClientError, DockerV1
from tests.clients.v1_wire import head

AGENTS = {
    "1.4.1": "docker/1.4.1 go/go1.3.3 git-commit/5bc2ff8 kernel/3.16.0-4-amd64 os/linux arch/amd64",
    "1.6.2": "docker/1.6.2 go/go1.4.2 git-commit/7c8fca2 kernel/3.16.0-4-amd64 os/linux arch/amd64",
    "1.9.1": "docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/3.16.0-4-amd64 os/linux arch/amd64",
    "1.13.1": "docker/1.13.1 go/go1.7.5 git-commit/092cba3 kernel/3.16.0-4-amd64 os/linux arch/amd64"
    r" UpstreamClient(Docker-Client/1.13.1 \(linux\))",
}
BASIC = "Basic YWRtaW46c2VjcmV0"
PING = "GET /v1/_ping"
V2 = "GET /v2/"


def exact(server: Server, *lines: str) -> str:
    return "\r\n".join(line.format(host=server.host) for line in lines) + "\r\n"


@pytest.mark.parametrize("version", AGENTS)
def test_every_version_names_itself(connect: Connect, server: Server, version: str) -> None:
    connect(version).push("team/app", {"v1": image("base")})
    assert server.seen[-1].header("User-Agent") == AGENTS[version]


def test_the_announcement_is_spelt_as_docker_spells_it(connect: Connect, server: Server) -> None:
    connect().push("team/app", {"v1": image("base")})
    seen = server.one("PUT /v1/repositories/team/app/")
    assert seen.head == exact(
        server,
        "PUT /v1/repositories/team/app/ HTTP/1.1",
        "Host: {host}",
        f"User-Agent: {AGENTS['1.6.2']}",
        f"Content-Length: {len(seen.body)}",
        f"Authorization: {BASIC}",
        "Content-type: application/json",
        "X-Docker-Token: true",
        "Accept-Encoding: gzip",
        "Connection: close",
    )


def test_a_layer_upload_is_spelt_as_docker_spells_it(connect: Connect, server: Server) -> None:
    top = image("base").top
    connect("1.9.1").push("team/app", {"v1": image("base")})
    assert server.one(f"PUT /v1/images/{top.id}/layer").head == exact(
        server,
        f"PUT /v1/images/{top.id}/layer HTTP/1.1",
        "Host: {host}",
        f"User-Agent: {AGENTS['1.9.1']}",
        "Transfer-Encoding: chunked",
        f"Authorization: {BASIC}",
        "Content-Type: application/octet-stream",
        "Accept-Encoding: gzip",
        "Connection: close",
    )


def test_a_checksum_goes_in_headers_over_an_empty_body(connect: Connect, server: Server) -> None:
    top = image("base").top
    sent = connect().push("team/app", {"v1": image("base")}).layers[top.id]
    seen = server.one(f"PUT /v1/images/{top.id}/checksum")
    assert (seen.header("X-Docker-Checksum"), seen.header("X-Docker-Checksum-Payload")) == (sent.tarsum, sent.payload)
    assert (seen.header("Content-Length"), seen.header("Content-Type")) == ("0", None)


def test_the_last_put_repeats_the_endpoints_as_urls(connect: Connect, server: Server) -> None:
    connect().push("team/app", {"v1": image("base")})
    seen = server.one("PUT /v1/repositories/team/app/images")
    assert seen.body == b"[]"
    assert seen.header("X-Docker-Endpoints") == f"https://{server.host}/v1/"


def test_a_range_request_does_not_ask_for_gzip() -> None:
    text = head("GET", "https://h/v1/x", "", {"Range": "bytes=1-2"}, None).decode()
    assert text == "GET /v1/x HTTP/1.1\r\nHost: h\r\nRange: bytes=1-2\r\nConnection: close\r\n\r\n"


def test_an_empty_token_loses_its_blank_as_in_go() -> None:
    assert b"Authorization: Token\r\n" in head("GET", "https://h/", "", {"Authorization": "Token "}, None)


def test_every_request_has_a_connection_of_its_own(connect: Connect, server: Server) -> None:
    connect().push("team/app", {"v1": image("base")})
    assert server.connections == len(server.seen) == 10


@pytest.mark.parametrize(
    ("version", "pings"),
    [
        ("1.4.1", [PING, PING]),
        ("1.6.2", [V2, PING, PING]),
        ("1.9.1", [V2, PING]),
        ("1.13.1", [V2, "POST /v2/team/app/blobs/uploads/", PING]),
    ],
)
def test_a_push_begins_with_the_pings_of_its_version(
    connect: Connect, server: Server, version: str, pings: list[str]
) -> None:
    connect(version).push("team/app", {"v1": image("base")})
    assert server.lines[: len(pings) + 1] == [*pings, "PUT /v1/repositories/team/app/"]


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        ("1.4.1", [PING, PING, "GET /v1/search?q=a+b"]),
        ("1.6.2", [V2, PING, PING, "GET /v1/search?q=a+b"]),
        ("1.9.1", [V2, PING, PING, "GET /v1/search?q=a+b"]),
        ("1.13.1", [PING, PING, "GET /v1/search?q=a+b&n=25"]),
    ],
)
def test_a_search_begins_with_the_pings_of_its_version(
    connect: Connect, server: Server, registry: TinyRegistry, version: str, lines: list[str]
) -> None:
    registry.rule("GET /v1/search.*", answer(200, '{"results": [{"name": "team/app"}]}'))
    assert connect(version).search("a b") == [{"name": "team/app"}]
    assert server.lines == lines


@pytest.mark.parametrize(("version", "agent"), [("1.4.1", "Go 1.1 package http"), ("1.6.2", AGENTS["1.6.2"])])
def test_pings_of_the_oldest_engines_name_go_alone(connect: Connect, server: Server, version: str, agent: str) -> None:
    connect(version).tags("team/app")
    assert server.seen[0].header("User-Agent") == agent


def test_pings_carry_no_credentials(connect: Connect, server: Server) -> None:
    connect("1.9.1").push("team/app", {"v1": image("base")})
    assert [seen.header("Authorization") for seen in server.seen[:2]] == [None, None]


@pytest.mark.parametrize("version", AGENTS)
def test_a_standalone_registry_gets_basic_on_every_request(connect: Connect, server: Server, version: str) -> None:
    connect(version, asks_v2=False).push("team/app", {"v1": image("base")})
    assert {seen.header("Authorization") for seen in server.seen if seen.line != PING} == {BASIC}


def test_without_a_login_basic_is_sent_empty(connect: Connect, server: Server) -> None:
    connect(user="", password="").tags("team/app")
    assert server.seen[-1].header("Authorization") == "Basic Og=="


@pytest.mark.parametrize(
    ("ping", "authorization"),
    [
        (answer(200, "{}", X_Docker_Registry_Standalone="TRUE"), BASIC),
        (answer(503, "<html>", X_Docker_Registry_Standalone="1"), BASIC),
        (answer(200, "true"), BASIC),
        (answer(200, "{}", X_Docker_Registry_Standalone="mirror"), "Token"),
        (answer(200, '{"standalone": false}'), "Token"),
        (answer(200, '{"standalone": false}', X_Docker_Registry_Standalone="true"), BASIC),
    ],
)
def test_the_ping_decides_whether_basic_is_sent(
    connect: Connect, server: Server, registry: TinyRegistry, ping: bytes, authorization: str
) -> None:
    registry.rule(PING, ping)
    connect("1.6.2").tags("team/app")
    assert server.seen[-1].header("Authorization") == authorization


@pytest.mark.parametrize("version", ["1.6.2", "1.9.1"])
def test_a_registry_that_is_not_standalone_gets_basic_for_the_index_and_tokens_elsewhere(
    connect: Connect, server: Server, registry: TinyRegistry, version: str
) -> None:
    registry.rule(PING, answer(200, "{}", X_Docker_Registry_Standalone="0"))
    connect(version).push("team/app", {"v1": image("base")})
    sent = {seen.line.split("/")[2]: seen.header("Authorization") for seen in server.seen if "/v1/i" in seen.line}
    assert server.one("PUT /v1/repositories/team/app/").header("Authorization") == BASIC
    assert sent == {"images": 'Token Token signature=AB,repository="x/y"'}


def test_several_tokens_are_joined_by_commas(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    registry.rule(PING, answer(200, "{}", X_Docker_Registry_Standalone="0"))
    told = b"HTTP/1.1 200 OK\r\nX-Docker-Token: one\r\nX-Docker-Token: two\r\nContent-Length: 2\r\n\r\n[]"
    registry.rule("GET /v1/repositories/.*/images", told)
    connect().pull("team/app")
    assert server.seen[-1].header("Authorization") == "Token one,two"


def test_cookies_come_back_within_a_command(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    registry.rule("GET /v1/images/.*/json", answer(404, "{}", Set_Cookie="session=abc; Path=/"))
    connect().push("team/app", {"v1": image("base")})
    assert server.seen[-1].header("Cookie") == "session=abc"
    assert server.one("PUT /v1/repositories/team/app/").header("Cookie") is None


def test_a_get_follows_a_redirect_without_credentials(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    registry.rule("GET /v1/repositories/.*/tags", answer(302, Location="/elsewhere"))
    registry.rule("GET /elsewhere", answer(200, '{"v1": "abc"}'))
    assert connect().tags("team/app") == {"v1": "abc"}
    assert server.one("GET /elsewhere").header("Authorization") is None


def test_a_redirect_that_never_ends_is_given_up(connect: Connect, registry: TinyRegistry) -> None:
    registry.rule("GET /v1/repositories/.*/tags", answer(302, Location="/v1/repositories/team/app/tags"))
    with pytest.raises(ClientError, match="stopped after 10 redirects"):
        connect().tags("team/app")


def test_a_certificate_of_another_authority_is_refused(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other, _ = self_signed(tmp_path_factory.mktemp("other"))
    with pytest.raises(ClientError, match="certificate verify failed"):
        DockerV1(server.host, ca=other).tags("team/app")


def test_an_engine_of_old_never_speaks_tls_1_3(server: Server, connect: Connect) -> None:
    assert server.tls is not None
    server.tls.minimum_version = ssl.TLSVersion.TLSv1_3
    with pytest.raises(ClientError, match=r"(?i)protocol version"):
        connect().tags("team/app")


def test_over_plain_http_only_index_requests_carry_basic(registry: TinyRegistry) -> None:
    with Server(registry, None).running() as server:
        DockerV1(server.host, ca=None, user="admin", password="secret").push("team/app", {"v1": image("base")})
    basic = [seen.line for seen in server.seen if (seen.header("Authorization") or "").startswith("Basic")]
    assert basic == ["PUT /v1/repositories/team/app/", "PUT /v1/repositories/team/app/images"]


def test_over_plain_http_a_401_tells_why(registry: TinyRegistry) -> None:
    registry.rule("PUT /v1/images/.*/json", answer(401, "{}"))
    with Server(registry, None).running() as server:
        client = DockerV1(server.host, ca=None, user="admin", password="secret")
        with pytest.raises(ClientError, match="Docker will not send auth headers over HTTP"):
            client.push("team/app", {"v1": image("base")})


@pytest.mark.parametrize("version", ["1.6.2", "1.9.1", "1.13.1"])
def test_an_engine_that_finds_v2_does_not_go_on_in_v1(connect: Connect, registry: TinyRegistry, version: str) -> None:
    registry.rule(V2, answer(401, "{}", Docker_Distribution_API_Version="registry/2.0"))
    with pytest.raises(ClientError, match=f"docker {version} speaks v2 to this registry"):
        connect(version).push("team/app", {"v1": image("base")})


def test_an_unconfirmed_v2_that_works_keeps_new_engines_from_v1(connect: Connect, registry: TinyRegistry) -> None:
    registry.rule("POST /v2/.*", answer(202))
    with pytest.raises(ClientError, match=r"docker 1\.13\.1 speaks v2"):
        connect("1.13.1").push("team/app", {"v1": image("base")})


@pytest.mark.parametrize("part", ["json", "layer", "checksum"])
def test_a_connection_that_ends_without_an_answer_is_told(connect: Connect, registry: TinyRegistry, part: str) -> None:
    registry.rule(f"PUT /v1/images/.*/{part}", lambda _: None)
    with pytest.raises(ClientError, match=f"Failed to upload {'layer' if part == 'layer' else 'metadata'}: Put https"):
        connect().push("team/app", {"v1": image("base")})


def test_the_raw_door_sends_what_it_is_given(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    registry.rule("PATCH /odd", lambda seen: answer(418, seen.body, X_Told="yes"))
    told = connect().request("PATCH", "/odd", headers={"X-Odd": ["1", "2"]}, body=iter([b"ab", b"", b"c"]))
    seen = server.one("PATCH /odd")
    assert (told.status, told.body, told.header("x-told")) == (418, b"abc", "yes")
    assert (seen.chunks, seen.header("Authorization")) == ((2, 1), BASIC)
    assert "X-Odd: 1\r\nX-Odd: 2\r\n" in seen.head


def test_the_raw_door_can_leave_credentials_out(connect: Connect, server: Server) -> None:
    connect().request("GET", "/v1/_ping", credentials=False, agent="curl/8")
    assert (server.seen[0].header("Authorization"), server.seen[0].header("User-Agent")) == (None, "curl/8")


def test_a_json_answer_in_gzip_is_inflated(connect: Connect, registry: TinyRegistry) -> None:
    packed = gzip.compress(b'{"v1": "abc"}')
    registry.rule("GET /v1/repositories/.*/tags", answer(200, packed, Content_Encoding="gzip"))
    assert connect().tags("team/app") == {"v1": "abc"}


def test_a_body_that_is_refused_half_way_is_not_sent_to_its_end(connect: Connect, server: Server) -> None:
    def refuse(seen: Seen) -> bytes | None:
        return answer(413, '{"error": "too large"}') if seen.line.endswith("/layer") else None

    server.early = refuse
    endless = (b"x" * 65536 for _ in range(100_000))
    told = connect().request("PUT", "/v1/images/a/layer", body=endless)
    server.settle()
    assert (told.status, server.seen[-1].complete) == (413, False)
