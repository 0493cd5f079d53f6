"""The registry's container as it runs: who it is, what it may, what it writes and what it says."""

from __future__ import annotations

import re

from pier_registry import __version__
from tests.images.container import IMAGE, READY, Container, started
from tests.parts.docker_engine import DockerEngine

_PROCESSES = """
import pathlib
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    print(status.read_text())
"""


def test_the_first_start_prints_the_card(pier: Container) -> None:
    for label, told in (
        ("registry", f"https://{pier.address}"),
        ("user", "admin"),
        ("password", "in /data/admin-password"),
        ("CA", "/data/tls/ca.crt"),
    ):
        assert re.search(rf"^{label} +{re.escape(told)} *$", pier.log, re.MULTILINE), pier.log
    assert pier.log.count(READY) == 1


def test_every_process_is_an_ordinary_user_without_any_capability(pier: Container) -> None:
    status = pier.exec("python", "-c", _PROCESSES)
    assert len(re.findall(r"^Name:\s+(?:nginx|pier|python)", status, re.MULTILINE)) > 5
    for name, wanted in (("Uid", "10001"), ("Gid", "10001")):
        assert set(re.findall(rf"^{name}:(.*)$", status, re.MULTILINE)) == {f"\t{wanted}" * 4}
    assert set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s+(\w+)$", status, re.MULTILINE)) == {"0" * 16}
    assert set(re.findall(r"^NoNewPrivs:\s+(\w+)$", status, re.MULTILINE)) == {"1"}


def test_it_writes_nothing_but_its_data(engine: DockerEngine) -> None:
    """Seen where it could."""
    with started(engine) as container:
        container.wait_for()
        container.exec("pier", "users", "add", "alice", "--generate")
        assert container.engine.run("diff", container.name) == ""


def test_it_runs_as_whoever_it_is_told_to(engine: DockerEngine) -> None:
    """Some clusters give each namespace user ids of its own."""
    whoever = ("--read-only", "--user=1000680000:0", "--tmpfs=/data:uid=1000680000,mode=0700")
    with started(engine, *whoever) as container:
        container.wait_for()
        assert container.exec("id", "-u") == "1000680000"


def test_its_health_check_tells_whether_it_can_serve(pier: Container, engine: DockerEngine) -> None:
    check = pier.inspect()["Config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    pier.exec(*check[1:])
    with started(engine, "--entrypoint=sleep", command=("60",)) as asleep:
        assert engine.attempt("exec", asleep.name, *check[1:]).returncode == 1


def test_the_command_line_works_on_its_data(pier: Container) -> None:
    pier.exec("pier", "users", "add", "bob", "--generate")
    assert "bob" in pier.exec("pier", "users", "list")
    pier.exec("pier", "users", "remove", "bob")


def test_it_says_which_version_it_is(engine: DockerEngine) -> None:
    told = engine.run("inspect", "--format", '{{index .Config.Labels "org.opencontainers.image.version"}}', IMAGE)
    assert told == __version__
    assert engine.run("run", "--rm", IMAGE, "--version").endswith(f" {__version__}")


def test_nothing_that_only_builds_is_in_it(engine: DockerEngine) -> None:
    found = engine.run(
        "run", "--rm", "--entrypoint=sh", IMAGE, "-c", "ls -d /pip /registry.txt /opt/pier/bin/pip; true"
    )
    assert found == ""
    assert int(engine.run("image", "inspect", "--format", "{{.Size}}", IMAGE)) < 260_000_000
