"""v1 ids are chosen by clients, so somebody may have taken the id that an image of v2 is to get: it gets another."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pier_registry.actions import reclaim
from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.bridge.both import AGENT, Both, ids_of
from tests.registry.bridge.conftest import own_view
from tests.registry.bridge.images import NewImage, fresh, new_image, old_image, tar
from tests.registry.counting import passing
from tests.registry.protocol import pushing as old_pushing
from tests.registry.protocol.doors import user

pytestmark = pytest.mark.usefixtures("emptied")
ALREADY = {"error": "Image already exists"}


@pytest.fixture
def image() -> NewImage:
    """Not pushed yet."""
    return new_image(*[tar(fresh()) for _ in range(3)])


@pytest.fixture
def stranger(door: Running, name: str) -> Iterator[httpx.Client]:
    """Another user, who may push elsewhere only."""
    who = f"stranger-{name.partition('/')[0]}"
    with user(door, who, "push", f"{who}/*", headers={"User-Agent": AGENT}) as client:
        yield client


def squat(both: Both, image_id: str, tag: str = "squatter", parent: Layer | None = None) -> Layer:
    """Other content under this id, in a repository of its own."""
    taken = old_image(tar(fresh("squatted")), parent, form="gzip", image_id=image_id)
    both.at(f"{both.name}/squat").push_old(tag, taken)
    return taken


def leave(both: Both, *tags: str) -> None:
    for tag in tags:
        both.at(f"{both.name}/squat").new.delete(tag)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_image_whose_id_is_taken_is_pulled_under_another(both: Both, image: NewImage, at: int) -> None:
    squatted = squat(both, image.old_ids[at])
    both.push_new(image, "1")
    pulled = both.engine().pull(both.name, "1")["1"]
    assert ids_of(pulled)[:at] == image.old_ids[:at]
    assert not set(ids_of(pulled)[at:]) & set(image.old_ids)
    assert [both.old_layer(image_id) for image_id in ids_of(pulled)] == list(image.layers)
    assert both.old_layer(squatted.id) == squatted.layer
    both.new.delete("1")
    leave(both, "squatter")


def test_images_on_one_base_whose_id_is_taken_still_share_it(both: Both) -> None:
    base = tar(fresh("base"))
    one, two = (new_image(base, tar(fresh())) for _ in range(2))
    squat(both, one.old_ids[0])
    for tag, each in (("1", one), ("2", two)):
        both.push_new(each, tag)
    chains = [both.ancestry(both.old_tags()[tag]) for tag in ("1", "2")]
    assert chains[0][0] == chains[1][0] != one.old_ids[0]
    assert chains[0][1] != chains[1][1]
    for tag in ("1", "2"):
        both.new.delete(tag)
    leave(both, "squatter")


def test_an_image_that_is_pushed_again_keeps_the_id_that_it_got(both: Both, image: NewImage) -> None:
    squat(both, image.old_ids[-1])
    both.push_new(image, "1")
    top = both.old_tags()["1"]
    leave(both, "squatter")
    both.push_new(image, "1")
    both.push_new(image, "2")
    assert both.old_tags() == {"1": top, "2": top}
    both.new.delete(image.digest)


def test_many_ids_in_a_row_may_be_taken(both: Both, image: NewImage) -> None:
    tags = [str(number) for number in range(3)]
    for tag in tags:
        both.push_new(image, "1")
        squatted = both.old_tags()["1"]
        both.new.delete("1")
        squat(both, squatted, tag)
    both.push_new(image, "1")
    assert len({*both.old_tags().values(), *both.at(f"{both.name}/squat").old_tags().values()}) == 4
    assert ids_of(both.engine().pull(both.name, "1")["1"])[:2] == image.old_ids[:2]
    both.new.delete("1")
    leave(both, *tags)


def test_an_unfinished_image_takes_no_id(both: Both, image: NewImage, stranger: httpx.Client) -> None:
    """Whoever was about to finish it is refused, as for any id that is used for something else."""
    late = old_image(tar(fresh("late")), form="gzip", image_id=image.old_ids[0])
    for step in (old_pushing.put_json, old_pushing.put_layer):
        assert step(stranger, late).status_code == 200
    both.push_new(image, "1")
    assert ids_of(both.engine().pull(both.name, "1")["1"]) == image.old_ids
    refused = old_pushing.put_checksum(stranger, late)
    assert refused.status_code in {400, 409}
    assert refused.json() != ALREADY
    assert both.old_layer(image.old_ids[0]) == image.layers[0]
    both.new.delete("1")
    with own_view(both.running) as registry:  # what was refused is removed in the background
        passing.time(registry, passing.MINUTE)
        reclaim.work_off(registry)


@pytest.mark.parametrize("at", [0, 2])
def test_an_id_that_an_image_has_cannot_be_taken_by_who_may_push_there(both: Both, image: NewImage, at: int) -> None:
    both.push_new(image, "1")
    late = old_image(tar(fresh("late")), form="gzip", image_id=image.old_ids[at])
    for step in (old_pushing.put_json, old_pushing.put_layer, old_pushing.put_checksum):
        answer = step(both.old, late)
        assert answer.status_code == 409, step
        assert answer.json() == ALREADY
    assert both.old_layer(image.old_ids[at]) == image.layers[at]
    both.new.delete("1")


def test_the_very_same_image_may_have_been_pushed_over_v1_before(both: Both, image: NewImage) -> None:
    """By an engine that had pulled it while it was here, say: nothing is taken then, and the ids are shared."""
    both.push_new(image, "1")
    jsons = [both.old.get(f"/v1/images/{image_id}/json").content for image_id in image.old_ids]
    both.new.delete("1")
    parents = [None, *image.old_ids]
    chain = [
        Layer(image_id, told, parent, layer)
        for image_id, told, parent, layer in zip(image.old_ids, jsons, parents, image.layers, strict=False)
    ]
    both.push_old("old", *chain)
    both.push_new(image, "1")
    assert both.old_tags() == {"1": image.old_ids[-1], "old": image.old_ids[-1]}
    both.new.delete("old")
    assert ids_of(both.engine().pull(both.name, "1")["1"]) == image.old_ids
    both.new.delete("1")
