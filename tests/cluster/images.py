"""Images that stand around Pier on a cluster, as `docker save` writes them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.parts import cache, go_programs, mysql, roots
from tests.parts.tools import tool

# As docs/kubernetes.md names them.
REGISTRY: Final = "mirror.example.org/pier/pier-registry:0.1.0"
OPERATOR: Final = "mirror.example.org/pier/pier-operator:0.1.0"
MYSQL: Final = "pier-test/mysql:9.7"
BUSYBOX: Final = "pier-test/busybox:1"
PAUSE: Final = "pier-test/pause:1"
COREDNS: Final = "pier-test/coredns:1"
TRAEFIK: Final = "pier-test/traefik:1"
DISTRIBUTION: Final = "pier-test/distribution:3"

# The number goes up when this file makes something else of the same inputs.
_FORM: Final = "1"


def surroundings() -> list[Path]:
    """The tars of all but Pier's own; what is not made yet is made. Raises PartMissing."""
    go = {name: go_programs.PROGRAMS[name].version for name in ("coredns", "traefik", "registry")}
    return [
        _entry("pause", "1", partial(_scratch, PAUSE, "/bin/busybox", ("/bin/busybox", "sleep", "infinity"))),
        _entry("busybox", "1", partial(_scratch, BUSYBOX, "/bin/busybox", ("/bin/busybox", "sh"))),
        _entry("coredns", go["coredns"], partial(_scratch, COREDNS, str(tool("coredns")), ("/bin/coredns",))),
        _entry("traefik", go["traefik"], partial(_scratch, TRAEFIK, str(tool("traefik")), ("/bin/traefik",))),
        _entry("registry", go["registry"], partial(_scratch, DISTRIBUTION, str(tool("registry")), ("/bin/registry",))),
        _entry("mysql", mysql.version(), _mysql),
    ]


def _entry(name: str, version: str, make: Callable[[Path], object]) -> Path:
    return cache.made(f"cluster-image-{_FORM}-{name}-{version}", make) / "image.tar"


def _scratch(reference: str, program: str, command: tuple[str, ...], draft: Path) -> None:
    """One static program, and an empty `/tmp`."""
    source = Path(cache.program(program.rpartition("/")[2])) if program.startswith("/bin/") else Path(program)

    def fill(layer: tarfile.TarFile) -> None:
        layer.add(source.resolve(), f"bin/{source.name}")
        scratch = tarfile.TarInfo("tmp")
        scratch.type, scratch.mode = tarfile.DIRTYPE, 0o1777
        layer.addfile(scratch)

    _write(draft, reference, fill, {"Entrypoint": list(command), "Env": ["PATH=/bin"]})


def _mysql(draft: Path) -> None:
    """Debian's packages, without a start-up script: the operator brings its own."""
    root = roots.mysql()

    def fill(layer: tarfile.TarFile) -> None:
        for place in sorted(root.iterdir()):
            layer.add(place, place.name, recursive=place.name not in {"dev", "proc", "sys", "run", "tmp"})

    _write(draft, MYSQL, fill, {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})


def _write(draft: Path, reference: str, fill: Callable[[tarfile.TarFile], None], config: dict[str, object]) -> None:
    layer = draft / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        fill(tar)
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    image = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    listed = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(draft / "image.tar", "w") as tar:
        for name, held in (("config.json", image), ("manifest.json", listed)):
            text = json.dumps(held).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
        tar.add(layer, "layer.tar")
    layer.unlink()
