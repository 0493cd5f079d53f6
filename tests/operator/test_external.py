"""A database of the user's own, reached as strictly as asked for: a real MariaDB that takes TLS connections only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operator.planning import manifests, named, planned, secret, texts
from tests.parts import mariadb as servers
from tests.parts.certificates import Authority
from tests.parts.database import USER, DatabaseServer


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    """In a folder that the server's own user may read."""
    folder = Path(tempfile.mkdtemp(prefix="pier-external-"))
    folder.chmod(0o755)
    yield Authority(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[DatabaseServer]:
    pair = authority.issue("server", "database", names=("localhost",))
    pair.key.chmod(0o644)
    options = (
        f"--ssl-ca={authority.pair.certificate}",
        f"--ssl-cert={pair.certificate}",
        f"--ssl-key={pair.key}",
        "--require-secure-transport=ON",
    )
    with servers.running(*options) as running:
        running.create_database("pier")
        yield running


def _migrated(server: DatabaseServer, ca: str, host: str, mode: str, folder: Path) -> str:
    """What `pier migrate` says with the URL that the operator makes of this."""
    external = {
        "host": host,
        "port": server.port,
        "credentialsSecretName": "login",
        "tlsMode": mode,
        "caSecretName": "authority",
    }
    references = [secret("login", username=USER, password=server.password), secret("authority", ca__crt=ca)]
    plan = planned({"database": {"type": "External", "external": external}}, references=references)
    held = texts(named(manifests(plan), "Secret", "pier-db-url"))
    (folder / "ca.crt").write_text(held["ca.crt"])
    url = held["url"].replace("/etc/pier/database", str(folder))
    done = subprocess.run(
        [sys.executable, "-m", "pier_registry", "migrate"],
        env={**os.environ, "PIER_DATABASE_URL": url, "PIER_DATA": str(folder / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout if done.returncode == 0 else f"refused: {done.stderr}"


@pytest.mark.parametrize(
    ("host", "mode", "taken"),
    [
        ("localhost", "VerifyIdentity", True),
        ("127.0.0.1", "VerifyIdentity", False),
        ("127.0.0.1", "VerifyCA", True),
        ("127.0.0.1", "Required", True),
        ("127.0.0.1", "Disabled", False),
    ],
)
def test_tls_is_as_strict_as_asked_for(
    server: DatabaseServer, authority: Authority, tmp_path: Path, host: str, mode: str, taken: bool
) -> None:
    told = _migrated(server, authority.pair.certificate.read_text(), host, mode, tmp_path)
    assert told.startswith("the database") is taken, told


@pytest.mark.parametrize("mode", ["VerifyCA", "VerifyIdentity"])
def test_a_ca_that_is_another_one_is_not_believed(server: DatabaseServer, tmp_path: Path, mode: str) -> None:
    other = Authority(tmp_path / "other").pair.certificate.read_text()
    assert _migrated(server, other, "localhost", mode, tmp_path).startswith("refused")
