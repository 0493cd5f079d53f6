"""The pod that the operator makes for a registry, its containers run by Docker with what the kubelet would give them.

Its manifest is the golden one of the operator's tests; volumes are folders, owned as `fsGroup` leaves them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.house.pages import ROOT
from tests.images.container import HARDENED, IMAGE, Container, new_name, started
from tests.parts.docker_engine import DockerEngine
from tests.parts.ports import free_port

GROUP: Final = 10001
_GOLDEN: Final = ROOT / "tests" / "operator" / "golden" / "default.yaml"

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """Its containers by name; `address` is the port of the front door on this host, `private` the other one."""

    containers: Mapping[str, Container]
    address: str
    private: str


def template(kind: str) -> Manifest:
    """The pod of the Deployment, or of the migration's Job."""
    found = yaml.safe_load_all(_GOLDEN.read_text(encoding="utf-8"))
    (workload,) = [each for each in found if each["kind"] == kind]
    pod: Manifest = workload["spec"]["template"]["spec"]
    return pod


@contextmanager
def running(engine: DockerEngine, host: str, volumes: Path, secrets: Mapping[str, str]) -> Iterator[Pod]:
    """`volumes` has a folder for each volume, `secrets` the values of variables that come from Secrets."""
    pod = template("Deployment")
    volumes = _of_a_pod(volumes)
    address, private = (f"{host}:{free_port()}" for _ in range(2))
    ports = (f"--publish={address}:5443", f"--publish={private}:9090")
    with ExitStack() as stack:
        sandbox = stack.enter_context(started(engine, *ports, "--entrypoint=sleep", command=("600",)))
        for container in pod["initContainers"]:
            run_once(engine, pod, container, volumes, secrets)
        options = f"--network=container:{sandbox.name}"
        made = {
            each["name"]: stack.enter_context(_started(engine, pod, each, volumes, secrets, options))
            for each in pod["containers"]
        }
        yield Pod(made, address, private)


def run_once(
    engine: DockerEngine, pod: Manifest, container: Manifest, volumes: Path, secrets: Mapping[str, str], *options: str
) -> str:
    """What it prints. Raises AssertionError when it fails."""
    first, *rest = _command(container)
    given = _options(pod, container, volumes, secrets)
    return engine.run("run", "--rm", f"--name={new_name()}", *given, *options, *first, IMAGE, *rest)


@contextmanager
def _started(
    engine: DockerEngine, pod: Manifest, container: Manifest, volumes: Path, secrets: Mapping[str, str], *options: str
) -> Iterator[Container]:
    first, *rest = _command(container)
    given = (*_options(pod, container, volumes, secrets), *options, *first)
    with started(engine, *given, command=tuple(rest)) as made:
        yield made


def _command(container: Manifest) -> list[Any]:
    """`command` takes the place of the image's entrypoint, `args` of what follows it."""
    command, args = container.get("command", []), container.get("args", [])
    return [[f"--entrypoint={command[0]}"] if command else [], *command[1:], *args]


def _options(pod: Manifest, container: Manifest, volumes: Path, secrets: Mapping[str, str]) -> list[str]:
    security = pod["securityContext"]
    assert security["fsGroup"] == security["runAsGroup"] == GROUP
    assert container["securityContext"]["readOnlyRootFilesystem"]
    user = f"--user={security['runAsUser']}:{security['runAsGroup']}"
    mounts = [
        f"--volume={volumes / each['name']}:{each['mountPath']}{':ro' if each.get('readOnly') else ''}"
        for each in container["volumeMounts"]
    ]
    values = {each["name"]: each.get("value", secrets.get(each["name"])) for each in container.get("env", [])}
    hardened = [option for option in HARDENED if "tmpfs" not in option]
    return [*hardened, user, *mounts, *(f"--env={name}={value}" for name, value in values.items())]


def prepared(folder: Path) -> Path:
    """An empty folder for each volume of the pod."""
    for volume in template("Deployment")["volumes"]:
        _make(folder / volume["name"])
    return folder


def _of_a_pod(volumes: Path) -> Path:
    """The same volumes, but for those that each pod has for itself."""
    own = volumes / new_name()
    own.mkdir()
    for volume in template("Deployment")["volumes"]:
        if "emptyDir" in volume:
            _make(own / volume["name"])
        else:
            (own / volume["name"]).symlink_to(volumes / volume["name"])
    return own


def _make(place: Path) -> None:
    """Owned as the kubelet leaves it."""
    place.mkdir()
    os.chown(place, 0, GROUP)
    place.chmod(0o2770)


def put(volume: Path, texts: Mapping[str, str]) -> None:
    """Fill the volume of a Secret, or change it: as the kubelet does, all at once."""
    version = volume / f"..{new_name()}"
    version.mkdir()
    version.chmod(0o2750)
    os.chown(version, 0, GROUP)
    for name, text in texts.items():
        file = version / name
        file.write_text(text)
        os.chown(file, 0, GROUP)
        file.chmod(0o440)
    before = (volume / "..data").readlink() if (volume / "..data").is_symlink() else None
    (volume / "..data_tmp").symlink_to(version.name)
    (volume / "..data_tmp").rename(volume / "..data")
    for name in texts:
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"..data/{name}")
    if before:
        shutil.rmtree(volume / before)
