"""A newer Docker engine than Debian 12's: 26.1 of Debian 13, in a root file system of its own.

Driven as the other engine is; its own client runs outside, so that it sees this host's files. The daemon's root is the
cached file system, mounted for it alone, with the engine's folder at `/pier`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.parts import docker_engine, roots
from tests.parts.docker_engine import DockerEngine

# A chroot would not do: runc can only pivot away from a root that is a mount.
_INSIDE: Final = """
root=$1; home=$2; shift 2
mount --bind "$root" "$root"
for place in /dev /sys; do mount --rbind "$place" "$root$place"; done
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount --bind "$home" "$root/pier"
mount --bind "$home/etc" "$root/etc/docker"
mount --bind "$home/hosts" "$root/etc/hosts"
cd "$root"
pivot_root . mnt
umount -l /mnt
exec "$@"
"""
# The containerd image store has names of its own for overlay2 and vfs.
_STORE: Final = ("overlayfs", "native")


@dataclass(slots=True)
class ModernEngine(DockerEngine):
    """`home` is at `/pier` for the daemon."""

    def _command(self) -> list[str]:
        """Every step is an exec, so the process that is started becomes the engine."""
        namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _INSIDE, "sh"]
        places = {"data-root": "data", "exec-root": "run", "pidfile": "engine.pid"}
        return [
            *namespace,
            str(roots.docker()),
            str(self.home),
            "dockerd",
            "--host=unix:///pier/docker.sock",
            *(f"--{key}=/pier/{name}" for key, name in places.items()),
            f"--storage-driver={self.driver}",
            *self.flags,
        ]


@contextmanager
def running(*flags: str, networks: bool = False, containerd_store: bool = False) -> Iterator[DockerEngine]:
    """As docker_engine.running. With the containerd store it pushes and pulls as containerd does."""
    client = roots.docker().with_name("docker")
    engine = ModernEngine(docker_engine.new_home(), str(client), flags if networks else (*docker_engine.ALONE, *flags))
    if containerd_store:
        engine.driver, engine.fallback = _STORE
        (engine.home / "etc" / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    with docker_engine.served(engine, networks):
        yield engine
