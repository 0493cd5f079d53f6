"""What kopf tells us: each change goes into the cache, and its registry into the queue. Nothing else happens here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from pier_operator import api, lease, login
from pier_operator.api import Kind, Manifest
from pier_operator.cache import Cache, key_of
from pier_operator.queue import Queue

Handler = Callable[..., Awaitable[None]]


def registered(cache: Cache, queue: Queue, beat: Callable[[], None], namespaced: bool) -> kopf.OperatorRegistry:
    """Handlers of events only: kopf then leaves no finalizer and no annotation on anything."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(login.login)
    for kind in (api.PIER_REGISTRY, api.POD, *api.BUILT_IN, *api.OPTIONAL):
        selector = (kind.group, kind.version, kind.plural)
        kopf.on.event(*selector, registry=registry)(_handler(kind, cache, queue))
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
    settings.watching.chunk_size = 100
    settings.queueing.idle_timeout = 1
    settings.networking.request_timeout = 30
    settings.peering.standalone = True
    settings.posting.enabled = False
    return settings


def changed(manifest: Manifest, kind: Kind, gone: bool, cache: Cache, queue: Queue) -> None:
    """Echoes of our own writes are no news."""
    manifest = {**manifest, "apiVersion": kind.api_version, "kind": kind.name}
    news = cache.drop(manifest) if gone else cache.put(manifest)
    if news or (gone and kind is api.PIER_REGISTRY):
        queue.add(key_of(manifest))


def _handler(kind: Kind, cache: Cache, queue: Queue) -> Handler:
    async def handle(event: Any, **_: Any) -> None:
        changed(dict(event["object"]), kind, event["type"] == "DELETED", cache, queue)

    handle.__name__ = handle.__qualname__ = f"on_{kind.plural}"
    return handle


def _heartbeat(beat: Callable[[], None]) -> Handler:
    async def heartbeat(name: str | None, **_: Any) -> None:
        if name == lease.NAME:
            beat()

    return heartbeat
