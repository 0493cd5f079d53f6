"""The files of a node's runtimes: ours are kept and taken away, those of others are never touched."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CA: Final = "ca.crt"
HOSTS: Final = "hosts.toml"
# Not read by any runtime: docker takes whatever ends with .crt.
_DRAFT: Final = ".{}.pier"


class Foreign(Exception):
    """One sentence about a file that is not ours."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a runtime, which has a folder for each host. containerd wants a `hosts.toml` beside the CA."""

    root: Path
    by_hosts_toml: bool = False

    def files(self, host: str, authorities: str) -> dict[str, str]:
        """By name, in the order in which they are written: what is referred to comes first."""
        made = {CA: authorities}
        if self.by_hosts_toml:
            made[HOSTS] = f'server = "https://{host}"\nca = "{CA}"\n'
        return made


class Files:
    """Those of all runtimes. The first line of each says whose it is, which both PEM and TOML bear.

    `owner` tells two operators of one cluster apart.
    """

    def __init__(self, places: Collection[Place], owner: str) -> None:
        self.places = tuple(places)
        self._marker = f"# Kept by Pier ({owner}). To change or remove it, see nodeTrust of its chart.\n".encode()

    def sweep(self, wanted: Collection[str]) -> list[Path]:
        """Take away what is ours below other hosts; returns those files. Raises OSError."""
        return [path for place in self.places for path in self._swept(place, wanted)]

    def keep(self, place: Place, host: str, authorities: str) -> bool:
        """Make the files of a host hold what they should; returns whether that took any writing.

        Raises OSError, and Foreign before anything is written there.
        """
        folder = place.root / host
        if folder.is_symlink():
            raise Foreign(_told(folder))
        files = {folder / name: self._marker + text.encode() for name, text in place.files(host, authorities).items()}
        held = {path: self._held(path) for path in files}
        late = {path: text for path, text in files.items() if held[path] != text}
        if late and not folder.is_dir():
            folder.mkdir(mode=0o755, parents=True)
            _settle(place.root)
        for path, text in late.items():
            _write(path, text)
        return bool(late)

    def _held(self, path: Path) -> bytes:
        """Empty when there is no file. Raises Foreign for one that is not ours."""
        if not path.is_symlink() and not path.exists():
            return b""
        if not self._is_ours(path):
            raise Foreign(_told(path))
        return path.read_bytes()

    def _is_ours(self, path: Path) -> bool:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(self._marker)) == self._marker

    def _swept(self, place: Place, wanted: Collection[str]) -> Iterator[Path]:
        if not place.root.is_dir():
            return
        for folder in sorted(place.root.iterdir()):
            if folder.name in wanted or folder.is_symlink() or not folder.is_dir():
                continue
            ours = [path for path in (folder / HOSTS, folder / CA) if self._is_ours(path)]
            if ours:
                yield from _remove(folder, ours)


def _told(path: Path) -> str:
    return f"{path} is not Pier's, so it stays as it is: move it away, or see to this host's CA there yourself"


def _write(path: Path, text: bytes) -> None:
    """Whole or not at all, also when the power goes."""
    draft = path.with_name(_DRAFT.format(path.name))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(draft, flags, 0o644), "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _settle(path.parent)


def _remove(folder: Path, ours: list[Path]) -> Iterator[Path]:
    """These files, drafts that a killed agent has left, and the folder unless others have something in it."""
    for path in ours:
        path.unlink()
        path.with_name(_DRAFT.format(path.name)).unlink(missing_ok=True)
        yield path
    _settle(folder)
    if not any(folder.iterdir()):
        folder.rmdir()
        _settle(folder.parent)


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
