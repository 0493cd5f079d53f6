"""A new certificate is taken within seconds, and no transfer notices."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from pier_registry import pki
from tests.registry.frontdoor.door import Door, opened, read_all, until

LARGE = os.urandom(1 << 20) * 48
GET_LARGE = b"GET /v1/file/large HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\n\r\n"
PUT = (
    b"PUT /v1/upload HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def renew(door: Door, name: str) -> int:
    """Another leaf of the same CA; returns when new connections see it."""
    before = door.serial()
    pki.ensure(dataclasses.replace(door.settings, public_url=f"https://{name}"))
    until(lambda: door.serial() != before, "new connections see the new certificate", 10)
    return door.serial()


def body(connection: ssl.SSLSocket) -> bytes:
    return read_all(connection).partition(b"\r\n\r\n")[2]


def test_a_slow_download_survives_a_new_certificate(own_door: Door) -> None:
    own_door.layer("large", LARGE)
    with own_door.tls() as connection:
        connection.sendall(GET_LARGE)
        first = connection.recv(4096)
        renew(own_door, "new.example.org")
        got = first + read_all(connection)
    assert hashlib.sha256(got.partition(b"\r\n\r\n")[2]).digest() == hashlib.sha256(LARGE).digest()


def test_a_slow_upload_survives_a_new_certificate(own_door: Door) -> None:
    piece = os.urandom(500_000)
    with own_door.tls() as connection:
        connection.sendall(PUT + b"%x\r\n%s\r\n" % (len(piece), piece))
        renew(own_door, "new.example.org")
        connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(piece), piece))
        told = json.loads(body(connection))
    assert told == {"size": 1_000_000, "sha256": hashlib.sha256(piece * 2).hexdigest()}


def test_requests_meet_no_error_while_certificates_change(own_door: Door) -> None:
    statuses = []
    for number in range(3):
        pki.ensure(dataclasses.replace(own_door.settings, public_url=f"https://n{number}.example.org"))
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            statuses.append(own_door.ask("/v1/echo").status)
    assert len(statuses) > 20
    assert set(statuses) == {200}


def test_a_key_that_does_not_belong_keeps_the_old_certificate_and_is_named(own_door: Door, tmp_path: Path) -> None:
    before = own_door.serial()
    other = dataclasses.replace(own_door.settings, data=tmp_path / "other")
    pki.ensure(other)
    shutil.copy(other.tls / "tls.key", own_door.settings.tls / "tls.key")
    until(lambda: "the old one stays in force" in own_door.log.read_text(), "the log says so", 10)
    assert own_door.serial() == before
    assert own_door.ask("/v1/echo").status == 200


def test_a_pair_that_is_put_right_is_taken(own_door: Door, tmp_path: Path) -> None:
    before = own_door.serial()
    key = (own_door.settings.tls / "tls.key").read_bytes()
    (own_door.settings.tls / "tls.key").write_bytes(b"not a key")
    until(lambda: "the old one stays in force" in own_door.log.read_text(), "the log says so", 10)
    (own_door.settings.tls / "tls.key").write_bytes(key)
    assert renew(own_door, "new.example.org") != before


def test_a_missing_file_is_no_reason_to_stop(own_door: Door) -> None:
    before = own_door.serial()
    (own_door.settings.tls / "tls.crt").unlink()
    until(lambda: "the old one stays in force" in own_door.log.read_text(), "the log says so", 10)
    assert own_door.serial() == before
    pki.ensure(own_door.settings)
    until(lambda: own_door.serial() != before, "the new certificate is in force", 10)


def test_a_folder_that_kubernetes_swaps_is_followed(own_door: Door) -> None:
    tls = own_door.settings.tls
    before = own_door.serial()
    (tls / "..one").mkdir()
    for name in ("tls.crt", "tls.key"):
        (tls / name).rename(tls / "..one" / name)
        (tls / name).symlink_to(f"..data/{name}")
    (tls / "..data").symlink_to("..one")
    second = dataclasses.replace(own_door.settings, data=own_door.settings.data / "second", public_url="https://two")
    second.tls.mkdir(parents=True)
    for name in ("ca.crt", "ca.key"):
        shutil.copy(tls / name, second.tls / name)
    pki.ensure(second)
    shutil.copytree(second.tls, tls / "..two")
    (tls / "..next").symlink_to("..two")
    (tls / "..next").rename(tls / "..data")
    until(lambda: own_door.serial() != before, "the swapped certificate is in force", 10)


def test_stopping_lets_a_download_end_and_takes_no_new_one(own_door: Door) -> None:
    own_door.layer("large", LARGE)
    with own_door.tls() as connection:
        connection.sendall(GET_LARGE)
        first = connection.recv(4096)
        own_door.proxy.send_signal(signal.SIGTERM)
        until(lambda: not own_door.listens(), "no new connection is taken", 10)
        assert own_door.proxy.poll() is None
        got = first + read_all(connection)
    assert len(got.partition(b"\r\n\r\n")[2]) == len(LARGE)
    assert own_door.proxy.wait(20) == 0


def test_a_second_signal_cuts_what_still_runs(own_door: Door) -> None:
    own_door.layer("large", LARGE)
    with own_door.tls() as connection:
        connection.sendall(GET_LARGE)
        connection.recv(4096)
        own_door.proxy.send_signal(signal.SIGTERM)
        until(lambda: not own_door.listens(), "no new connection is taken", 10)
        own_door.proxy.send_signal(signal.SIGTERM)
        assert own_door.proxy.wait(10) == 0


def test_nginx_does_not_outlive_a_killed_runner_and_a_new_one_takes_its_place(own_door: Door) -> None:
    own_door.proxy.kill()
    own_door.proxy.wait(10)
    until(lambda: not own_door.listens(), "nginx is gone", 10)
    own_door.start_proxy()
    assert own_door.ask("/v1/echo").status == 200


def test_a_runner_whose_nginx_dies_ends_with_an_error(own_door: Door) -> None:
    (nginx,) = children(own_door.proxy.pid)
    os.kill(nginx, signal.SIGKILL)
    assert own_door.proxy.wait(10) == 1
    assert "nginx ended by itself" in own_door.log.read_text()
    until(lambda: not own_door.listens(), "its workers are gone, too", 10)


@pytest.mark.parametrize("name", ["a b", "ümlaut", "it's;{}#"])
def test_a_data_folder_of_any_ordinary_name_works(tmp_path: Path, name: str) -> None:
    with opened(tmp_path / name) as door:
        door.layer("a", b"layer")
        assert door.ask("/v1/file/a").body == b"layer"


def children(pid: int) -> list[int]:
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in told.stdout.split()]
