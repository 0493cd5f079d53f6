"""Things that are no images: notes with a review attached to them, and a chart."""

from __future__ import annotations

import hashlib

import pytest

from tests.clients import manual, stored
from tests.clients.client import Client
from tests.clients.programs import HELM, ORAS
from tests.parts.registry import Running

oras = pytest.mark.parametrize("installed", [ORAS], indirect=True, ids=["oras"])
helm = pytest.mark.parametrize("installed", [HELM], indirect=True, ids=["helm"])


@oras
def test_an_artifact_comes_back_with_its_type_and_annotations(client: Client, pier: Running, team: str) -> None:
    client.push(team)
    client.pull(team)
    pulled = client.terminal.folder / "pulled" / "notes.txt"
    assert pulled.read_bytes() == (client.terminal.folder / "notes.txt").read_bytes()
    manifest = stored.manifest(pier, f"{team}/app", "1")
    assert manifest["artifactType"] == "application/vnd.example.notes"
    assert manifest["annotations"]["org.opencontainers.image.title"] == "notes"


@oras
def test_what_is_attached_is_discovered_and_goes_with_its_subject(client: Client, pier: Running, team: str) -> None:
    repository = f"{team}/app"
    attach, discover = manual.attaching()
    before = stored.space(pier)
    client.push(team)
    client.type(attach, team)
    assert "application/vnd.example.review" in client.type(discover, team)
    referrers = f"/v2/{repository}/referrers/{stored.digest(pier, repository)}"
    (review,) = pier.client().get(referrers).json()["manifests"]
    assert review["annotations"]["org.example.reviewer"] == "bob"
    client.delete(team)
    assert not stored.has(pier, repository, review["digest"])
    assert stored.space(pier) == before


@helm
def test_a_chart_comes_back_byte_for_byte(client: Client, team: str) -> None:
    client.push(team)
    chart = client.terminal.folder / "app-1.0.0.tgz"
    pushed = hashlib.sha256(chart.read_bytes()).hexdigest()
    client.forget()
    client.pull(team)
    assert hashlib.sha256(chart.read_bytes()).hexdigest() == pushed
