"""One settings object; the only reader of the environment and of the settings file.

Every field's `help` feeds the table in docs/settings.md (`python -m pier_registry.settings`).
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from pier_registry.errors import Misconfigured

GRACE = 600  # seconds that running transfers have when the registry stops

Choice = Callable[[str], Any]
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def seconds(text: str) -> float:
    """`90`, `90s`, `15m`, `1h`, `7d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not match:
        raise ValueError("a time such as 90s, 15m, 1h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def size(text: str) -> int:
    """`1048576`, `64M`, `10G` (powers of 1024)."""
    match = re.fullmatch(r"(\d+)([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match:
        raise ValueError("a size such as 1048576, 64M or 10G")
    return int(match[1]) * _SIZES[match[2]]


def switch(text: str) -> bool:
    """`on` or `off` (also true/false, yes/no, 1/0)."""
    word = text.strip().lower()
    if word in {"on", "true", "yes", "1"}:
        return True
    if word in {"off", "false", "no", "0", ""}:
        return False
    raise ValueError("on or off")


def port_number(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text.strip()) or not 0 < int(text) < 65536:
        raise ValueError("a port from 1 to 65535")
    return int(text)


def optional_port(text: str) -> int:
    return 0 if text.strip() == "0" else port_number(text)


def count(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text.strip()) or int(text) < 1:
        raise ValueError("a whole number from 1")
    return int(text)


def chain(text: str) -> int:
    """No docker makes a longer one, and one statement locks it whole."""
    if not 1 <= count(text) <= 127:
        raise ValueError("a whole number from 1 to 127")
    return int(text)


def graces(text: str) -> tuple[tuple[str, float], ...]:
    """`10m` for every repository, `team/*=1h` for some: pairs of a pattern and seconds, later ones over earlier."""
    pairs = [part.strip().rpartition("=") for part in text.split(",")]
    return tuple((pattern.strip() or "*", seconds(life)) for pattern, _, life in pairs)


def one_of(*words: str) -> Choice:
    def choose(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError("one of " + ", ".join(words))
        return text.strip().lower()

    return choose


def networks(text: str) -> tuple[str, ...]:
    """Addresses or networks, separated by commas."""
    try:
        return tuple(str(ipaddress.ip_network(part.strip(), strict=False)) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("addresses or networks such as 10.0.0.0/8, separated by commas") from None


def public_url(text: str) -> str:
    url = text.strip().rstrip("/")
    if url and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", url):
        raise ValueError("a URL such as https://registry.example.org:5443 without a path")
    return url


def database(text: str) -> str:
    if not re.match(r"(sqlite:///|mysql\+pymysql://)", text):
        raise ValueError("sqlite:///path or mysql+pymysql://user:password@host/database")
    return text


def setting(default: Any, parse: Choice, text: str, shown: str | None = None) -> Any:
    return field(default=default, metadata={"parse": parse, "help": text, "shown": shown})


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds, sizes in bytes."""

    data: Path = setting(
        Path(".pier"), Path, "Folder of everything Pier keeps: layers, users, certificates, SQLite", "./.pier"
    )
    host: str = setting("0.0.0.0", str, "Address to listen on")  # noqa: S104  a registry is for other hosts
    port: int = setting(5443, port_number, "Public https port")
    plain_port: int = setting(
        0, optional_port, "Port of the same in plain http, for a front door that ends TLS and nobody else; 0 for none"
    )
    health_port: int = setting(
        9090, port_number, "Private http port: /healthz, /readyz, /metrics; listens on PIER_HEALTH_HOST"
    )
    health_host: str = setting("127.0.0.1", str, "Address of the private port; 0.0.0.0 in a pod")
    public_url: str = setting("", public_url, "URL that clients use; empty: the Host header of each request")
    database_url: str = setting(
        "",
        database,
        "sqlite:///path or mysql+pymysql://user:password@host/database",
        "SQLite in the data folder",
    )
    admin_password: str = setting(
        "", str, "Password of admin, set at start; empty: generated once into admin-password", ""
    )
    database_wait: float = setting(60.0, seconds, "How long a start waits for a database that does not answer", "60s")
    default_role: str = setting(
        "push",
        one_of("none", "pull", "push", "admin"),
        "Role on every repository of users without an entry in rights.yaml",
    )
    anonymous_pull: bool = setting(
        False, switch, "Whoever sends no credentials may pull; everything else still takes a login", "off"
    )
    read_only: bool = setting(False, switch, "Answer 405 to everything that would change something", "off")
    v1: str = setting("on", one_of("on", "pull", "off"), "Docker Registry v1: on, pull (read-only) or off")
    lease: float = setting(3600.0, seconds, "How long a promise to a running push is kept", "1h")
    upload_timeout: float = setting(
        86400.0, seconds, "Idle uploads and v1 push sessions older than this are removed", "24h"
    )
    max_sessions: int = setting(200, count, "Open uploads and push sessions of one user")
    max_layer: int = setting(50 << 30, size, "Largest layer", "50G")
    max_image_json: int = setting(1 << 20, size, "Largest v1 image json", "1M")
    max_manifest: int = setting(4 << 20, size, "Largest manifest", "4M")
    max_descriptors: int = setting(2000, count, "Most descriptors in one manifest")
    untagged_grace: tuple[tuple[str, float], ...] = setting(
        (("*", 0.0),),
        graces,
        "How long a manifest stays whose last tag was overwritten: 10m, or by repository: 0, team/*=1h",
        "0",
    )
    max_chain: int = setting(127, chain, "Longest chain of v1 images, up to 127")
    max_inflated: int = setting(64 << 30, size, "A v1 layer is inflated (only to hash it) up to this many bytes", "64G")
    min_free: int = setting(64 << 20, size, "Pushes are refused with 503 below this much free space", "64M")
    trusted_proxies: tuple[str, ...] = setting(
        (), networks, "Networks of proxies whose X-Forwarded-For names the client", "none"
    )
    login_failures: int = setting(10, count, "Wrong passwords of one user from one address in a minute before 429")
    workers: int = setting(2, count, "gunicorn worker processes")
    threads: int = setting(64, count, "Threads of each worker")
    event_days: int = setting(90, count, "Days that audit events are kept")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data.absolute() / 'pier.sqlite3'}"

    @property
    def users_file(self) -> Path:
        return self.data / "users.htpasswd"

    @property
    def rights_file(self) -> Path:
        return self.data / "rights.yaml"

    @property
    def mode_file(self) -> Path:
        return self.data / "mode"

    @property
    def token_key(self) -> Path:
        """What tokens for v2 clients are signed with."""
        return self.data / "token-key"

    @property
    def tls(self) -> Path:
        return self.data / "tls"

    @property
    def run(self) -> Path:
        """Folder of the socket, pid files and the rendered nginx configuration."""
        return self.data / "run"

    @property
    def socket(self) -> Path:
        """Of all workers together."""
        return self.run / "registry.sock"

    @property
    def worker_sockets(self) -> list[Path]:
        """One of each worker, so that connections that are kept fall to all workers alike."""
        return [self.run / f"registry-{number}.sock" for number in range(self.workers)]

    @property
    def url(self) -> str:
        """What to type: the public URL, or this host's own https address."""
        return self.public_url or f"https://localhost:{self.port}"

    def host_names(self) -> list[str]:
        """Names and addresses that the certificate must answer to."""
        names = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
        if self.host not in {"0.0.0.0", "::"}:  # noqa: S104
            names.append(self.host)
        if self.public_url:
            names.append(re.sub(r"^https?://", "", self.public_url).rsplit(":", 1)[0].strip("[]"))
        return list(dict.fromkeys(names))

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Environment over the YAML file named by PIER_CONFIG over defaults.

        Raises Misconfigured, naming the key, what it holds wrong and what it takes.
        """
        environment = os.environ if environment is None else environment
        given = _from_file(environment.get("PIER_CONFIG", "")) | _from_environment(environment)
        known = {f.name: f for f in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in given.items():
            if name not in known:
                raise Misconfigured(f"PIER_{name.upper()} is not a setting: see docs/settings.md for the list")
            try:
                values[name] = known[name].metadata["parse"](text)
            except ValueError as wrong:
                raise Misconfigured(f"PIER_{name.upper()} is {text!r}, and takes {wrong}") from None
        return cls(**values)


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    prefix = "PIER_"
    return {
        key.removeprefix(prefix).lower(): value
        for key, value in environment.items()
        if key.startswith(prefix) and key != "PIER_CONFIG"
    }


def _from_file(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        read = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as wrong:
        raise Misconfigured(f"PIER_CONFIG names {path}, which cannot be read: {wrong}") from None
    if not isinstance(read, dict):
        raise Misconfigured(f"{path} must hold keys and values such as 'port: 5443'")
    return {str(key): _plain(value) for key, value in read.items()}


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value)


def table() -> str:
    """The settings as a Markdown table: docs/settings.md holds exactly this."""
    rows = ["| setting | default | what it does |", "|---|---|---|"]
    for entry in fields(Settings):
        shown = entry.metadata["shown"]
        default = entry.default if shown is None else shown
        rows.append(
            f"| `PIER_{entry.name.upper()}` | {default if default != '' else 'empty'} | {entry.metadata['help']} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
