"""Ids of v1 name no repository: through them nobody reaches an image of v2 that its repository would not show him."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from pier_registry.web import rights_file
from tests.clients.v1_model import Layer
from tests.registry.bridge.both import AGENT, Both, ids_of
from tests.registry.bridge.images import NewImage, fresh, new_image, old_chain, old_image, tar
from tests.registry.protocol import pushing as old_pushing
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import fresh_id
from tests.registry.v2 import places
from tests.registry.v2.documents import digest, encoded

pytestmark = pytest.mark.usefixtures("emptied")


@pytest.fixture
def image(both: Both) -> Iterator[NewImage]:
    """Pushed over v2, where a stranger may not look."""
    pushed = new_image(*[tar(fresh()) for _ in range(3)])
    both.push_new(pushed, "1")
    yield pushed
    if both.new.knows("1"):
        both.new.delete("1")


def some_user(both: Both, role: str, repositories: str, prefix: str = "") -> httpx.Client:
    who = f"{prefix}{role}-{both.name.partition('/')[0]}"
    return user(both.running, who, role, repositories, headers={"User-Agent": AGENT})


@pytest.fixture
def stranger(both: Both) -> Iterator[httpx.Client]:
    """May push to repositories of his own only."""
    with some_user(both, "push", "own-*/*") as client:
        yield client


@pytest.fixture
def builder(both: Both) -> Iterator[httpx.Client]:
    """May push as the stranger does, and pull the image's repository."""
    name = f"builder-{both.name.partition('/')[0]}"
    with user(both.running, name, headers={"User-Agent": AGENT}) as client:
        grants = [rights_file.grant("pull", [both.name]), rights_file.grant("push", ["own-*/*"])]
        rights_file.set_entry(both.running.data / "rights.yaml", name, grants)
        yield client


def own(both: Both) -> str:
    """A repository of the stranger's and the builder's."""
    return f"own-{both.name}"


def answers(client: httpx.Client, image_id: str) -> list[tuple[int, bytes]]:
    """Everything that v1 can be asked of an id."""
    asked = [client.get(f"/v1/images/{image_id}/{part}") for part in ("json", "ancestry", "layer")]
    return [(answer.status_code, answer.content) for answer in asked]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_image_that_one_may_not_pull_is_as_unknown_as_none(
    both: Both, image: NewImage, stranger: httpx.Client, at: int
) -> None:
    told = answers(stranger, image.old_ids[at])
    assert [status for status, _ in told] == [404] * 3
    assert told == answers(stranger, fresh_id())


def test_the_repository_is_as_unknown_as_none(both: Both, image: NewImage, stranger: httpx.Client) -> None:
    for path in ("tags", "images", "tags/1", "json"):
        shown = stranger.get(f"/v1/repositories/{both.name}/{path}")
        unknown = stranger.get(f"/v1/repositories/no-such/app/{path}")
        assert (shown.status_code, shown.content) == (unknown.status_code, unknown.content), path
    assert stranger.get("/v1/alltags", params={"q": both.name.partition("/")[0]}).json()["results"] == []
    assert stranger.get("/v1/search", params={"q": both.name}).json()["results"] == []


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_tag_on_an_image_that_one_may_not_pull_is_refused(
    both: Both, image: NewImage, stranger: httpx.Client, at: int
) -> None:
    refused = old_pushing.put_tag(stranger, own(both), "1", image.old_ids[at])
    unknown = old_pushing.put_tag(stranger, own(both), "1", fresh_id())
    assert (refused.status_code, refused.content) == (unknown.status_code, unknown.content)
    assert refused.status_code == 404


def test_a_push_is_not_told_that_an_image_exists_which_one_may_not_pull(
    both: Both, image: NewImage, stranger: httpx.Client
) -> None:
    ids = [*image.old_ids, fresh_id()]
    stranger.put(f"/v1/repositories/{own(both)}/", json=[{"id": image_id} for image_id in ids])
    told = [stranger.get(f"/v1/images/{image_id}/json") for image_id in ids]
    assert {(answer.status_code, answer.content) for answer in told} == {(404, told[-1].content)}
    assert stranger.put(f"/v1/repositories/{own(both)}/images", json=[]).status_code == 204


