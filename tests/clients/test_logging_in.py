"""Trust and logins: before the manual's first paragraph nobody is let in, after its second alice is."""

from __future__ import annotations

import re

from tests.clients.client import Client
from tests.clients.traffic import watched
from tests.parts.registry import Running


def test_a_registry_that_is_not_trusted_is_told_nothing(client: Client, pier: Running, team: str) -> None:
    client.distrust()
    try:
        with watched(pier) as requests:
            refused = client.attempt(f"{client.lines.login}\n{client.lines.push}", team)
    finally:
        client.trust()
    assert refused.returncode
    assert re.search("certificate|x509", refused.stdout), refused.stdout
    assert requests == []


def test_a_stranger_is_refused(client: Client, alice: str, pier: Running, team: str) -> None:
    login = client.lines.login.replace("alice", f"not-alice-on-{client.program.name}")
    refused = client.attempt(f"{login}\n{client.lines.push}", team)
    client.log_in(alice)
    assert refused.returncode
    assert re.search("401|[Uu]nauthorized|authentication required|invalid username", refused.stdout), refused.stdout
    assert pier.client().get("/api/repositories").json()["repositories"] == []
