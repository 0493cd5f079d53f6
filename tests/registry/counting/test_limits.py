"""What one user may have under way, so that others are served."""

from __future__ import annotations

import pytest

from pier_registry import errors
from pier_registry.actions import browse
from pier_registry.actions.turns import Turns
from pier_registry.names import RepositoryName
from tests.registry.counting.conftest import Place
from tests.registry.counting.pushing import Client, chain, image


def test_one_user_cannot_take_every_turn() -> None:
    turns = Turns(most=3, each=2)
    with turns.taken("alice"), turns.taken("alice"):
        with pytest.raises(errors.Busy, match="of yours"), turns.taken("alice"):
            pass
        with turns.taken("bob"), pytest.raises(errors.Busy), turns.taken("carol"):
            pass
    with turns.taken("alice"), turns.taken("alice"):
        pass


def test_unfinished_images_of_a_user_are_limited_and_can_still_be_finished(place: Place) -> None:
    alice = Client(place.open(max_sessions=3))
    started = [image(f"top {number}") for number in range(3)]
    for one in started:
        alice.send_json(one)
    with pytest.raises(errors.TooManyRequests, match="PIER_MAX_SESSIONS"):
        alice.send_json(image("one more"))
    alice.send_json(started[0])
    alice.send_layer(started[0])
    alice.send_checksum(started[0])
    alice.send_json(image("one more"))


def test_images_of_a_repository_are_those_that_its_tags_reach(place: Place) -> None:
    alice = Client(place.open())
    first, second = chain("base", "first"), chain("base", "second")
    alice.push("team/app", "1", first)
    alice.push("team/app", "2", second)
    alice.push("team/other", "1", image("other"))
    found = browse.image_ids(alice.registry, alice.caller, RepositoryName.parse("team/app"))
    assert sorted(found) == sorted({one.id for one in (*first.chain, *second.chain)})
