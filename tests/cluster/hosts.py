"""Hosts of users, who know the registry's name and CA, and are logged in as docs/clients.md tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.clients.client import Client
from tests.clients.hosts import beside, host_for
from tests.clients.programs import DOCKER, Program
from tests.clients.terminal import Terminal
from tests.cluster.registry import Registry
from tests.parts import docker_engine


@contextmanager
def client_of(program: Program, registry: Registry, address: str = "") -> Iterator[Client]:
    """`address` is where its host is, which is the Ingress's unless told. It is logged in as admin."""
    host = registry.host.partition(":")[0]
    with _terminal(program, address or registry.cluster.front, host) as terminal:
        yield logged_in(program, terminal, registry)


def logged_in(program: Program, terminal: Terminal, registry: Registry) -> Client:
    """On a host that finds the registry."""
    made = Client(program, terminal, registry.host)
    registry.write_ca(terminal.folder / "ca.crt")
    made.trust()
    (terminal.folder / "password").write_text(registry.password())
    made.type(made.lines.login.replace("alice", "admin"))
    return made


@contextmanager
def _terminal(program: Program, address: str, host: str) -> Iterator[Terminal]:
    """Where the host's name leads to the address; an engine looks for itself."""
    if program == DOCKER:
        with docker_engine.running(hosts={host: address}) as engine, beside(engine) as terminal:
            yield terminal
        return
    with host_for(program) as terminal:
        terminal.run(f"echo {address} {host} >> /etc/hosts")
        yield terminal
