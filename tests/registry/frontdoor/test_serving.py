"""`pier serve`: everything in the foreground, started and stopped as one."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pier_registry import pki
from tests.registry.frontdoor.door import ROOT, Door, environment, settings, until

LINE = {"time", "client", "user", "method", "uri", "status", "sent", "received", "seconds", "agent", "request"}
PIER = [sys.executable, "-c", "from pier_registry.cli import main; main()"]


class Served(Door):
    """A real `pier serve`, whose output is the log."""

    process: subprocess.Popen[bytes]

    def begin(self, *options: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PIER, "serve", *options], env=environment(self.settings), stdout=log, stderr=log, cwd=ROOT
            )
        self.processes = [self.process]

    def ready(self) -> None:
        until(lambda: self.output().count("Pier is ready\n") > 0 or self.process.poll() is not None, "it is ready", 60)
        assert self.process.poll() is None, self.output()

    def output(self) -> str:
        return self.log.read_text()

    def login(self) -> dict[str, str]:
        password = (self.settings.data / "admin-password").read_text().strip()
        return {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}

    def left_running(self) -> list[str]:
        """Processes of this data folder, by what they were started as or hold open."""
        told = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
        return [line for line in told.splitlines() if _holds(line.split()[0], str(self.settings.data.resolve()))]


def _holds(pid: str, folder: str) -> bool:
    try:
        return f"PIER_DATA={folder}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    pier = Served(settings(tmp_path / "data"), tmp_path / "log")
    yield pier
    pier.stop()


@pytest.fixture
def running(served: Served) -> Served:
    served.begin()
    served.ready()
    return served


def test_a_new_registry_tells_how_to_reach_it_and_is_ready(running: Served) -> None:
    lines = running.output().splitlines()
    assert "Pier is ready" in lines
    data = running.settings.data
    for told in (f"https://localhost:{running.settings.port}", f"{data}/admin-password", f"{data}/tls/ca.crt"):
        assert told in running.output()
    assert f"docker login --username admin localhost:{running.settings.port}" in lines
    assert running.ask("/v1/users/", running.login()).status == 200
    assert running.ask("/v1/users/", {"Authorization": "Basic YTpi"}).status == 401


@pytest.mark.parametrize("options", [(), ("--direct",), ("--no-proxy",)])
def test_a_first_start_warns_of_nothing(served: Served, options: tuple[str, ...]) -> None:
    served.begin(*options)
    served.ready()
    assert '"level": "warning"' not in served.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_cleanly(running: Served, number: signal.Signals) -> None:
    running.process.send_signal(number)
    assert running.process.wait(30) == 0
    assert running.left_running() == []
    assert "Traceback" not in running.output()


def test_a_signal_before_anything_listens_for_it_stops_it_cleanly(served: Served) -> None:
    """The registry is a process that has only just been started, and dies of it."""
    served.begin()
    until(lambda: part(served, "pier_registry.serving") is not None, "it starts", 20)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0, served.output()
    assert served.left_running() == []
    assert "Traceback" not in served.output()


def test_a_second_start_on_the_same_data_folder_is_refused(running: Served) -> None:
    other = dataclasses.replace(running.settings, port=running.settings.port + 1)
    told = subprocess.run([*PIER, "serve"], env=environment(other), capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert f"process {running.process.pid}" in told.stderr
    assert "PIER_DATA" in told.stderr
    assert running.ask("/v1/users/", running.login()).status == 200


def test_after_a_kill_nothing_is_left_and_a_new_start_works(running: Served) -> None:
    running.process.kill()
    running.process.wait(10)
    until(lambda: running.left_running() == [], "the children are gone", 10)
    login = running.login()
    running.log.unlink()
    running.begin()
    running.ready()
    assert running.ask("/v1/users/", login).status == 200


@pytest.mark.parametrize("module", ["pier_registry.serving", "pier_registry.proxy"])
def test_a_part_that_falls_takes_the_rest_along(running: Served, module: str) -> None:
    fallen = part(running, module)
    assert fallen
    os.kill(fallen, signal.SIGKILL)
    assert running.process.wait(30) == 1
    assert "ended by itself" in running.output()
    assert running.left_running() == []


def part(running: Served, module: str) -> int | None:
    """The process id of this child."""
    told = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(running.process.pid)], capture_output=True, text=True, check=False
    ).stdout
    return next((int(line.split()[0]) for line in told.splitlines() if module in line), None)


def taken_port(pier: Served) -> int:
    return pier.settings.port


def taken_health_port(pier: Served) -> int:
    return pier.settings.health_port


@pytest.mark.parametrize(("port", "named"), [(taken_port, "PIER_PORT"), (taken_health_port, "PIER_HEALTH_PORT")])
@pytest.mark.parametrize("option", [(), ("--direct",)])
def test_a_port_in_use_is_said_in_one_sentence(
    served: Served, port: Callable[[Served], int], named: str, option: tuple[str, ...]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port(served)))
        taken.listen()
        served.begin(*option)
        assert served.process.wait(30) == 1
    assert f"set {named} to another port" in served.output()
    assert len(served.output().splitlines()) == 1


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    pier = Served(settings(tmp_path / ("d" * 110)), tmp_path / "log")
    pier.begin()
    assert pier.process.wait(30) == 1
    assert "set PIER_DATA to a folder with a shorter path" in pier.output()


def test_a_users_file_without_users_is_refused(served: Served) -> None:
    served.settings.data.mkdir()
    served.settings.users_file.write_text("")
    served.begin()
    assert served.process.wait(30) == 1
    assert "pier users add" in served.output()


def test_files_left_by_an_earlier_run_do_not_matter(served: Served) -> None:
    served.settings.run.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(served.settings.socket))
    (served.settings.run / "nginx.pid").write_text("1\n")
    (served.settings.run / "serve.lock").write_text("1\n")
    served.begin()
    served.ready()
    assert served.ask("/v1/users/", served.login()).status == 200


def test_without_a_proxy_only_the_socket_is_served(served: Served) -> None:
    served.begin("--no-proxy")
    served.ready()
    assert not served.listens()
    assert not (served.settings.tls / "tls.crt").exists()
    assert served.settings.socket.stat().st_mode & 0o777 == 0o770


@pytest.fixture
def direct(served: Served) -> Served:
    served.begin("--direct")
    served.ready()
    return served


def test_direct_serves_the_same_over_its_own_tls(direct: Served) -> None:
    assert direct.ask("/v1/_ping", {}).status == 200
    assert direct.ask("/v1/users/", {}).status == 401
    got = direct.ask("/v1/users/", direct.login())
    assert got.status == 200
    assert "x-pier-user" not in got.headers
    assert direct.private("/readyz").status == 200
    assert direct.ask("/readyz", direct.login() | {"X-Pier-Private": "1"}).status == 404


def test_direct_writes_the_same_log_line(direct: Served) -> None:
    direct.ask("/v1/users/?told", direct.login() | {"User-Agent": 'a","b'})
    (line,) = direct.log_lines("/v1/users/?told")
    assert line.keys() == LINE
    assert (line["user"], line["status"], line["agent"], line["client"]) == ("admin", 200, 'a","b', "127.0.0.1")


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
def test_direct_refuses_tls_1_1(direct: Served) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", direct.settings.port), timeout=20) as plain,
        pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"),
    ):
        context.wrap_socket(plain)


def test_direct_follows_a_new_certificate_and_keeps_the_old_one_when_it_is_broken(direct: Served) -> None:
    before = direct.serial()
    pki.ensure(dataclasses.replace(direct.settings, public_url="https://new.example.org"))
    renewed = direct.serial()
    assert renewed != before
    (direct.settings.tls / "tls.crt").write_text("no certificate")
    assert direct.serial() == renewed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_direct_stops_cleanly(direct: Served, number: signal.Signals) -> None:
    direct.process.send_signal(number)
    assert direct.process.wait(30) == 0
    assert direct.left_running() == []
    assert "Traceback" not in direct.output()


def test_a_running_upload_ends_before_the_registry_does(running: Served) -> None:
    body = json.dumps([]).encode()
    login = "".join(f"{name}: {value}\r\n" for name, value in running.login().items())
    with running.tls() as connection:
        head = f"PUT /v1/repositories/team/app/ HTTP/1.1\r\nHost: x\r\n{login}Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:1])
        until(lambda: running.ask("/v1/_ping", {}).status == 200, "the request is under way")
        running.process.send_signal(signal.SIGTERM)
        until(lambda: not running.listens(), "no new connection is taken", 10)
        connection.sendall(body[1:])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status < 500
    assert running.process.wait(30) == 0
