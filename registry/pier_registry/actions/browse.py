"""Lists and search: repositories, tags and namespaces that the caller may pull, page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pier_registry import errors
from pier_registry.actions import adopt
from pier_registry.actions.adopt import Seen
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import images, repositories, sessions, tags, views
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
        return _with_faces(tx, tags.page(tx, home.id, after, count))

    return registry.metadata.read(work)


def manifest_tags(
    registry: Registry, caller: Caller, repository: RepositoryName, *, after: str, count: int
) -> list[TagName]:
    """Tags that v2 can pull. Raises RepositoryUnknown, Denied. OCI distribution-spec 1.1, end-8."""
    caller.require("pull", repository.full)

    def work(tx: Transaction) -> list[TagName]:
        home = repositories.find(tx, repository)
        if home is None:
            raise errors.RepositoryUnknown(repository.spelt)
        return tags.with_manifest(tx, home.id, after, count)

    return registry.metadata.read(work)


def tag(registry: Registry, caller: Caller, repository: RepositoryName, name: TagName) -> Tag:
    """Raises TagUnknown."""

    def work(tx: Transaction) -> Tag:
        home = repositories.find(tx, repository)
        found = tags.find(tx, home.id, name) if home and caller.may("pull", repository.full) else None
        if found is None:
            raise errors.TagUnknown(repository.spelt, name)
        return _with_faces(tx, [found])[0]

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
        return list(dict.fromkeys([*images.ids_in(tx, home.id), *views.ids_in(tx, home.id)]))

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

    def work(tx: Transaction) -> list[tuple[Tag, bytes | Seen, int]]:
        found: list[tuple[Tag, bytes | Seen, int]] = []
        last = after
        while len(found) < count and (batch := tags.in_namespace(tx, namespace, last, _STEP)):
            visible = _with_faces(tx, [known for known in batch if caller.may("pull", known.repository)])
            shown = [known for known in visible if known.image_id is not None]
            found += [_described(tx, known) for known in shown[: count - len(found)]]
            last = (batch[-1].repository, str(batch[-1].name))
        return found

    found = registry.metadata.read(work)
    return [TaggedImage(known, _json(registry, told), size) for known, told, size in found]


def _described(tx: Transaction, known: Tag) -> tuple[Tag, bytes | Seen, int]:
    """The tag, what its image's json is or is made of, and the size of its chain."""
    if known.image_row is not None:
        chain = images.chain(tx, [known.image_row])
        return known, images.json_of(tx, chain[0].id), sum(link.size for link in chain)
    seen = views.chain(tx, known.manifest_row or 0)
    return known, adopt.seen(tx, seen[0]), sum(link.size for link in seen)


def _json(registry: Registry, told: bytes | Seen) -> bytes:
    if isinstance(told, bytes):
        return told
    try:
        return adopt.json_of(registry, told)
    except errors.ImageUnknown:
        return b"{}"


def _with_faces(tx: Transaction, found: list[Tag]) -> list[Tag]:
    """A tag of a v2 push shows the v1 id of its manifest's face, if it has one."""
    faces = views.tops(tx, {known.manifest_row for known in found if known.manifest_row and not known.image_row})
    return [
        replace(known, image_id=faces.get(known.manifest_row or 0)) if known.image_row is None else known
        for known in found
    ]


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
