"""What docker 1.6, 1.9 and 1.13 do every day, against a registry as its users run it: TLS, nginx, a password."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import stored
from tests.clients.v1 import ClientError, ConnectionLost, DockerV1
from tests.parts.images import read_saved, synthetic_image
from tests.parts.registry import Running, registry

VERSIONS = ("1.6.2", "1.9.1", "1.13.1")
CHOOSES_V2 = "1.13.1"  # where it finds one, as here; its v1 is what it speaks to registries that have nothing else


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with registry(tmp_path_factory.mktemp("pier") / "data") as running:
        yield running


@pytest.fixture(params=VERSIONS)
def docker(request: pytest.FixtureRequest, server: Running) -> DockerV1:
    return docker_of(server, request.param)


def docker_of(server: Running, version: str = "1.9.1", user: str = "admin", password: str | None = None) -> DockerV1:
    password = password or server.password
    asks_v2 = version != CHOOSES_V2
    return DockerV1(server.host, ca=server.ca, user=user, password=password, version=version, asks_v2=asks_v2)


def size_of(layer: Path | bytes) -> int:
    return layer.stat().st_size if isinstance(layer, Path) else len(layer)


def layers_on_disk(server: Running) -> int:
    return sum(file.stat().st_size for file in (server.data / "layers").rglob("*") if file.is_file())


def test_login_works_and_a_wrong_password_is_told(docker: DockerV1, server: Running) -> None:
    docker.login()
    with pytest.raises(ClientError):
        docker_of(server, docker.engine.version, password="wrong").login()


def test_what_is_pushed_comes_back_byte_for_byte(docker: DockerV1, request: pytest.FixtureRequest) -> None:
    image = synthetic_image(depth=3, seed=100 + VERSIONS.index(docker.engine.version), size=200_000)
    repository = f"team/app-{docker.engine.version.replace('.', '-')}"
    pushed = docker.push(repository, {"1": image})
    assert list(pushed.uploaded) == [layer.id for layer in image.layers]
    pulled = docker.pull(repository, "1")["1"]
    assert [layer.id for layer in pulled.layers] == [layer.id for layer in image.layers]
    for got, sent in zip(pulled.layers, image.layers, strict=True):
        assert got.json == sent.json
        assert got.layer_sha256 == pushed.layers[sent.id].sha256
        assert got.uncompressed_sha256 == pushed.layers[sent.id].uncompressed_sha256


def test_a_second_push_uploads_nothing(docker: DockerV1) -> None:
    image = synthetic_image(depth=2, seed=7, size=50_000)
    docker.push("twice", {"1": image})
    again = docker.push("twice", {"2": image})
    assert again.uploaded == ()
    assert set(docker.tags("twice")) == {"1", "2"}


def test_short_and_long_spelling_are_one_repository(docker: DockerV1) -> None:
    image = synthetic_image(depth=1, seed=11, size=1_000)
    docker.push("spelling", {"1": image})
    assert docker.tags("library/spelling") == docker.tags("spelling") == {"1": image.layers[-1].id}


def test_search_finds_what_was_pushed(docker: DockerV1) -> None:
    docker.push("team/needle", {"1": synthetic_image(depth=1, seed=12, size=1_000)})
    assert [found["name"] for found in docker.search("eedl")] == ["team/needle"]


def test_all_tags_of_a_push_are_set_and_pulled(docker: DockerV1) -> None:
    base, top = synthetic_image(depth=2, seed=21, size=9_000), synthetic_image(depth=4, seed=21, size=9_000)
    docker.push("many", {"old": base, "new": top, "latest": top})
    assert set(docker.pull("many")) == {"old", "new", "latest"}


def test_a_push_leaves_no_promise_behind(docker: DockerV1, server: Running) -> None:
    docker.push("quiet", {"1": synthetic_image(depth=2, seed=31, size=2_000)})
    usage = server.usage()
    assert (usage["leases"], usage["uploads"], usage["pending_files"]) == (0, 0, 0)


def test_an_interrupted_push_is_pushed_again_without_a_hand(docker: DockerV1, server: Running) -> None:
    image = synthetic_image(depth=1, seed=41 + VERSIONS.index(docker.engine.version), size=4_000_000)
    docker.fail_after(1_000)
    with pytest.raises((ClientError, ConnectionLost)):
        docker.push("cut", {"1": image})
    fresh = docker_of(server, docker.engine.version)
    fresh.push("cut", {"1": image})
    assert "1" in fresh.pull("cut", "1")


def test_a_cut_download_is_resumed(docker: DockerV1, server: Running, tmp_path: Path) -> None:
    image = synthetic_image(depth=1, seed=51 + VERSIONS.index(docker.engine.version), size=3_000_000)
    pushed = docker.push("resume", {"1": image})
    layer = image.layers[0]
    file = tmp_path / "layer"
    docker.pull_layer_resuming(layer.id, 100_000, file)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == pushed.layers[layer.id].sha256
    docker.pull_layer_resuming(layer.id, file.stat().st_size, tmp_path / "whole")


def test_a_deleted_tag_gives_the_bytes_back_before_the_answer(docker: DockerV1, server: Running) -> None:
    image = synthetic_image(depth=3, seed=61 + VERSIONS.index(docker.engine.version), size=300_000)
    before = layers_on_disk(server)
    stored_bytes = docker.push("gone", {"1": image}).bytes_sent
    stored_bytes += stored.manifest(server, "gone", "1")["config"]["size"]  # made for v2 clients
    assert layers_on_disk(server) == before + stored_bytes
    answer = docker.delete_tag("gone", "1")
    assert answer.status == 200
    assert int(answer.headers["Pier-Freed-Bytes"]) == stored_bytes
    assert layers_on_disk(server) == before


def test_a_reader_may_pull_and_not_push(server: Running) -> None:
    image = synthetic_image(depth=1, seed=71, size=1_000)
    docker_of(server).push("team/shared", {"1": image})
    reader = docker_of(server, user="reader", password=server.add_user("reader", role="pull", repositories="team/*"))
    assert "1" in reader.pull("team/shared", "1")
    with pytest.raises(ClientError):
        reader.push("team/shared", {"2": image})


@pytest.mark.parametrize("version", ["1.6.2", "1.9.1"])
def test_real_images_go_up_and_come_down(server: Running, saved_images: dict[str, Path], version: str) -> None:
    """Images that a real `docker save` wrote, among them one of 200 MB."""
    docker = docker_of(server, version)
    images = {name: read_saved(path)[0] for name, path in saved_images.items()}
    assert max(sum(size_of(layer.layer) for layer in image.layers) for image in images.values()) > 200_000_000
    for name, image in images.items():
        docker.push(f"real/{name}", {"1": image})
    for name, image in images.items():
        assert [layer.id for layer in docker.pull(f"real/{name}", "1")["1"].layers] == [one.id for one in image.layers]
    assert server.pier("fsck", "--digests").returncode == 0
    for name in images:
        assert docker.delete_tag(f"real/{name}", "1").status == 200
    assert not [name for name in server.client().get("/api/repositories").json()["repositories"] if "real/" in name]
