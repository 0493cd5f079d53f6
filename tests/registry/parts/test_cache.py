"""What takes long to make is made once, whole or not at all."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.parts import cache, mysql, roots


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIER_CACHE", str(tmp_path))
    return tmp_path


def test_builders_of_one_entry_wait_in_line_and_only_the_first_makes_it() -> None:
    makers: list[str] = []

    def make(draft: Path) -> None:
        makers.append(threading.current_thread().name)
        time.sleep(0.1)
        (draft / "file").touch()

    threads = [threading.Thread(target=cache.made, args=("entry", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(makers) == 1
    assert (cache.entry("entry") / "file").exists()


def test_a_builder_that_fails_leaves_no_entry_and_the_next_one_starts_afresh() -> None:
    def fail(draft: Path) -> None:
        (draft / "half").touch()
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.made("entry", fail)
    assert not cache.entry("entry").exists()
    whole = cache.made("entry", lambda draft: (draft / "whole").touch())
    assert [place.name for place in whole.iterdir()] == ["whole"]


def test_a_missing_part_says_how_to_get_it() -> None:
    with pytest.raises(cache.PartMissing, match="run scripts/test-parts"), mysql.running():
        pass
    with pytest.raises(cache.PartMissing, match="run scripts/test-parts"):
        roots.debian()
    with pytest.raises(cache.PartMissing, match="no-such-program is not installed: run scripts/test-parts"):
        cache.program("no-such-program")


def test_the_cache_is_below_the_users_own_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache.entry("thing") == tmp_path / "caches" / "pier" / "thing"
