"""Any two changes at once: either has done everything but its commit when the other begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from pier_registry import errors
from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from tests.parts.database import DatabaseServer
from tests.registry.counting import oci_truth, passing
from tests.registry.counting.oci_images import blob, image, index
from tests.registry.counting.oci_interleaving import Change, interleaved
from tests.registry.counting.oci_pushing import Client
from tests.registry.counting.oci_saved import saved

NAME: Final = "team/app"
BASE: Final = blob("base")
SUBJECT: Final = image("subject", BASE, blob("subject"))
TAGGED: Final = image("tagged referrer", blob("tagged"), subject=SUBJECT)
LOOSE: Final = image("loose referrer", blob("loose"), subject=SUBJECT)
LATE: Final = image("late referrer", blob("late"), subject=SUBJECT)
NEW: Final = image("new", BASE, blob("new"))
NEWER: Final = image("newer", blob("newer"))
CHILD: Final = image("child", BASE, blob("child"))
INDEX: Final = index("index", CHILD, image("other child", BASE, blob("other child")))
FORGOTTEN: Final = image("forgotten", BASE, blob("forgotten"))
PROMISED: Final = image("promised", BASE, blob("subject"), blob("new"))
WAITING: Final = image("waiting", BASE, blob("waiting"))
PROMISED_INDEX: Final = index("promised index", WAITING)


def _by(user: str, act: Callable[[Client], object]) -> Change:
    return lambda registry: act(Client(registry, user))


CHANGES: Final[dict[str, Change]] = {
    "a referrer comes": _by("pusher", lambda it: it.puts(NAME, LATE)),
    "the subject's tag moves": _by("mover", lambda it: it.puts(NAME, NEW, "subject")),
    "the referrer's tag moves": _by("other mover", lambda it: it.puts(NAME, NEWER, "referrer")),
    "the subject is deleted": _by("deleter", lambda it: it.deletes(NAME, SUBJECT)),
    "the referrer's tag is deleted": _by("deleter", lambda it: it.untags(NAME, "referrer")),
    "the loose referrer gets a tag": _by("tagger", lambda it: it.puts(NAME, LOOSE, "loose")),
    "a blob is asked for": _by("asker", lambda it: it.asks(NAME, blob("new"))),
    "a blob is sent again": _by("sender", lambda it: it.sends(NAME, blob("child"))),
    "a child is asked for": _by("asker", lambda it: it.asks_for(NAME, CHILD)),
    "an index comes": _by("pusher", lambda it: it.puts(NAME, index("second", CHILD))),
    "the index' tag moves": _by("mover", lambda it: it.puts(NAME, NEW, "index")),
    "the index' tag is deleted": _by("deleter", lambda it: it.untags(NAME, "index")),
    "promises end": reclaim.work_off,
    "what is forgotten is tagged": _by("tagger", lambda it: it.puts(NAME, FORGOTTEN, "forgotten")),
    "the repository is deleted": _by("deleter", lambda it: it.deletes_repository(NAME)),
}


def prepare(registry: Registry) -> None:
    Client(registry, "forgetful").pushes(NAME, FORGOTTEN)
    passing.leases(registry)
    bob = Client(registry, "bob")
    bob.pushes(NAME, SUBJECT, "subject")
    bob.pushes(NAME, TAGGED, "referrer")
    bob.pushes(NAME, LOOSE)
    bob.pushes(NAME, NEW, "new")
    bob.pushes(NAME, NEWER, "newer")
    bob.pushes(NAME, INDEX, "index")
    Client(registry, "alice").brings(NAME, PROMISED)
    Client(registry, "carol").pushes(NAME, WAITING)
    pusher = Client(registry, "pusher")
    pusher.brings(NAME, LATE)
    assert pusher.asks_for(NAME, CHILD)


@pytest.mark.parametrize("place", ["mariadb"], indirect=True)
def test_any_two_changes_at_once_leave_counts_right_and_promises_kept(
    registry: Registry, mariadb: DatabaseServer, tmp_path: Path
) -> None:
    prepare(registry)
    beginning = saved(registry, tmp_path / "saved")
    wrong: dict[tuple[str, str], list[str]] = {}
    for former, first in CHANGES.items():
        for latter, second in CHANGES.items():
            beginning.restore()
            told = interleaved(registry, mariadb, first, second)
            found = [repr(raised) for raised in (told.first, told.second) if not _is_a_refusal(raised)]
            found += oci_truth.problems(registry)
            found += _broken_promises(registry, {former, latter})
            if found:
                wrong[former, latter] = found
    assert wrong == {}


def _is_a_refusal(raised: Exception | None) -> bool:
    return raised is None or (isinstance(raised, errors.PierError) and raised.status < 500)


def _broken_promises(registry: Registry, changes: set[str]) -> list[str]:
    """Blobs are promised whatever happens; manifests as long as there is their repository."""
    owed = [("alice", PROMISED)]
    owed += [] if "the repository is deleted" in changes else [("carol", PROMISED_INDEX)]
    broken = []
    for user, document in owed:
        try:
            Client(registry, user).puts(NAME, document, user)
        except errors.PierError as refused:
            broken.append(f"{document}: {refused!r}")
    return broken