def test_a_child_of_an_image_that_one_may_not_pull_has_no_parent(
    both: Both, image: NewImage, stranger: httpx.Client
) -> None:
    def refusal(parent: str) -> tuple[int, bytes]:
        own_id = fresh_id()
        told = json.dumps({"id": own_id, "parent": parent}).encode()
        answer = stranger.put(f"/v1/images/{own_id}/json", content=told)
        return answer.status_code, answer.content

    assert refusal(image.old_ids[-1]) == refusal(fresh_id())
    assert refusal(image.old_ids[-1])[0] == 400


def test_a_layer_of_a_v1_image_is_not_shown_to_v2_elsewhere(both: Both, stranger: httpx.Client) -> None:
    chain = old_chain(tar(fresh()), form="gzip").layers
    both.push_old("old", *chain)
    layer, config = both.manifest("old")["layers"][0]["digest"], both.manifest("old")["config"]["digest"]
    new = {"User-Agent": "docker/20.10.24"}
    for blob in (layer, config):
        assert stranger.get(f"/v2/{own(both)}/blobs/{blob}", headers=new).status_code == 404
        mounting = {"mount": blob, "from": both.name}
        asked = stranger.post(f"/v2/{own(both)}/blobs/uploads/", params=mounting, headers=new)
        assert asked.status_code == 202
        assert stranger.delete(asked.headers["Location"], headers=new).status_code == 204
    assert stranger.get(f"/v2/{both.name}/manifests/old", headers=new).status_code in {403, 404}
    both.new.delete("old")


def test_who_may_only_pull_pulls_and_cannot_tag(both: Both, image: NewImage) -> None:
    with some_user(both, "pull", both.name) as reader:
        assert [status for status, _ in answers(reader, image.old_ids[-1])] == [200] * 3
        assert old_pushing.put_tag(reader, both.name, "2", image.old_ids[-1]).status_code == 403
        assert old_pushing.put_tag(reader, own(both), "2", image.old_ids[-1]).status_code == 403


def test_who_may_pull_here_and_push_there_has_to_send_the_image_there(
    both: Both, image: NewImage, builder: httpx.Client
) -> None:
    """As with images of v1: an id is no right to what it stands for."""
    assert [status for status, _ in answers(builder, image.old_ids[-1])] == [200] * 3
    assert old_pushing.put_tag(builder, own(both), "2", image.old_ids[-1]).status_code == 404


def test_who_may_pull_here_and_push_there_can_send_the_image_there(
    both: Both, image: NewImage, builder: httpx.Client
) -> None:
    """The very same images join: else an old engine could not build on a base that it may only pull."""
    parents = [None, *image.old_ids]
    chain = [
        Layer(image_id, builder.get(f"/v1/images/{image_id}/json").content, parent, layer)
        for image_id, parent, layer in zip(image.old_ids, parents, image.layers, strict=False)
    ]
    child = old_image(tar(fresh()), chain[-1], form="gzip")
    there = Both(both.running, own(both), both.at(own(both)).new, builder)
    there.push_old("2", *chain, child)
    assert there.ancestry(child.id) == [*image.old_ids, child.id]
    both.new.delete("1")
    assert ids_of(both.engine().pull(own(both), "2")["2"]) == [*image.old_ids, child.id]
    both.at(own(both)).new.delete("2")


def test_a_retag_shows_the_image_to_those_who_may_see_its_new_place(
    both: Both, image: NewImage, stranger: httpx.Client
) -> None:
    place = both.at(own(both))
    place.point("shown", image.old_ids[-1])
    assert [status for status, _ in answers(stranger, image.old_ids[-1])] == [200] * 3
    both.new.delete("1")
    assert [status for status, _ in answers(stranger, image.old_ids[-1])] == [200] * 3
    place.new.delete("shown")
    assert [status for status, _ in answers(stranger, image.old_ids[-1])] == [404] * 3


