"""Real images, built by a real engine without any network and kept as `docker save` writes them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.parts import cache, docker_engine, roots
from tests.parts.docker_engine import DockerEngine

# The number goes up when the builds change.
_ENTRY: Final = "saved-images-2"
BASE: Final = "debian:trixie-slim"

_APP: Final = f"""
FROM {BASE}
COPY settings.txt /etc/app/settings.txt
RUN mkdir -p /srv/app && cp -r /usr/share/common-licenses /srv/app/
COPY {{program}} /usr/local/bin/app
CMD ["/usr/local/bin/app"]
"""
_LARGE: Final = f"""
FROM {BASE}
RUN mkdir -p /srv/copy && cp -r /usr/bin /usr/lib /usr/share /srv/copy/
"""
_SMALL: Final = """
FROM scratch
COPY busybox /bin/busybox
COPY settings.txt /settings.txt
ENTRYPOINT ["/bin/busybox"]
CMD ["cat", "/settings.txt"]
"""
_LINK: Final = """
FROM {below}
COPY {number}.txt /chain/{number}.txt
"""
_CHAIN: Final = 4


def saved_images() -> dict[str, Path]:
    """Tars by name, built once into the cache. Raises PartMissing.

    `base`      debian:trixie-slim, one layer of about 120 MB
    `large`     large:1, another 100 MB of programs and texts on it
    `app`       app:1, three small layers on it
    `app-next`  app:2, the same but for its top layer
    `small`     small:1, from scratch: busybox and a text; it runs
    `chain`     chain:1 … chain:4, each one layer more, on small:1
    """
    folder = cache.made(_ENTRY, _build)
    return {place.stem: place for place in sorted(folder.glob("*.tar"))}


def _build(draft: Path) -> None:
    root = roots.debian()
    context = Path(tempfile.mkdtemp(prefix="pier-build-"))
    try:
        _write(context)
        with docker_engine.running() as engine:
            engine.run("import", "--change", 'CMD ["bash"]', str(root), BASE)
            _build_all(engine, context)
            for name, tags in _contents().items():
                engine.run("save", "--output", str(draft / f"{name}.tar"), *tags)
    finally:
        shutil.rmtree(context)


def _contents() -> dict[str, list[str]]:
    chain = [f"chain:{number}" for number in range(1, _CHAIN + 1)]
    return {
        "base": [BASE],
        "large": ["large:1"],
        "app": ["app:1"],
        "app-next": ["app:2"],
        "small": ["small:1"],
        "chain": chain,
    }


def _build_all(engine: DockerEngine, context: Path) -> None:
    _image(engine, context, "app:1", _APP.format(program="app-1"))
    _image(engine, context, "app:2", _APP.format(program="app-2"))
    _image(engine, context, "large:1", _LARGE)
    _image(engine, context, "small:1", _SMALL)
    below = "small:1"
    for number in range(1, _CHAIN + 1):
        tag = f"chain:{number}"
        _image(engine, context, tag, _LINK.format(below=below, number=number))
        below = tag


def _image(engine: DockerEngine, context: Path, tag: str, dockerfile: str) -> None:
    (context / "Dockerfile").write_text(dockerfile)
    engine.run("build", "--network", "none", "--tag", tag, str(context))


def _write(context: Path) -> None:
    shutil.copy(cache.program("busybox"), context / "busybox")
    (context / "settings.txt").write_text("greeting = hello from the pier\n")
    for number in (1, 2):
        program = context / f"app-{number}"
        program.write_text(f"#!/bin/sh\necho app {number}\n" + "# ballast of the ship\n" * 2000)
        program.chmod(0o755)
    for number in range(1, _CHAIN + 1):
        (context / f"{number}.txt").write_text(f"link {number} of the chain\n" * 50)
