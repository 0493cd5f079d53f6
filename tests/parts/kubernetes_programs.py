"""Kubernetes built from source into the cache: a control plane, a node and kubectl of one version."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.parts import cache

VERSION: Final = "v1.34.4"

_MODULE: Final = "k8s.io/kubernetes"
_PROGRAMS: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
_STAMP: Final = "k8s.io/component-base/version"
_STAGING: Final = re.compile(r"^\s*(?:replace )?(k8s\.io/\S+) => \./staging/", re.MULTILINE)


def program(name: str) -> Path:
    """A program of Kubernetes, or Debian's `etcd`. Raises PartMissing."""
    if name == "etcd":
        return Path(cache.program("/usr/bin/etcd"))
    return cache.found(_ENTRY, f"{name} {VERSION}") / name


def make() -> None:
    """Build what is missing; takes six minutes. Raises SystemExit without a Go toolchain."""
    cache.made(_ENTRY, _build)


# The number goes up when more programs are built.
_ENTRY: Final = f"kubernetes-{VERSION}-2"


def _build(draft: Path) -> None:
    """From a module that requires it: its own `replace` lines point into a tree that a module does not bring along."""
    scratch = draft / "module"
    scratch.mkdir()
    (scratch / "go.mod").write_text("module parts\n")
    described: dict[str, Any] = json.loads(_go(scratch, "mod", "download", "-json", f"{_MODULE}@{VERSION}"))
    original = Path(described["GoMod"]).read_text(encoding="utf-8")
    (scratch / "go.mod").write_text(_module(original))
    flags = ["-mod=mod", "-trimpath", f"-ldflags={_linked(_revision(described))}"]
    _go(scratch, "build", *flags, "-o", f"{draft}/", *(f"{_MODULE}/cmd/{name}" for name in _PROGRAMS))
    shutil.rmtree(scratch)


def _module(original: str) -> str:
    """A module that takes each staging module in the release that belongs to VERSION."""
    release = VERSION.replace("v1.", "v0.")
    replaced = [f"replace {name} => {name} {release}" for name in sorted(set(_STAGING.findall(original)))]
    go = re.search(r"^go \S+$", original, re.MULTILINE)
    assert replaced, original
    assert go, original
    return "\n".join(["module parts", go[0], f"require {_MODULE} {VERSION}", *replaced, ""])


def _revision(described: dict[str, Any]) -> str:
    return str(described.get("Origin", {}).get("Hash", "")) or "0" * 40


def _linked(revision: str) -> str:
    """Helm and kubectl read the version that is stamped in."""
    major, minor = VERSION.removeprefix("v").split(".")[:2]
    stamps = {
        "gitVersion": VERSION,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": revision,
        "gitTreeState": "clean",
    }
    return " ".join(["-s -w", *(f"-X {_STAMP}.{name}={value}" for name, value in stamps.items())])


def _go(folder: Path, *arguments: str) -> str:
    toolchain = shutil.which("go")
    if toolchain is None:
        raise SystemExit("missing: Go 1.26.7 or newer (`go` on the PATH), which builds Kubernetes.")
    done = subprocess.run(
        [toolchain, *arguments],
        cwd=folder,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"go {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr[-4000:]}")
    return done.stdout
