"""Lists and search: repositories, tags and namespaces that the caller may pull, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pier_registry import errors
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import images, repositories, sessions, tags
from pier_registry.metadata.images import Image
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.tags import Tag
from pier_registry.names import ImageId, RepositoryName, TagName

_STEP: Final = 500


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """A tag with its v1 image's json and the stored size of its whole chain, for lists that describe images."""

    tag: Tag
    json: bytes
    size: int


def repository_names(
    registry: Registry, caller: Caller, *, after: str = "", count: int, containing: str = ""
) -> list[str]:
    """Up to `count` full names above `after`, bytewise sorted."""

    def work(tx: Transaction) -> list[str]:
        return _names(tx, caller, after, count, containing)

    return registry.metadata.read(work)


def namespaces(registry: Registry, caller: Caller, *, after: str = "", count: int) -> list[str]:
    """Up to `count` namespaces above `after` that hold a repository."""

    def work(tx: Transaction) -> list[str]:
        found: list[str] = []
        # '0' follows '/': the next name beyond a whole namespace.
        last = f"{after}0" if after else ""
        while len(found) < count and (names := _names(tx, caller, last, 1, "")):
            found.append(names[0].partition("/")[0])
            last = f"{found[-1]}0"
        return found

    return registry.metadata.read(work)


def tag_list(
    registry: Registry, caller: Caller, repository: RepositoryName, *, after: str = "", count: int | None = None
) -> list[Tag]:
    """Raises RepositoryUnknown, also for a repository that the caller may not pull."""

    def work(tx: Transaction) -> list[Tag]:
        home = repositories.find(tx, repository)
        if not caller.may("pull", repository.full):
            raise errors.RepositoryUnknown(repository.spelt)
        if home is None:
            _fail_unless_being_pushed(tx, caller, repository, "Repository not found")
            return []
        return tags.page(tx, home.id, after, count)

    return registry.metadata.read(work)


def tag(registry: Registry, caller: Caller, repository: RepositoryName, name: TagName) -> Tag:
    """Raises TagUnknown."""

    def work(tx: Transaction) -> Tag:
        home = repositories.find(tx, repository)
        found = tags.find(tx, home.id, name) if home and caller.may("pull", repository.full) else None
        if found is None:
            raise errors.TagUnknown(repository.spelt, name)
        return found

    return registry.metadata.read(work)


def image_ids(registry: Registry, caller: Caller, repository: RepositoryName) -> list[ImageId]:
    """Ids that the repository's tags reach. Raises RepositoryUnknown ("images not found")."""

    def work(tx: Transaction) -> list[ImageId]:
        home = repositories.find(tx, repository)
        if not caller.may("pull", repository.full):
            raise errors.RepositoryUnknown(repository.spelt, v1_text="images not found")
        if home is None:
            _fail_unless_being_pushed(tx, caller, repository, "images not found")
            return []
        return images.ids_in(tx, home.id)

    return registry.metadata.read(work)


def access(registry: Registry, caller: Caller, repository: RepositoryName) -> str:
    """v1's property: `private` or `public`. Raises RepositoryUnknown."""
    home = registry.metadata.read(lambda tx: repositories.find(tx, repository))
    if home is None or not caller.may("pull", repository.full):
        raise errors.RepositoryUnknown(repository.spelt)
    return home.access


def set_access(registry: Registry, caller: Caller, repository: RepositoryName, value: str) -> None:
    """Raises RepositoryUnknown, Denied."""
    caller.require("push", repository.full)

    def work(tx: Transaction) -> None:
        home = repositories.find(tx, repository, lock=True)
        if home is None:
            raise errors.RepositoryUnknown(repository.spelt)
        repositories.set_access(tx, home.id, value)

    registry.metadata.write(work)


def tagged_images(
    registry: Registry, caller: Caller, namespace: str, *, after: tuple[str, str] = ("", ""), count: int
) -> list[TaggedImage]:
    """Tags of a namespace by repository and name; those without a v1 image are left out."""

    def work(tx: Transaction) -> list[TaggedImage]:
        found: list[TaggedImage] = []
        last = after
        while len(found) < count and (batch := tags.in_namespace(tx, namespace, last, _STEP)):
            visible = [known for known in batch if known.image_row is not None and caller.may("pull", known.repository)]
            found += [_described(tx, known) for known in visible[: count - len(found)]]
            last = (batch[-1].repository, str(batch[-1].name))
        return found

    return registry.metadata.read(work)


def described(registry: Registry, caller: Caller, repository: RepositoryName, name: TagName) -> TaggedImage:
    """Raises TagUnknown, also for a tag without a v1 image."""
    known = tag(registry, caller, repository, name)
    if known.image_row is None:
        raise errors.TagUnknown(repository.spelt, name)
    return registry.metadata.read(lambda tx: _described(tx, known))


def _described(tx: Transaction, known: Tag) -> TaggedImage:
    chain: list[Image] = images.chain(tx, [known.image_row or 0])
    if not chain:
        return TaggedImage(known, b"{}", 0)
    return TaggedImage(known, images.json_of(tx, chain[0].id), sum(link.size for link in chain))


def _names(tx: Transaction, caller: Caller, after: str, count: int, containing: str) -> list[str]:
    found: list[str] = []
    while len(found) < count and (batch := repositories.names(tx, after, max(count, _STEP), containing)):
        found += [name for name in batch if caller.may("pull", name)]
        after = batch[-1]
    return found[:count]


def _fail_unless_being_pushed(tx: Transaction, caller: Caller, repository: RepositoryName, v1_text: str) -> None:
    """The first PUT of a push makes a repository that its pusher sees, empty, until the push ends."""
    if not sessions.is_open(tx, caller.user, repository.full):
        raise errors.RepositoryUnknown(repository.spelt, v1_text=v1_text)
