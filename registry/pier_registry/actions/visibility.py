"""What a caller may know of, decided in one place.

v1 ids are chosen by clients and name no repository, so an image is shown only to those who may reach it through
some repository that holds it, or to the user who was promised it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pier_registry.actions.registry import Caller, Verb
from pier_registry.metadata import images, leases, manifests, repositories, views
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.views import View
from pier_registry.names import ImageId, RepositoryName


def reaches(tx: Transaction, caller: Caller, image: images.Image, verb: Verb) -> bool:
    """Whether the caller has `verb` on some repository that holds the image, or holds a promise of it."""
    if image.cnt > 0 and caller.everywhere(verb):
        return True
    if leases.leased_to(tx, "image", image.id, caller.user):
        return True
    return image.cnt > 0 and any(caller.may(verb, name) for name in images.holding_repositories(tx, image.id))


def view(tx: Transaction, caller: Caller, image_id: ImageId, verb: Verb) -> View | None:
    """The id as the face of a manifest that the caller reaches as in `reaches`."""
    return next(seen_views(tx, caller, image_id, verb), None)


def seen_views(tx: Transaction, caller: Caller, image_id: ImageId, verb: Verb) -> Iterator[View]:
    """All of them."""
    for each in views.of_id(tx, image_id):
        if caller.may(verb, each.repository) or leases.leased_to(tx, "manifest", each.manifest_id, caller.user):
            yield each


def shows_blob(tx: Transaction, caller: Caller, repository: RepositoryName, layer_row: int) -> bool:
    """Whether the repository holds the blob, or the same user was promised it there; rights are judged elsewhere."""
    return bool(blobs_shown(tx, caller, repository, [layer_row]))


def blobs_shown(tx: Transaction, caller: Caller, repository: RepositoryName, layer_rows: Collection[int]) -> set[int]:
    """Those of the layers."""
    home = repositories.find(tx, repository)
    held = manifests.holds(tx, home.id, layer_rows) if home else set()
    return held | leases.leased_among(tx, "layer", set(layer_rows) - held, caller.user, repository.full)


def shows_somewhere(tx: Transaction, caller: Caller, layer_row: int) -> bool:
    """Whether any repository that the caller may pull holds the blob, or the user was promised it in one."""
    if leases.leased_to(tx, "layer", layer_row, caller.user):
        return True
    return any(caller.may("pull", name) for name in manifests.repositories_holding(tx, layer_row))
