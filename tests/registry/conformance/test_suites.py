"""OCI's own suites, of release 1.1 and of the coming version, find nothing wrong and nothing missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.registry.conformance import suites
from tests.registry.conformance.suites import Target


def test_the_suite_of_release_1_1_finds_only_what_the_release_allows(
    target: Target, reports: Callable[[str], Path]
) -> None:
    outcome = suites.run_release(target, reports("1.1"))
    assert outcome.statuses_refused() == suites.ALLOWED_SINCE, outcome.complaints
    assert outcome.skipped == suites.CHOSEN_OTHERWISE
    assert "WARNING" not in outcome.printed
    assert len(outcome.passed) == 73


def test_the_suite_of_the_coming_version_passes_whole(target: Target, reports: Callable[[str], Path]) -> None:
    folder = reports("head")
    outcome = suites.run_head(target, folder)
    assert not outcome.failed, outcome.complaints
    assert outcome.skipped == frozenset()
    assert _short_of_passing(folder) == {"Sparse Manifests": "Disabled"}
    assert (outcome.exit_code, len(outcome.passed)) == (0, 793)


def _short_of_passing(folder: Path) -> dict[str, str]:
    """Sparse manifests, whose parts were never pushed, are not asked for: a registry may refuse them."""
    return {name: status for name, status in suites.statuses(folder).items() if status != "Pass"}
