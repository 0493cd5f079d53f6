"""What goes over the wire when a client pushes: nothing twice, and back comes what went up."""

from __future__ import annotations

from tests.clients import stored
from tests.clients.client import Client
from tests.clients.traffic import bodies, finished, mounted, watched
from tests.parts.registry import Running


def test_what_was_pushed_is_pulled_under_the_same_digest(client: Client, pier: Running, team: str) -> None:
    client.push(team)
    client.forget()
    told = client.pull_without_running(team)
    assert client.pulled_digest(team, told) == stored.digest(pier, f"{team}/app", client.program.tag)


def test_a_second_push_uploads_nothing(client: Client, pier: Running, team: str) -> None:
    repository = f"{team}/app"
    with watched(pier) as requests:
        client.push(team)
    assert stored.layers(pier, repository, client.program.tag) <= finished(requests, repository)
    with watched(pier) as requests:
        client.push(team)
    assert bodies(requests, repository) == []


def test_a_second_repository_gets_its_layers_from_the_first(client: Client, pier: Running, team: str) -> None:
    """By a mount; helm knows none, and uploads the chart again."""
    client.push(team)
    other = f"{team}/other"
    with watched(pier) as requests:
        client.push_again(team, other)
    layers = stored.layers(pier, f"{other}/app", client.program.tag)
    expected = (layers, set()) if client.program.mounts else (set(), layers)
    assert (mounted(requests, f"{other}/app") & layers, finished(requests, f"{other}/app") & layers) == expected


def test_pushes_leave_no_promise_behind(client: Client, pier: Running, team: str) -> None:
    """Or a delete would have to wait until it has run out."""
    before = stored.space(pier).leases
    client.push(team)
    client.push(team)
    client.push_again(team, f"{team}/other")
    assert stored.promises(pier, expected=before, within=client.quiet_within) == before
