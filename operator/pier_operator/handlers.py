"""What kopf tells us: each change goes into the cache, which tells the queue of news. Nothing else happens here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from pier_operator import api, lease, login
from pier_operator.api import Kind
from pier_operator.cache import Cache

Handler = Callable[..., Awaitable[None]]


def registered(cache: Cache, beat: Callable[[], None], namespaced: bool) -> kopf.OperatorRegistry:
    """Handlers of events only: kopf then leaves no finalizer and no annotation on anything."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(login.login)
    for kind in (api.PIER_REGISTRY, api.POD, *api.BUILT_IN, *api.OPTIONAL):
        selector = (kind.group, kind.version, kind.plural)
        kopf.on.event(*selector, registry=registry)(_handler(kind, cache))
    if not namespaced:
        kopf.on.event("coordination.k8s.io", "v1", "leases", registry=registry)(_heartbeat(beat))
    return registry


def settled(settings: kopf.OperatorSettings) -> kopf.OperatorSettings:
    """Only what carries our label is watched, and a stream that has died is noticed."""
    for kind in (api.POD, *api.BUILT_IN, *api.OPTIONAL):
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = api.REGISTRY
    settings.watching.label_selectors["coordination.k8s.io", "v1", "leases"] = api.LEASE
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    # Each object of a list has a worker that holds it while it idles, so few are listed at once and none idles long.
    settings.watching.chunk_size = 25
    settings.queueing.idle_timeout = 0.1
    settings.networking.request_timeout = 30
    settings.peering.standalone = True
    settings.posting.enabled = False
    return settings


def _handler(kind: Kind, cache: Cache) -> Handler:
    async def handle(event: Any, **_: Any) -> None:
        manifest = {**event["object"], "apiVersion": kind.api_version, "kind": kind.name}
        cache.told(manifest, gone=event["type"] == "DELETED")

    handle.__name__ = handle.__qualname__ = f"on_{kind.plural}"
    return handle


def _heartbeat(beat: Callable[[], None]) -> Handler:
    async def heartbeat(name: str | None, **_: Any) -> None:
        if name == lease.NAME:
            beat()

    return heartbeat
