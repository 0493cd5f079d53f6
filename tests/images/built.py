"""The images as they are shipped: built by a real engine from the Dockerfiles, and kept as `docker save` writes them.

What the network brings (Debian's packages, the requirements) is an entry of the cache of its own, so a change of the
code alone takes seconds. What builds need of this host, its network and its authorities, is in the base image.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from tests.house.pages import ROOT
from tests.parts import cache, docker_engine, roots
from tests.parts.docker_engine import DockerEngine

BASE: Final = "debian:trixie-slim"
# The number goes up when this file makes something else of the same inputs.
_FORM: Final = "1"
_KEPT: Final = 2  # of each image: what is built now, and what it was before
# Where Debian looks for authorities beyond its own; packages would overwrite the bundle itself.
_AUTHORITIES: Final = "/usr/local/share/ca-certificates/host.crt"
_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def archive(kind: str) -> Path:
    """The tar of `pier-<kind>:latest`, with `kind` one of `registry` and `operator`. Raises PartMissing."""
    entry = cache.made(f"image-{kind}-{_key(inputs(kind))}", partial(_build, kind))
    _forget_older(entry, kind)
    return entry / "image.tar"


def inputs(kind: str) -> list[Path]:
    """Files that the image is made of: what .dockerignore lets through and its Dockerfile asks for."""
    package = ROOT / kind / f"pier_{kind}"
    code = [path for path in sorted(package.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return [*_slow_inputs(kind), ROOT / ".dockerignore", *code]


def _slow_inputs(kind: str) -> list[Path]:
    return [ROOT / f"Dockerfile.{kind}", ROOT / "requirements" / f"{kind}.txt"]


def _key(files: Iterable[Path]) -> str:
    found = hashlib.sha256(f"{_FORM} {roots.debian().parent.name}".encode())
    for path in files:
        content = path.read_bytes()
        found.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return found.hexdigest()[:16]


def packages(kind: str) -> Path:
    """The tar of the base image and of the stage `packages`, which holds all that comes over the network."""
    entry = cache.made(f"image-packages-{kind}-{_key(_slow_inputs(kind))}", partial(_fetch, kind))
    _forget_older(entry, f"packages-{kind}")
    return entry / "image.tar"


def _build(kind: str, draft: Path) -> None:
    """The stage in the cache counts as built, so the network is not needed, and not given."""
    tar = packages(kind)
    with docker_engine.running() as engine:
        engine.run("load", "--input", str(tar))
        _docker_build(engine, kind, "none", f"pier-{kind}", "--cache-from", f"packages-{kind}")
        engine.run("save", "--output", str(draft / "image.tar"), f"pier-{kind}:latest")


def _fetch(kind: str, draft: Path) -> None:
    with docker_engine.running() as engine:
        _import_base(engine)
        _docker_build(engine, kind, "host", f"packages-{kind}", "--target", "packages")
        engine.run("save", "--output", str(draft / "image.tar"), BASE, f"packages-{kind}:latest")


def _docker_build(engine: DockerEngine, kind: str, network: str, tag: str, *options: str) -> None:
    place = ("--tag", tag, "--file", str(ROOT / f"Dockerfile.{kind}"), str(ROOT))
    engine.run("build", "--network", network, *options, *place)


def _import_base(engine: DockerEngine) -> None:
    """Debian, trusting whom this host trusts."""
    engine.run("import", "--change", 'CMD ["bash"]', str(roots.debian()), BASE)
    if not _BUNDLE.exists():
        return
    with tempfile.TemporaryDirectory(prefix="pier-base-") as context:
        shutil.copy(_BUNDLE, Path(context, "host.crt"))
        Path(context, "Dockerfile").write_text(f"FROM {BASE}\nCOPY host.crt {_AUTHORITIES}\n")
        engine.run("build", "--network", "none", "--tag", BASE, context)


def _forget_older(entry: Path, kind: str) -> None:
    """Each change of the code makes an entry of a quarter of a gigabyte."""
    entry.touch()
    alike = [path for path in entry.parent.glob(f"image-{kind}-*") if path.is_dir()]
    for old in sorted(alike, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(old)
