"""Uploads that break off, crowd each other, or grow too large: what is told of them is always true."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, Raw, basic, opened
from tests.registry.v2.answers import connect, connect_as, files, listed, parts, refusal
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.places import until
from tests.registry.v2.pushing import Repository

MIB: Final = 1 << 20
_RESET: Final = struct.pack("ii", 1, 0)


def offset(repository: Repository, place: str) -> int:
    """Bytes that the registry says it has."""
    answer = repository.http.get(place)
    assert answer.status_code == 204
    last = int(answer.headers["Range"].partition("-")[2])
    return last + 1 if last else 0


def begun(wire: Raw, running: Running, place: str, framing: str, length: int) -> Callable[[bytes], None]:
    """A PATCH whose body is still to come: returns what sends pieces of it."""
    head = f"Content-Length: {length}" if framing == "length" else "Transfer-Encoding: chunked"
    wire.say(f"PATCH {place} HTTP/1.1\r\nHost: localhost\r\n", basic(running), head, "\r\n\r\n")

    def send(data: bytes) -> None:
        wire.say(data if framing == "length" else b"%x\r\n%s\r\n" % (len(data), data))

    return send


def reset(wire: Raw) -> None:
    """Break the connection as a cut cable would, without goodbye."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    os.close(wire.socket.detach())


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["reset", "closed"])
def test_an_upload_that_broke_off_goes_on_where_it_says(
    door: Running, repository: Repository, framing: str, how: str
) -> None:
    data = noise(10 * MIB)
    place = repository.begin()
    wire = Raw(door)
    send = begun(wire, door, place, framing, len(data))
    send(data[: 5 * MIB])
    if how == "reset":
        reset(wire)
    wire.__exit__()
    until(lambda: repository.append(place, b"").status_code == 202, "the broken request is over")
    at = offset(repository, place)
    assert at <= 5 * MIB
    answer = repository.append(place, data[at:], f"{at}-{len(data) - 1}")
    assert (answer.status_code, answer.headers["Range"]) == (202, f"0-{len(data) - 1}")
    assert repository.finish(place, digest(data)).status_code == 201
    assert repository.read(digest(data)).content == data


def test_what_came_before_a_break_is_kept(door: Running, repository: Repository) -> None:
    """The first pieces were answered; the one that broke off must not take them along."""
    data = noise(3 * MIB)
    place = repository.begin()
    repository.append(place, data[:MIB])
    with Raw(door) as wire:
        begun(wire, door, place, "chunked", 0)(data[MIB : 2 * MIB])
    until(lambda: repository.append(place, b"").status_code == 202, "the broken request is over")
    at = offset(repository, place)
    assert at >= MIB
    repository.append(place, data[at:])
    assert repository.finish(place, digest(data)).status_code == 201


def test_two_pieces_at_once_never_mix(door: Running, repository: Repository) -> None:
    """The second comes while the first still streams: one of them is told that it is not its turn."""
    data = noise(2 * MIB)
    place = repository.begin()
    with Raw(door) as wire:
        send = begun(wire, door, place, "length", len(data))
        send(data[:MIB])
        until(lambda: _arrived(door, place) > 0, "the first piece is on its way")
        second = repository.append(place, noise(1000))
        assert refusal(second) in {(409, "BLOB_UPLOAD_INVALID"), (416, "RANGE_INVALID")}
        send(data[MIB:])
        first = wire.answer("PATCH")
    assert (first.status, first.headers["range"]) == (202, f"0-{len(data) - 1}")
    assert repository.finish(place, digest(data)).status_code == 201
    assert repository.read(digest(data)).content == data


def _arrived(running: Running, place: str) -> int:
    name = place.rpartition("/")[2]
    return sum(path.stat().st_size for path in (running.data / "uploads").glob(f"{name}*"))


