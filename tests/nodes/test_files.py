"""What an agent writes on its node, what it takes away, and what it never touches."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pier_operator.claim import Claim, is_host
from pier_operator.nodes.agent import Agent
from tests.nodes.node import OWNER, Node, trusted
from tests.operator.cluster import ROOT

_HOST = "registry.example.org"
_CA = "containerd/certs.d/registry.example.org/ca.crt"
_HOSTS = "containerd/certs.d/registry.example.org/hosts.toml"
_DOCKERS = "docker/certs.d/registry.example.org/ca.crt"


@pytest.fixture
def claim(authorities: tuple[str, str]) -> Claim:
    return Claim(_HOST, authorities[0], "pier-nodes", "secret")


@pytest.fixture
def agent(node: Node) -> Agent:
    return node.agent(trusted)


def _renamed(claim: Claim, host: str) -> Claim:
    return Claim(host, claim.authorities, claim.user, claim.password)


def test_each_runtime_gets_its_files(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim)
    assert agent.round() == {_HOST: trusted(claim)}
    assert node.files() == {_CA, _HOSTS, _DOCKERS}
    for name in (_CA, _DOCKERS):
        first, rest = (node.home / name).read_text().split("\n", 1)
        assert first.startswith(f"# Kept by Pier ({OWNER})")
        assert rest == claim.authorities
    lines = (node.home / _HOSTS).read_text().splitlines()[1:]
    assert lines == ['server = "https://registry.example.org"', 'ca = "ca.crt"']
    assert {oct((node.home / name).stat().st_mode & 0o777) for name in node.files()} == {"0o644"}


def test_a_port_is_part_of_the_folders_name(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(_renamed(claim, f"{_HOST}:30443"))
    agent.round()
    assert node.folders() == {f"{_HOST}:30443"}
    hosts = node.containerd / f"{_HOST}:30443" / "hosts.toml"
    assert f'server = "https://{_HOST}:30443"' in hosts.read_text()


def test_a_new_ca_takes_the_place_of_the_old_one(
    node: Node, agent: Agent, claim: Claim, authorities: tuple[str, str]
) -> None:
    node.give(claim)
    agent.round()
    node.give(Claim(_HOST, "".join(authorities), claim.user, claim.password))
    agent.round()
    assert {(node.home / name).read_text().count("BEGIN") for name in (_CA, _DOCKERS)} == {2}


@pytest.mark.parametrize("name", [_CA, _HOSTS, _DOCKERS])
def test_what_was_changed_or_removed_by_hand_is_put_back(node: Node, agent: Agent, claim: Claim, name: str) -> None:
    node.give(claim)
    agent.round()
    whole = (node.home / name).read_text()
    (node.home / name).write_text(whole + "more\n")
    agent.round()
    assert (node.home / name).read_text() == whole
    (node.home / name).unlink()
    agent.round()
    assert (node.home / name).read_text() == whole


def test_at_rest_nothing_is_written(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim)
    agent.round()
    before = {name: (node.home / name).stat().st_ino for name in node.files()}
    agent.round()
    assert {name: (node.home / name).stat().st_ino for name in node.files()} == before


@pytest.mark.parametrize("name", [_CA, _HOSTS, _DOCKERS])
def test_a_file_of_somebody_else_is_never_overwritten(node: Node, agent: Agent, claim: Claim, name: str) -> None:
    theirs = node.home / name
    theirs.parent.mkdir()
    theirs.write_text("theirs\n")
    node.give(claim)
    told = agent.round()
    assert told
    assert told[_HOST].reason == "FileTaken"
    assert str(theirs) in told[_HOST].message
    assert theirs.read_text() == "theirs\n"
    assert node.files() == ({_DOCKERS, name} if name.startswith("containerd") else {_CA, _HOSTS, name})
    theirs.unlink()
    assert agent.round() == {_HOST: trusted(claim)}
    assert node.files() == {_CA, _HOSTS, _DOCKERS}


def test_a_link_is_not_followed(node: Node, agent: Agent, claim: Claim, tmp_path: Path) -> None:
    """Neither one in the place of a file nor one in the place of a host's folder."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    (node.docker / _HOST).symlink_to(target)
    (node.containerd / _HOST).mkdir()
    (node.containerd / _HOST / "ca.crt").symlink_to(target / "ca.crt")
    node.give(claim)
    told = agent.round()
    assert told
    assert told[_HOST].reason == "FileTaken"
    node.give()
    agent.round()
    assert list(target.iterdir()) == []
    assert (node.docker / _HOST).is_symlink()
    assert (node.containerd / _HOST / "ca.crt").is_symlink()


def test_files_go_when_nobody_asks_any_more(node: Node, agent: Agent, claim: Claim) -> None:
    other = _renamed(claim, "one.team.example.org")
    node.give(claim, other)
    agent.round()
    node.give(other)
    assert agent.round() == {"one.team.example.org": trusted(other)}
    assert node.folders() == {"one.team.example.org"}
    node.give()
    assert agent.round() == {}
    assert node.files() == set()
    assert node.folders() == set()


def test_files_go_that_an_agent_of_before_has_written(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim)
    agent.round()
    node.give()
    assert node.agent(trusted).round() == {}
    assert node.files() == set()


