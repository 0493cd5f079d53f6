"""Certificates, a scripted server, and small images for the tests of the clients themselves."""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.itself.scripted import Handler, Server, TinyRegistry
from tests.clients.v1 import DockerV1, Image, Layer

Connect = Callable[..., DockerV1]
Serve = Callable[[Handler], Server]


def tar(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1_400_000_000
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def image(*names: str) -> Image:
    """One layer per name, root first; a layer's id follows from its name alone."""
    layers: list[Layer] = []
    for name in names:
        parent = layers[-1].id if layers else None
        own = name.encode().hex().ljust(64, "0")
        document = {"id": own, **({"parent": parent} if parent else {}), "created": "2015-05-13T00:00:00Z"}
        layers.append(Layer(own, json.dumps(document).encode(), parent, tar(motd=name.encode() * 40)))
    return Image(tuple(layers))


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Certificate and key of localhost; the certificate is its own authority."""
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(folder / "tls.key")]
    command = ["openssl", "req", "-x509", "-days", "2", *names, *key, "-out", str(folder / "tls.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "tls.crt", folder / "tls.key"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def registry() -> TinyRegistry:
    return TinyRegistry()


@pytest.fixture
def serve(certificates: tuple[Path, Path]) -> Iterator[Serve]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates)
    with ExitStack() as stack:
        yield lambda handler: stack.enter_context(Server(handler, context).running())


@pytest.fixture
def server(serve: Serve, registry: TinyRegistry) -> Server:
    return serve(registry)


@pytest.fixture
def connect(server: Server, certificates: tuple[Path, Path]) -> Connect:
    def make(version: str = "1.6.2", **options: object) -> DockerV1:
        known = {"ca": certificates[0], "user": "admin", "password": "secret", "wait": lambda _: None}
        return DockerV1(server.host, version=version, **(known | options))  # type: ignore[arg-type]

    return make
