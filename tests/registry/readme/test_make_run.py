"""`make run`, started and stopped as in the README."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.clients.terminal import own_host
from tests.house.pages import ROOT
from tests.parts.ports import free_port
from tests.parts.tools import tool
from tests.registry.v2.documents import noise
from tests.registry.v2.pushing import Repository


@dataclass(slots=True)
class Started:
    """A terminal with `make run` in it; `said` is what it printed until it was ready."""

    process: subprocess.Popen[str]
    data: Path
    port: int
    said: str = ""

    def read_until_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if line.strip() == "Pier is ready":
                return
        raise AssertionError(f"make run ended:\n{self.said}")

    def told(self, what: str) -> str:
        """What stands beside a word of the card."""
        found = re.search(rf"^ ?{what} +(\S.*?) *$", self.said, re.MULTILINE)
        assert found, self.said
        return found[1]

    def line(self, beginning: str) -> str:
        """One of the lines to try."""
        found = re.search(rf"^{re.escape(beginning)} .*$", self.said, re.MULTILINE)
        assert found, self.said
        return found[0]

    def pier(self) -> int:
        """The process that make waits for."""
        make = self.process.pid
        children = Path(f"/proc/{make}/task/{make}/children").read_text().split()
        assert len(children) == 1
        return int(children[0])

    def ended(self) -> int:
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        return code


def _end(process: subprocess.Popen[str]) -> None:
    """Gently, so that nothing is left that still writes to the data folder."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def started() -> Iterator[Started]:
    folder = Path(tempfile.mkdtemp(prefix="pier-"))
    port, health_port = free_port(), free_port()
    given = {"PIER_DATA": str(folder / ".pier"), "PIER_PORT": str(port), "PIER_HEALTH_PORT": str(health_port)}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PIER_", "MAKE", "MFLAGS"))}
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=inherited | given | {"PIER_HOST": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        running = Started(process, folder / ".pier", port)
        running.read_until_ready()
        yield running
    finally:
        _end(process)
        assert process.stdout is not None
        process.stdout.close()
        shutil.rmtree(folder)


def test_what_it_prints_lets_a_user_in(started: Started) -> None:
    password = Path(started.told("password").removeprefix("in "))
    assert password.stat().st_mode & 0o777 == 0o600
    login = f"{started.told('user')}:{password.read_text().strip()}"
    command = ["curl", "-fsS", "--cacert", started.told("CA"), "-u", login, started.told("registry") + "/v1/users/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == '"OK"'
    assert started.told("registry") == f"https://localhost:{started.port}"


def test_it_shows_lines_to_try_and_ends_with_code_0(started: Started) -> None:
    host = f"localhost:{started.port}"
    assert f"docker login --username admin {host}" in started.said
    assert f"docker push {host}/" in started.said
    assert f"/etc/docker/certs.d/{host}/ca.crt" in started.said
    os.kill(started.pier(), signal.SIGINT)
    assert started.ended() == 0
    assert "Traceback" not in started.said


def test_its_lines_for_trust_and_for_skopeo_work(started: Started) -> None:
    password, host = started.told("password").removeprefix("in "), f"localhost:{started.port}"
    trusting = ssl.create_default_context(cafile=started.told("CA"))
    login = ("admin", Path(password).read_text().strip())
    with httpx.Client(base_url=f"https://{host}", verify=trusting, auth=login) as client:
        Repository(client, "team/app").image(noise(), tag="latest")
    with own_host({"skopeo": tool("skopeo"), "sudo": Path("/usr/bin/env")}) as terminal:
        terminal.run(started.line("sudo mkdir"))
        terminal.run(f"skopeo login --username admin --password-stdin {host} < {password}")
        assert '"latest"' in terminal.run(started.line("skopeo"))


def test_ctrl_c_in_the_terminal_leaves_nothing_running(started: Started) -> None:
    """The terminal interrupts make as well, which waits for the registry to end and then ends by the signal itself."""
    front_door = int((started.data / "run" / "nginx.pid").read_text())
    os.killpg(started.process.pid, signal.SIGINT)
    started.ended()
    assert "Traceback" not in started.said
    assert not Path(f"/proc/{front_door}").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", started.port)) != 0