def test_what_others_have_in_the_folder_stays(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim)
    agent.round()
    (node.docker / _HOST / "client.cert").write_text("theirs")
    (node.docker / "other.example.org").mkdir()
    (node.docker / "other.example.org" / "ca.crt").write_text("theirs")
    node.give()
    agent.round()
    assert node.files() == {
        "docker/certs.d/registry.example.org/client.cert",
        "docker/certs.d/other.example.org/ca.crt",
    }


def test_what_another_operator_keeps_stays(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim)
    node.agent(trusted, owner="elsewhere/pier-operator-nodes").round()
    told = agent.round()
    assert told
    assert told[_HOST].reason == "FileTaken"
    node.give()
    agent.round()
    assert node.files() == {_CA, _HOSTS, _DOCKERS}


def test_nothing_goes_before_the_operator_has_told_of_all(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim)
    agent.round()
    for texts in ({}, {"team.registry": claim.text()}, {"complete": "true", "team.registry": "{"}):
        node.mount(texts)
        assert agent.round() is None
        assert node.files() == {_CA, _HOSTS, _DOCKERS}
    for each in node.claims.iterdir():
        if each.is_symlink():
            each.unlink()
    assert agent.round() is None
    assert node.files() == {_CA, _HOSTS, _DOCKERS}


_DANGEROUS = [
    "..", ".", "", "../registry.example.org", "/etc", "a/b", "registry.example.org/..", "registry.example.org:443/..",
    "-registry.example.org", "registry..example.org", "registry.example.org.", "Registry.example.org", "a b", "a\nb",
    "registry.example.org:0", "registry.example.org:65536", "registry.example.org:", "registry.example.org:1:2",
    "registry.example.org\n", "registry.example.org\0", "ä.team.example.org", f"{'a' * 254}", "[::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", _DANGEROUS, ids=repr)
def test_what_is_no_host_makes_no_folder(node: Node, claim: Claim, host: str) -> None:
    """Whatever the operator says, and whatever is allowed."""
    assert not is_host(host)
    agent = node.agent(trusted, allowed=("*.example.org", "registry.example.org", host.partition(":")[0]))
    before = {path for path in node.home.parent.rglob("*") if "claims" not in path.parts}
    node.give(_renamed(claim, host))
    told = agent.round()
    assert told
    assert told[host].reason == "NotAllowed"
    assert {path for path in node.home.parent.rglob("*") if "claims" not in path.parts} == before


@pytest.mark.parametrize(
    ("host", "is_good"),
    [
        ("registry.example.org", True),
        ("registry.example.org:30443", True),
        ("a.team.example.org", True),
        ("a.b.team.example.org", False),
        ("team.example.org", False),
        ("example.org", False),
        ("registry.example.org.evil.example", False),
        ("docker.io", False),
    ],
)
def test_only_what_the_clusters_admin_allows_is_written(node: Node, claim: Claim, host: str, is_good: bool) -> None:
    node.give(_renamed(claim, host))
    told = node.agent(trusted).round()
    assert told
    assert told[host].reason == ("Trusted" if is_good else "NotAllowed")
    assert node.folders() == ({host} if is_good else set())


def test_a_host_that_is_no_longer_allowed_is_taken_away(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim)
    agent.round()
    node.agent(trusted, allowed=("*.team.example.org",)).round()
    assert node.files() == set()


def test_a_host_of_two_claims_goes_to_neither(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(claim, Claim(_HOST, claim.authorities, claim.user, "another secret"))
    assert agent.round() == {}
    assert node.files() == set()


def test_what_is_no_certificate_is_not_written(node: Node, agent: Agent, claim: Claim) -> None:
    node.give(Claim(_HOST, "no certificate", claim.user, claim.password))
    told = agent.round()
    assert told
    assert told[_HOST].reason == "NoCertificate"
    assert node.files() == set()


def test_a_folder_that_takes_no_files_is_told(node: Node, agent: Agent, claim: Claim) -> None:
    node.docker.rmdir()
    node.docker.write_text("a file")
    node.give(claim)
    told = agent.round()
    assert told
    assert told[_HOST].reason == "NotWritten"
    assert str(node.docker) in told[_HOST].message
    assert node.files() == {_CA, _HOSTS, "docker/certs.d"}


_REWRITING = """
import pathlib, sys
from pier_operator.nodes.files import Files, Place
files = Files([], "a/b")
texts = [letter * 200_000 for letter in "xy"]
print("begun", flush=True)
while True:
    for text in texts:
        files.keep(Place(pathlib.Path(sys.argv[1])), "registry.example.org", text)
"""


def test_a_file_is_whole_whenever_its_writer_is_killed(node: Node) -> None:
    place = node.docker / _HOST / "ca.crt"
    for number in range(12):
        command = [sys.executable, "-c", _REWRITING, str(node.docker)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=dict(os.environ)) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(0.05 + number * 0.007)
            writer.kill()
        text = place.read_text().split("\n", 1)[1]
        assert len(text) == 200_000
        assert len(set(text)) == 1
    # What a killed writer has left goes with the file.
    (place.parent / ".ca.crt.pier").write_text("half")
    agent = node.agent(trusted, owner="a/b")
    node.give()
    agent.round()
    assert node.files() == set()
