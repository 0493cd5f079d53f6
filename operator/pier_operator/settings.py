"""The operator's settings: the only reader of its environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Parse = Callable[[str], Any]


class Misconfigured(Exception):
    """One sentence that names the variable and what it takes."""


def _text(text: str) -> str:
    return text.strip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text.strip()):
        raise ValueError("a whole number up to 99999")
    return int(text)


def _user_id(text: str) -> int | None:
    return _number(text) if text.strip() else None


def _policy(text: str) -> str:
    if text not in {"Always", "IfNotPresent", "Never"}:
        raise ValueError("Always, IfNotPresent or Never")
    return text


def setting(default: Any, parse: Parse, text: str) -> Any:
    return field(default=default, metadata={"parse": parse, "help": text})


@dataclass(frozen=True, slots=True)
class Settings:
    """Read from PIER_OPERATOR_*. Times in seconds."""

    namespace: str = setting("pier-system", _text, "Namespace of the operator's own Lease")
    watch_namespaces: tuple[str, ...] = setting((), _words, "Namespaces to serve, separated by commas; empty: all")
    identity: str = setting("", _text, "Name in the Lease; the pod's name")
    registry_image: str = setting("pier-registry:0.1.0", _text, "Image of both containers of a registry's pods")
    mysql_image: str = setting("docker.io/library/mysql:8.4", _text, "Image of managed databases")
    image_pull_policy: str = setting("IfNotPresent", _policy, "imagePullPolicy of what the operator makes")
    image_pull_secrets: tuple[str, ...] = setting((), _words, "imagePullSecrets of what the operator makes")
    registry_user: int | None = setting(
        10001, _user_id, "User and group id of the registry's pods; empty: the cluster's"
    )
    mysql_user: int | None = setting(999, _user_id, "User and group id of MySQL's pods; empty: the cluster's")
    node_trust_hosts: tuple[str, ...] = setting(
        (), _words, "Hosts that nodes may be made to trust; *.domain is a pattern"
    )
    node_trust_name: str = setting("pier-operator-nodes", _text, "Name of the agents' Secret and ConfigMap")
    port: int = setting(8080, _number, "Port of /healthz, /readyz and /metrics")
    workers: int = setting(8, _number, "Registries that are worked on at once")
    resync: int = setting(600, _number, "Each registry is looked at this often when nothing happens")
    runbook_url: str = setting("", _text, "Where docs/runbooks.md is published, for alarms of registries")
    lease: int = setting(15, _number, "Life of the Lease of which one operator is the holder")

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Raises Misconfigured."""
        given = os.environ if environment is None else environment
        known = {f"PIER_OPERATOR_{each.name.upper()}": each for each in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in given.items():
            if not variable.startswith("PIER_OPERATOR_"):
                continue
            if variable not in known:
                raise Misconfigured(f"{variable} is not a setting: the settings are {', '.join(sorted(known))}")
            try:
                values[known[variable].name] = known[variable].metadata["parse"](text)
            except ValueError as wrong:
                raise Misconfigured(f"{variable} is {text!r}, and takes {wrong}") from None
        return cls(**values)
