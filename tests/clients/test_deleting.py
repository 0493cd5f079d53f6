"""What a client's delete takes away, and that the space is back when it ends."""

from __future__ import annotations

import pytest

from tests.clients import stored
from tests.clients.client import Client
from tests.clients.manual import PAGE
from tests.clients.programs import DOCKER, ORAS
from tests.clients.traffic import deleted, watched
from tests.house.pages import page
from tests.parts.registry import Running


def test_a_delete_gives_back_what_pushes_and_pulls_have_taken(client: Client, pier: Running, team: str) -> None:
    before = stored.at_rest(pier)
    client.push(team)
    during = stored.space(pier)
    assert during.bytes > before.bytes
    assert during.files > before.files
    client.push(team)
    client.pull_without_running(team)
    assert stored.promises(pier, expected=before.leases, within=client.quiet_within) == before.leases
    client.delete(team)
    assert stored.space(pier) == before


def test_a_delete_takes_along_the_tags_that_the_manual_says(client: Client, pier: Running, team: str) -> None:
    repository, tag = f"{team}/app", client.program.tag
    client.push(team)
    digest = stored.digest(pier, repository, tag)
    stored.tag_again(pier, repository, tag, "other")
    with watched(pier) as requests:
        client.delete(team)
    by, others = told(client.lines.delete)
    assert deleted(requests, repository) == [{"tag": tag, "digest": digest}[by]]
    assert not stored.has(pier, repository, tag)
    assert stored.has(pier, repository, "other") == (others == "stay")


@pytest.mark.parametrize("installed", [DOCKER, ORAS], indirect=True, ids=lambda program: program.id)
def test_pier_delete_takes_only_its_tag(client: Client, pier: Running, team: str) -> None:
    repository = f"{team}/app"
    before = stored.space(pier)
    client.push(team)
    stored.tag_again(pier, repository, "1", "other")
    pier.pier("delete", f"{repository}:1")
    assert stored.has(pier, repository, "other")
    pier.pier("delete", f"{repository}:other")
    assert stored.space(pier) == before
    assert pier.usage()["bytes"] == before.bytes


def told(line: str) -> tuple[str, str]:
    """What the manual says of a program's delete: what it goes by, and whether other tags stay or go."""
    program = line.partition(" ")[0]
    ((_, by, others),) = (row for row in page(PAGE).rows() if row[0].startswith(f"`{program} "))
    return by, others
