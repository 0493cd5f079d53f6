"""Programs built from Go modules of one version each, into the cache: clients, servers, the conformance suites."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.parts import cache

_MAINS: Final = Path(__file__).with_name("go")
_SUITE: Final = "github.com/opencontainers/distribution-spec/conformance"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """`package` is a path below the module. A `suite` is a package of tests, built to be run without Go.

    `stamp` is the variable that the program reads its version from. `main` names a program below `go` that is built
    from the module's packages. A `forked` module builds only with the `replace` lines of its own go.mod.
    """

    module: str
    version: str
    package: str = ""
    stamp: str = ""
    suite: bool = False
    main: str = ""
    forked: bool = False

    @property
    def path(self) -> str:
        return f"{self.module}/{self.package}".rstrip("/")

    @property
    def flags(self) -> list[str]:
        linked = f"-s -w -X {self.stamp}={self.version}" if self.stamp else "-s -w"
        return ["-trimpath", f"-ldflags={linked}"]


PROGRAMS: Final = {
    "crane": GoProgram("github.com/google/go-containerregistry", "v0.22.1", "cmd/crane"),
    "oras": GoProgram("oras.land/oras", "v1.3.6", "cmd/oras"),
    "helm": GoProgram("helm.sh/helm/v3", "v3.22.0", "cmd/helm", "helm.sh/helm/v3/internal/version.version"),
    "registry": GoProgram(
        "github.com/distribution/distribution/v3",
        "v3.1.2",
        "cmd/registry",
        "github.com/distribution/distribution/v3/version.version",
    ),
    "coredns": GoProgram("github.com/coredns/coredns", "v1.14.7", "coremain", main="coredns.go"),
    "traefik": GoProgram(
        "github.com/traefik/traefik/v3",
        "v3.6.12",
        "cmd/traefik",
        "github.com/traefik/traefik/v3/pkg/version.Version",
        forked=True,
    ),
    "kube-router": GoProgram("github.com/cloudnativelabs/kube-router/v2", "v2.1.0", "cmd/kube-router"),
    # The last of the Ginkgo generation, and the first of its successor, that the module proxy serves.
    "conformance-1.1": GoProgram(_SUITE, "v0.0.0-20231101194043-f2182352d4cc", suite=True),
    "conformance-head": GoProgram(_SUITE, "v0.0.0-20260831232431-97274622c111", stamp="main.Version"),
}


def built(name: str) -> Path:
    """Path of a program that scripts/test-parts has built. Raises PartMissing."""
    return cache.found(_entry(name), name) / name


def make() -> None:
    """Build what is missing; takes minutes. Raises SystemExit without a Go toolchain."""
    for name in PROGRAMS:
        began = time.monotonic()
        cache.made(_entry(name), functools.partial(_build, name))
        print(f"  {name}: {time.monotonic() - began:.1f} s", flush=True)


def _entry(name: str) -> str:
    return f"go-{name}-{PROGRAMS[name].version}"


def _build(name: str, draft: Path) -> None:
    program = PROGRAMS[name]
    in_module = program.suite or program.main or program.forked
    build = _build_in_module if in_module else _install
    build(program, draft, draft / name)


def _install(program: GoProgram, draft: Path, target: Path) -> None:
    """Go names the file after the package, or after the module when that has none."""
    scratch = draft / "bin"
    _go(draft, "install", *program.flags, f"{program.path}@{program.version}", GOBIN=str(scratch))
    (built_file,) = scratch.iterdir()
    built_file.rename(target)
    scratch.rmdir()


def _build_in_module(program: GoProgram, draft: Path, target: Path) -> None:
    """From a module that requires it, since only a program that needs nothing else can be installed by version."""
    scratch = draft / "module"
    scratch.mkdir()
    _go(scratch, "mod", "init", "parts")
    if program.forked:
        with (scratch / "go.mod").open("a", encoding="utf-8") as module:
            module.write(_replaced(program, scratch))
    _go(scratch, "get", "-t", f"{program.path}@{program.version}")
    if program.main:
        shutil.copyfile(_MAINS / program.main, scratch / "main.go")
        _go(scratch, "mod", "tidy")
    what = "." if program.main else program.path
    building = ("test", "-c") if program.suite else ("build", "-mod=mod")
    _go(scratch, *building, *program.flags, "-o", str(target), what)
    shutil.rmtree(scratch)


def _replaced(program: GoProgram, folder: Path) -> str:
    """The module's own `replace` lines: they count in the main module alone."""
    described = json.loads(_go(folder, "mod", "download", "-json", f"{program.module}@{program.version}"))
    original = Path(described["GoMod"]).read_text(encoding="utf-8")
    return "".join(f"\nreplace {line}" for line in re.findall(r"^(?:replace)?\s+(\S+ => \S+ v\S+)$", original, re.M))


def _go(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [_toolchain(), *arguments],
        cwd=folder,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"go {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr[-4000:]}")
    return done.stdout


def _toolchain() -> str:
    found = shutil.which("go")
    if found is None:
        raise SystemExit("missing: Go 1.26.7 or newer (`go` on the PATH), which builds crane, oras, helm and others.")
    return found
