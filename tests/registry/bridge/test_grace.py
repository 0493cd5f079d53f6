"""PIER_UNTAGGED_GRACE keeps what a tag moved away from for those who deploy by digest; a tag or a delete ends that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.bridge.both import AGENT, Both
from tests.registry.bridge.images import fresh, new_image, old_image, tar
from tests.registry.protocol.doors import opened
from tests.registry.protocol.pushing import blob
from tests.registry.v2.answers import connect
from tests.registry.v2.pushing import Repository


@pytest.fixture
def patient(tmp_path: Path, name: str) -> Iterator[Both]:
    """A registry that keeps manifests without tags for an hour."""
    with (
        opened(tmp_path, "nginx", untagged_grace="*=1h") as running,
        connect(running) as new,
        running.client(headers={"User-Agent": AGENT}) as old,
    ):
        yield Both(running, name, Repository(new, name), old)


def test_an_image_that_was_moved_away_from_stays_for_a_while_over_v2(patient: Both) -> None:
    old, new = (old_image(tar(fresh()), form="gzip") for _ in range(2))
    patient.push_old("1", old)
    before = patient.new.pulled("1")
    patient.push_old("1", new)
    assert patient.pulls_whole(before)


def test_a_tag_that_came_back_ends_the_while_and_its_delete_frees_at_once(patient: Both) -> None:
    old, new = (old_image(tar(fresh()), form="gzip") for _ in range(2))
    for image in (old, new, old):
        patient.push_old("1", image)
    size = len(blob(old)) + int(patient.manifest("1")["config"]["size"])
    answer = patient.old.delete(f"/v1/repositories/{patient.name}/tags/1")
    assert answer.headers["Pier-Freed-Bytes"] == str(size)


def test_a_retag_of_an_image_of_v2_ends_the_while(patient: Both) -> None:
    one, two = new_image(tar(fresh())), new_image(tar(fresh()))
    patient.push_new(one, "1")
    patient.push_new(two, "1")
    patient.point("1", one.old_ids[-1])
    assert patient.old.delete(f"/v1/repositories/{patient.name}/tags/1").headers["Pier-Freed-Bytes"] == str(one.size)
