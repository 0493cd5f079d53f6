"""`pier migrate --synthesise`: tags of v1 that were set before there was a bridge get what v2 clients need."""

from __future__ import annotations

import gzip
import json
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pier_registry import errors
from pier_registry.actions import browse, pull_manifest, synthesise
from pier_registry.actions.registry import Registry
from pier_registry.names import TagName
from tests.parts.database import DatabaseServer
from tests.parts.registry import Running, configured
from tests.registry.bridge.conftest import own_view
from tests.registry.bridge.images import made
from tests.registry.counting import passing, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.crashing import Crash, Fuse, Meanwhile, fused
from tests.registry.counting.planting import plant
from tests.registry.counting.pushing import Client, Image, chain, image, repository


@pytest.fixture
def registry(place: Place) -> Registry:
    return place.open()


@pytest.fixture
def client(registry: Registry) -> Client:
    return Client(registry)


def config_of(registry: Registry, name: str, tag: str) -> bytes:
    """What v2 clients get; raises ManifestUnknown."""
    caller = Client(registry).caller
    body = pull_manifest.manifest(registry, caller, repository(name), TagName(tag)).body
    (row,) = (row for row in truth.rows(registry).of("layer") if row["digest"] == json.loads(body)["config"]["digest"])
    with registry.storage.open(f"layers/sha256/{row['digest'][7:9]}/{row['digest'][7:]}.{row['generation']}") as file:
        return file.read()


def test_tags_from_before_the_bridge_get_a_manifest(registry: Registry) -> None:
    one, other, short = chain("root", "one"), image("other"), image("short name")
    plant(registry, "team/app", {"1": one, "2": other, "3": one})
    plant(registry, "app", {"latest": short})
    report = synthesise.run(registry)
    assert (report.made, report.left) == (4, [])
    assert config_of(registry, "team/app", "1") == config_of(registry, "team/app", "3") == one.config
    assert config_of(registry, "team/app", "2") == other.config
    assert config_of(registry, "app", "latest") == short.config
    truth.is_at_rest(registry)


def test_a_second_run_finds_nothing_to_do(registry: Registry) -> None:
    plant(registry, "team/app", {"1": image("one")})
    assert synthesise.run(registry).made == 1
    before = truth.rows(registry)
    assert synthesise.run(registry).made == 0
    assert truth.rows(registry) == before


def test_a_tag_of_v2_is_left_alone(registry: Registry, client: Client) -> None:
    client.push("team/app", "1", image("one"))
    before = truth.rows(registry)
    assert synthesise.run(registry).made == 0
    assert truth.rows(registry) == before


def test_more_tags_than_a_page_are_all_seen(registry: Registry) -> None:
    plant(registry, "team/app", {f"{number}": image(f"top {number % 7}", image("base")) for number in range(130)})
    assert synthesise.run(registry).made == 130
    truth.is_at_rest(registry)


def test_a_tag_whose_layer_is_lost_is_named_and_left(registry: Registry) -> None:
    lost, kept = image("lost"), image("kept")
    plant(registry, "team/app", {"lost": lost, "kept": kept})
    (path,) = (path for path in truth.files(registry) if lost.digest.encoded in path)
    (registry.settings.data / path).unlink()
    report = synthesise.run(registry)
    assert (report.made, report.left) == (1, ["team/app:lost"])
    with pytest.raises(errors.ManifestUnknown):
        config_of(registry, "team/app", "lost")


def test_what_a_tag_tells_of_its_push_stays(registry: Registry, client: Client) -> None:
    plant(registry, "team/app", {"1": image("one")})
    passing.time(registry, passing.DAY)
    before = browse.tag(registry, client.caller, repository("team/app"), TagName("1"))
    synthesise.run(registry)
    after = browse.tag(registry, client.caller, repository("team/app"), TagName("1"))
    assert (after.image_id, after.agent, after.updated) == (before.image_id, before.agent, before.updated)


def meanwhile(registry: Registry, act: Any) -> Registry:
    """Does something of its own, once, just before anything is written."""
    return fused(registry, Meanwhile(left=99, at="before a transaction", act=act))


