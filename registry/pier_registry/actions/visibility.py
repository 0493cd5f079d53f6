"""What a caller may know of, decided in one place.

v1 ids are chosen by clients and name no repository, so an image is shown only to those who may reach it through
some repository that holds it, or to the user who was promised it.
"""

from __future__ import annotations

from pier_registry.actions.registry import Caller, Verb
from pier_registry.metadata import images, leases
from pier_registry.metadata.session import Transaction


def reaches(tx: Transaction, caller: Caller, image: images.Image, verb: Verb) -> bool:
    """Whether the caller has `verb` on some repository that holds the image, or holds a promise of it."""
    if image.cnt > 0 and caller.everywhere(verb):
        return True
    if leases.leased_to(tx, "image", image.id, caller.user):
        return True
    return image.cnt > 0 and any(caller.may(verb, name) for name in images.holding_repositories(tx, image.id))
