"""Each verb of `pier`, as a table for people and as JSON for scripts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from pier_registry.cli import pier
from tests.parts.registry import Running
from tests.registry.protocol.pushing import (
    blob,
    config,
    digest,
    image,
    manifest_digest,
    push,
    pushed,
    put_image,
    put_tag,
)


def told(served: Running, *words: str) -> Any:
    done = served.pier(*words, "--output", "json")
    assert done.stderr == ""
    return json.loads(done.stdout)


def shown(served: Running, *words: str) -> str:
    done = served.pier(*words)
    assert done.stderr == ""
    return done.stdout


def test_help_names_every_verb(served: Running) -> None:
    text = shown(served, "--help")
    for verb in ("serve", "proxy", "users", "tags", "usage", "delete", "fsck", "migrate"):
        assert f"\n  {verb} " in text


@pytest.mark.parametrize("verb", ["tags", "usage", "delete", "fsck", "migrate"])
def test_every_verb_explains_itself_and_takes_a_form(verb: str) -> None:
    assert "--output [table|json]" in CliRunner().invoke(pier, [verb, "-h"]).stdout


def test_the_version_is_told(served: Running) -> None:
    assert shown(served, "--version").startswith("pier, version ")


def test_tags_of_one_repository(served: Running, admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1.0")[0]
    made = manifest_digest(admin, name, "1.0")
    (row,) = told(served, "tags", name)
    updated = row.pop("updated")
    assert updated.endswith("+00:00")
    assert row == {"repository": name, "tag": "1.0", "image": top.id, "digest": made}
    table = shown(served, "tags", name)
    assert f"{name}:1.0" in table
    assert made[:19] in table


def test_tags_of_all_repositories(served: Running, admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "a")
    pushed(admin, "single", "b")
    rows = {(row["repository"], row["tag"]) for row in told(served, "tags")}
    assert {(name, "a"), ("single", "b")} <= rows
    assert "single:b" in shown(served, "tags")


def test_both_spellings_of_a_single_name_are_the_same(served: Running, admin: httpx.Client) -> None:
    pushed(admin, "spelt", "1")
    assert told(served, "tags", "spelt") == told(served, "tags", "library/spelt")


def test_usage_is_that_of_the_api_and_the_free_space(served: Running, admin: httpx.Client) -> None:
    sums = told(served, "usage")
    assert sums.pop("free_bytes") > 0
    assert sums == admin.get("/api/usage").json()
    table = shown(served, "usage")
    for word in sums:
        assert word.replace("_", " ") in table


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_preview_and_the_delete_agree_byte_for_byte(served: Running, admin: httpx.Client, form: str) -> None:
    base = image()
    for tag in ("1", "2"):
        top = image(base)
        if tag == "1":
            put_image(admin, base)
        push(admin, f"agree-{form}", tag, top)
    for what in (f"library/agree-{form}:1", f"agree-{form}:2"):
        foreseen = served.pier("delete", what, "--preview", "--output", form).stdout
        assert served.pier("delete", what, "--output", form).stdout == foreseen
        assert foreseen


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_preview_of_a_repository_and_its_delete_agree_byte_for_byte(
    served: Running, admin: httpx.Client, name: str, form: str
) -> None:
    pushed(admin, name, "1", depth=2)
    pushed(admin, name, "2")
    foreseen = served.pier("delete", name, "--preview", "--output", form).stdout
    assert served.pier("delete", name, "--output", form).stdout == foreseen
    assert admin.get(f"/v1/repositories/{name}/tags").status_code == 404


def test_a_preview_deletes_nothing(served: Running, admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    served.pier("delete", f"{name}:1", "--preview")
    served.pier("delete", name, "--preview")
    assert admin.get(f"/v1/images/{top.id}/layer").content == blob(top)


def test_a_delete_tells_what_it_freed_and_what_it_kept(served: Running, admin: httpx.Client, name: str) -> None:
    base, one = (layer := image()), image(layer)
    push(admin, name, "1", base, one)
    put_tag(admin, name, "base", base.id)
    receipt = told(served, "delete", f"{name}:1", "--preview")
    stored = [{"digest": digest(one), "size": len(blob(one))}, config(admin, name, "1")]
    assert receipt["layers"] == stored
    assert receipt["kept"][0]["held_by"] == [f"{name}:base"]
    table = shown(served, "delete", f"{name}:1")
    assert "freed" in table
    assert f"kept by {name}:base" in table.replace("\n", " ") or "kept by" in table
    assert table.rstrip().endswith("pending 0 B")


def test_a_delete_frees_the_disk_before_it_returns(served: Running, admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1", size=100_000)[0]
    served.pier("delete", f"{name}:1")
    assert not list((served.data / "layers").rglob(f"{digest(top).removeprefix('sha256:')}.*"))
    assert admin.get(f"/v1/images/{top.id}/json").status_code == 404


def test_migrating_twice_is_harmless(served: Running) -> None:
    assert told(served, "migrate") == {"migrated": False}
    assert shown(served, "migrate") == "the database was up to date\n"


def test_migrating_makes_a_new_database(served: Running, tmp_path: Any) -> None:
    other = served.environment | {"PIER_DATABASE_URL": f"sqlite:///{tmp_path}/new.sqlite3"}
    fresh = Running(served.data, 0, 0, "", other)
    assert told(fresh, "migrate") == {"migrated": True}
    assert told(fresh, "usage")["tags"] == 0