def test_a_tag_that_moves_meanwhile_is_not_moved_back(registry: Registry, client: Client) -> None:
    old, new = image("old"), image("new")
    plant(registry, "team/app", {"1": old, "other": old})
    synthesise.run(meanwhile(registry, partial(client.push, "team/app", "1", new)))
    assert truth.tags(registry)["team/app", "1"] == new.id
    assert config_of(registry, "team/app", "1") == new.config


def test_a_tag_that_is_deleted_meanwhile_does_not_come_back(registry: Registry, client: Client) -> None:
    old = image("old")
    plant(registry, "team/app", {"1": old, "other": old})
    synthesise.run(meanwhile(registry, partial(client.delete, "team/app", "1")))
    assert set(truth.tags(registry)) == {("team/app", "other")}


def test_it_may_break_off_at_any_step_and_be_run_again(registry: Registry) -> None:
    tops: dict[str, Image] = {"1": chain("root", "one"), "2": image("other")}
    plant(registry, "team/app", tops)
    fuse = Fuse()
    for steps in count():
        try:
            with fuse.lit(steps):
                synthesise.run(fused(registry, fuse))
        except Crash:
            truth.holds(registry)
        else:
            break
    assert steps > 5
    passing.everything(registry)
    truth.is_at_rest(registry)
    assert {tag: config_of(registry, "team/app", tag) for tag in tops} == {tag: top.config for tag, top in tops.items()}


# The command


@pytest.fixture(params=["sqlite", "mariadb"])
def waiting(request: pytest.FixtureRequest, tmp_path: Path) -> Running:
    """A registry that is not served yet, with two tags of v1 from before the bridge."""
    settings: dict[str, Any] = {"workers": 1}
    if request.param == "mariadb":
        server: DatabaseServer = request.getfixturevalue("mariadb")
        settings["database_url"] = server.create_database(f"bridge_{tmp_path.name}"[:60])
    running = configured(tmp_path / "data", **settings)
    running.data.mkdir(mode=0o700)
    running.pier("migrate")
    with own_view(running) as registry:
        plant(registry, "team/app", {"1": chain("root", "one"), "2": image("other")})
    return running


def told(running: Running, *words: str) -> Any:
    return json.loads(running.pier("migrate", *words, "--output", "json").stdout)


def test_the_command_makes_them_when_it_is_asked_to(waiting: Running) -> None:
    assert told(waiting) == {"migrated": False}
    assert told(waiting, "--synthesise") == {"migrated": False, "made": 2, "left": []}
    assert told(waiting, "--synthesise") == {"migrated": False, "made": 0, "left": []}
    assert waiting.pier("fsck").returncode == 0
    waiting.start()
    try:
        for tag, top in (("1", chain("root", "one")), ("2", image("other"))):
            answer = waiting.client().get(f"/v2/team/app/manifests/{tag}")
            links = top.chain[::-1]
            layers = [
                {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}
                | {"digest": str(link.digest), "size": link.size}
                for link in links
            ]
            expected = made([link.json for link in links], [gzip.decompress(link.layer) for link in links], layers)
            assert answer.content == expected.manifest
    finally:
        for client in waiting.clients:
            client.close()
        waiting.stop()


def test_the_command_works_while_the_registry_serves(waiting: Running) -> None:
    waiting.start()
    try:
        client = waiting.client()
        assert client.get("/v2/team/app/manifests/1").status_code == 404
        assert "2 tags got a v2 manifest" in waiting.pier("migrate", "--synthesise").stdout
        assert client.get("/v2/team/app/manifests/1").status_code == 200
        assert client.get("/v2/team/app/tags/list").json()["tags"] == ["1", "2"]
        assert client.delete("/v2/team/app/manifests/1").status_code == 202
    finally:
        for each in waiting.clients:
            each.close()
        waiting.stop()


def test_the_command_names_what_it_leaves(waiting: Running) -> None:
    for path in (waiting.data / "layers").rglob(f"{image('other').digest.encoded}.*"):
        path.write_bytes(b"damaged")
    done = waiting.pier("migrate", "--synthesise")
    assert "1 tags got a v2 manifest" in done.stdout
    assert "team/app:2 stays a v1 tag only" in done.stdout
