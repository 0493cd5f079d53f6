"""The backup of docs/operations-kubernetes.md, taken from a registry that goes on, restored into an empty one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import secrets as chances
import shlex
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from pier_operator.api import name_of
from tests.operator import typed
from tests.operator.planning import settled, texts
from tests.operator.restoring import PORT, Site, site

_FRONT: Final = f"docker://127.0.0.1:{PORT}/team/app"
_line = partial(typed.command, "docs/operations-kubernetes.md")


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Site, Site]]:
    """One that is saved, and one of the same Secrets, which is empty for the first test that restores into it."""
    children = settled({})
    held = {name_of(each): texts(each) for each in children if each["kind"] == "Secret"}
    made = site(children, held), site(children, held)
    try:
        for each in made:
            each.start()
        yield made
    finally:
        for each in made:
            each.stop()


def _executed(line: str, on: Site, stdin: bytes = b"") -> bytes:
    """What `kubectl exec` would run, run where it would."""
    words = shlex.split(line.replace("\\\n", "").partition(" < ")[0].rpartition(" > ")[0] or line.partition(" < ")[0])
    assert words[:2] == ["kubectl", "exec"]
    ended = words.index("--")
    container, command = words[words.index("--container") + 1], words[ended + 1 :]
    assert ("--stdin" in words[:ended]) == bool(stdin)
    if container == "mysql":
        assert "first-mysql-0" in words[:ended]
        done = on.database(*command, stdin=stdin)
    else:
        assert "deployment/first" in words[:ended]
        done = on.registry(shlex.join(command), stdin)
    assert done.returncode == 0, f"{line}\n{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout


def _push(on: Site, tag: str, folder: Path, text: bytes) -> bytes:
    """An image of one layer; returns its manifest."""
    folder.mkdir()
    layer, config = _layer(text), json.dumps({"architecture": "amd64", "os": "linux", "id": tag}).encode()
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": _described(f"{kind}.config.v1+json", config, folder),
        "layers": [_described(f"{kind}.layer.v1.tar+gzip", layer, folder)],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    done = on.skopeo(f"dir:{folder}", f"{_FRONT}:{tag}")
    assert done.returncode == 0, done.stderr.decode()
    return (folder / "manifest.json").read_bytes()


def _layer(text: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("text")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return gzip.compress(made.getvalue(), mtime=0)


def _described(kind: str, content: bytes, folder: Path) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (folder / digest).write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


def _pulled(on: Site, tag: str, folder: Path) -> bytes:
    """The manifest, pulled with all its layers, whose digests the client checks. Raises AssertionError."""
    done = on.skopeo(f"{_FRONT}:{tag}", f"dir:{folder}")
    assert done.returncode == 0, done.stderr.decode()
    return (folder / "manifest.json").read_bytes()


def test_a_backup_is_restored_into_an_empty_place(sites: tuple[Site, Site], tmp_path: Path) -> None:
    """Of a registry that goes on: a push and a delete fall between the dump and the copy of the files."""
    first, second = sites
    kept = _push(first, "kept", tmp_path / "kept", chances.token_bytes(200_000))
    _push(first, "gone", tmp_path / "gone", chances.token_bytes(200_000))
    dump = _executed(_line("mysqldump"), first)
    _push(first, "late", tmp_path / "late", chances.token_bytes(200_000))
    assert first.registry("pier delete team/app:gone").returncode == 0
    files = _executed(_line("-cf - layers"), first)

    _executed(_line("-xf - < layers.tar"), second, files)
    _executed(_line("< pier.sql"), second, dump)
    _executed(_line("pier fsck"), second)

    assert _pulled(second, "kept", tmp_path / "pulled") == kept
    assert second.skopeo(f"{_FRONT}:late", f"dir:{tmp_path / 'none'}").returncode != 0
    assert second.skopeo(f"{_FRONT}:gone", f"dir:{tmp_path / 'no'}").returncode != 0
    assert second.registry("pier fsck --digests").returncode == 0
    assert _push(second, "new", tmp_path / "new", b"a push after the restore")
    assert _pulled(second, "new", tmp_path / "again")


def test_files_copied_before_the_database_lose_a_push(sites: tuple[Site, Site], tmp_path: Path) -> None:
    """Why the page says database first."""
    first, second = sites
    files = _executed(_line("-cf - layers"), first)
    _push(first, "later", tmp_path / "later", chances.token_bytes(200_000))
    dump = _executed(_line("mysqldump"), first)
    _executed(_line("-xf - < layers.tar"), second, files)
    _executed(_line("< pier.sql"), second, dump)
    assert second.registry("pier fsck").returncode == 1
    assert second.skopeo(f"{_FRONT}:later", f"dir:{tmp_path / 'none'}").returncode != 0