def test_of_many_pieces_for_one_place_one_is_taken(door: Running, repository: Repository) -> None:
    pieces = [noise(200_000) for _ in range(6)]
    place = repository.begin()
    gate, answers = threading.Barrier(len(pieces)), dict[int, int]()

    def send(number: int) -> None:
        with connect(door) as client:
            gate.wait(10)
            answers[number] = repository.seen_by(client).append(place, pieces[number], "0-199999").status_code

    threads = [threading.Thread(target=send, args=(number,)) for number in range(len(pieces))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == list(range(len(pieces)))
    taken = [number for number, status in answers.items() if status == 202]
    assert len(taken) == 1, answers
    assert set(answers.values()) <= {202, 409, 416}
    assert offset(repository, place) == 200_000
    assert repository.finish(place, digest(pieces[taken[0]])).status_code == 201


def test_an_upload_that_is_given_up_while_it_streams_leaves_nothing(door: Running, repository: Repository) -> None:
    before = parts(door)
    data = noise(2 * MIB)
    place = repository.begin()
    with Raw(door) as wire:
        send = begun(wire, door, place, "length", len(data))
        send(data[:MIB])
        until(lambda: _arrived(door, place) > 0, "the piece is on its way")
        given_up = repository.http.delete(place)
        assert given_up.status_code in {204, 409}
        send(data[MIB:])
        streamed = wire.answer("PATCH").status
    if given_up.status_code == 204:
        assert streamed in {404, 409}
    else:
        assert repository.http.delete(place).status_code == 204
    assert refusal(repository.http.get(place)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert parts(door) == before


@pytest.fixture(params=DOORS)
def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A registry whose processes may be killed."""
    with opened(tmp_path, request.param) as running:
        yield running


def test_a_killed_worker_tells_no_lie_about_what_it_had(mortal: Running) -> None:
    data = noise(6 * MIB)
    with connect(mortal) as client, Raw(mortal) as wire:
        repository = Repository(client, "killed/app")
        place = repository.begin()
        repository.append(place, data[:MIB])
        begun(wire, mortal, place, "length", 5 * MIB)(data[MIB : 3 * MIB])
        until(lambda: _arrived(mortal, place) > MIB, "the piece is on its way")
        victims = mortal.workers()
        assert victims
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        until(lambda: _answers(mortal), "new workers answer")
    with connect(mortal) as client:
        repository = repository.seen_by(client)
        if client.get(place).status_code == 404:
            place = repository.begin()
        until(lambda: repository.append(place, b"").status_code == 202, "the upload is free again")
        at = offset(repository, place)
        assert at <= 3 * MIB
        assert repository.append(place, data[at:], f"{at}-{len(data) - 1}").status_code == 202
        assert repository.finish(place, digest(data)).status_code == 201
        assert repository.read(digest(data)).content == data


def _answers(running: Running) -> bool:
    try:
        with running.client() as client:
            return client.get("/v2/").status_code == 200
    except OSError:
        return False
    except Exception as trouble:
        if type(trouble).__module__.startswith("httpx"):
            return False
        raise


@pytest.fixture(scope="module", params=DOORS)
def tight(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"max_sessions": 3, "max_layer": "100K", "upload_timeout": "2s"}
    with opened(tmp_path_factory.mktemp("pier"), request.param, **limits) as running:
        yield running


def test_an_idle_upload_is_forgotten_with_its_bytes(tight: Running) -> None:
    with connect(tight) as client:
        repository = Repository(client, "idle/app")
        place = repository.begin()
        repository.append(place, noise())
        assert parts(tight)
        until(lambda: not parts(tight), "the bytes of the idle upload are gone")
        assert refusal(client.get(place)) == (404, "BLOB_UPLOAD_UNKNOWN")
        assert refusal(repository.append(place, b"x")) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_user_has_a_limit_of_open_uploads_and_giving_one_up_makes_room(tight: Running) -> None:
    with connect_as(tight, "crowd") as client:
        repository = Repository(client, "crowded/app")
        places = [repository.begin() for _ in range(3)]
        full = client.post(repository.path("blobs/uploads/"))
        assert refusal(full) == (429, "TOOMANYREQUESTS")
        assert int(full.headers["Retry-After"]) > 0
        with connect(tight) as other:
            other.delete(repository.seen_by(other).begin())
        assert client.delete(places[0]).status_code == 204
        data = noise()
        assert repository.finish(repository.begin(), digest(data), data).status_code == 201
        for place in places[1:]:
            client.delete(place)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("step", ["append", "finish", "whole"])
def test_a_blob_beyond_the_limit_is_refused_and_leaves_nothing(tight: Running, step: str, framing: str) -> None:
    data, before = noise(500_000), parts(tight)
    body = data if framing == "length" else (data[at : at + 10_000] for at in range(0, len(data), 10_000))
    with connect_as(tight, f"large-{step}-{framing}-{re.sub('[^0-9]', '', str(tight.port))}") as client:
        repository = Repository(client, "large/app")
        if step == "whole":
            answer = client.post(repository.path("blobs/uploads/"), params={"digest": digest(data)}, content=body)
        elif step == "append":
            answer = client.patch(repository.begin(), content=body)
        else:
            answer = client.put(repository.begin(), params={"digest": digest(data)}, content=body)
        assert answer.status_code == 413
        assert listed(answer)
        assert not repository.holds(digest(data))
    until(lambda: parts(tight) == before, "nothing of the blob is left")
    assert files(tight, digest(data)) == []


def test_many_small_pieces_cannot_pass_the_limit_either(tight: Running) -> None:
    with connect_as(tight, f"bit-by-bit-{tight.port}") as client:
        repository = Repository(client, "bits/app")
        place = repository.begin()
        statuses = [repository.append(place, noise(40_000)).status_code for _ in range(3)]
        assert statuses == [202, 202, 413]


def test_without_free_space_a_blob_is_refused_before_it_comes(tmp_path: Path) -> None:
    with opened(tmp_path, "nginx", min_free="900000G") as running, running.client() as client:
        answer = client.post("/v2/full/app/blobs/uploads/")
        assert refusal(answer) == (503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