@pytest.fixture
def adopted(both: Both, image: NewImage) -> Iterator[httpx.Client]:
    """Somebody has built on the image where this client, who may push to its repository, may not look."""
    parent = Layer(image.old_ids[-1], b"", image.old_ids[-2], b"")
    secret = both.at(f"secret-{both.name}")
    secret.push_old("child", old_image(tar(fresh()), parent, form="gzip"))
    with some_user(both, "push", both.name, "neighbour-") as client:
        assert answers(client, secret.old_tags()["child"])[0][0] == 404
        yield client
    secret.new.delete("child")


def test_what_others_built_on_an_image_does_not_hide_it(image: NewImage, adopted: httpx.Client) -> None:
    for image_id in image.old_ids:
        assert [status for status, _ in answers(adopted, image_id)] == [200] * 3


def test_what_others_built_on_an_image_does_not_keep_it_from_a_push(
    both: Both, image: NewImage, adopted: httpx.Client
) -> None:
    adopted.put(f"/v1/repositories/{both.name}/", json=[{"id": image.old_ids[-1], "Tag": "2"}])
    assert adopted.get(f"/v1/images/{image.old_ids[-1]}/json").status_code == 200
    assert adopted.put(f"/v1/repositories/{both.name}/images", json=[]).status_code == 204


def test_what_others_built_on_an_image_does_not_keep_it_from_a_tag(
    both: Both, image: NewImage, adopted: httpx.Client
) -> None:
    answer = old_pushing.put_tag(adopted, both.name, "2", image.old_ids[-1])
    assert answer.status_code == 200, answer.text
    assert both.new.pulled("2") == image.digest
    both.new.delete("2")


def test_what_others_built_on_an_image_does_not_keep_a_child_from_it(
    both: Both, image: NewImage, adopted: httpx.Client
) -> None:
    child = old_image(tar(fresh()), Layer(image.old_ids[-1], b"", image.old_ids[-2], b""), form="gzip")
    Both(both.running, both.name, both.new, adopted).push_old("2", child)
    assert both.ancestry(child.id) == [*image.old_ids, child.id]
    both.new.delete("2")


def test_a_retag_takes_the_manifest_that_its_pusher_may_see(both: Both, image: NewImage) -> None:
    """The same layers and config may be told of elsewhere by another manifest, with annotations that are secret."""
    secret = both.at(f"another-{both.name}")
    told = json.loads(image.manifest) | {"annotations": {"note": "secret"}}
    annotated = NewImage(image.layers, image.config, encoded(told))
    open_ = both.at(f"open-{both.name}")
    secret.push_new(annotated, "1")
    both.new.delete("1")
    open_.push_new(image, "1")
    with some_user(both, "push", f"open-{both.name}*") as pusher:
        assert old_pushing.put_tag(pusher, f"{open_.name}/copy", "2", image.old_ids[-1]).status_code == 200
    copy = both.at(f"{open_.name}/copy")
    assert copy.new.pulled("2") == image.digest
    copy.new.delete("2")
    open_.new.delete("1")
    secret.new.delete("1")


def test_an_image_without_a_tag_is_shown_to_its_pusher_alone(both: Both) -> None:
    loose = new_image(tar(fresh()))
    both.push_new(loose)
    assert both.knows_old(loose.old_ids[-1])
    with some_user(both, "push", "own-*/*") as other:
        assert [status for status, _ in answers(other, loose.old_ids[-1])] == [404] * 3
    both.new.delete(digest(loose.manifest))


def test_rights_end_for_v1_ids_as_they_end_for_the_repository(both: Both, image: NewImage) -> None:
    with some_user(both, "pull", both.name) as reader:
        assert answers(reader, image.old_ids[0])[0][0] == 200
        file = both.running.data / "rights.yaml"
        rights_file.set_entry(file, f"pull-{both.name.partition('/')[0]}", [rights_file.grant("pull", ["elsewhere/*"])])
        places.until(lambda: answers(reader, image.old_ids[0])[0][0] == 404, "the right to pull is gone")
