"""What the 2015 original got wrong, one test for each."""

from __future__ import annotations

import secrets
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import opened
from tests.registry.protocol.pushing import (
    AGENT,
    blob,
    digest,
    error,
    image,
    push,
    pushed,
    put_image,
    put_json,
    put_layer,
    put_tag,
)


def test_a_moved_tag_keeps_the_base_that_it_shares(admin: httpx.Client, name: str) -> None:
    """Data loss on re-tag: the old image was released before the new one was counted."""
    base = image()
    push(admin, name, "latest", base, image(base))
    for _ in range(3):
        new = image(base)
        put_image(admin, new)
        assert put_tag(admin, name, "latest", new.id).status_code == 200
        assert admin.get(f"/v1/images/{new.id}/ancestry").json() == [new.id, base.id]
        assert admin.get(f"/v1/images/{base.id}/layer").content == blob(base)


def test_counts_tags_and_files_never_drift(door: Running, admin: httpx.Client, name: str) -> None:
    """They changed in separate steps, and nothing recomputed them."""
    base = pushed(admin, name, "1")[0]
    for _ in range(4):
        top = image(base)
        put_image(admin, top)
        put_tag(admin, name, secrets.choice("123"), top.id)
        admin.delete(f"/v1/repositories/{name}/tags/{secrets.choice('23')}")
    found = door.pier("fsck", "--digests", "--output", "json", check=False)
    assert found.returncode == 0, found.stdout


def test_a_kill_in_the_middle_leaves_nothing_that_does_not_agree(tmp_path: Path) -> None:
    with opened(tmp_path, "direct") as running:
        client = running.client()
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(_push_until_it_dies, running, f"kill/{each}") for each in range(2)]
            pushed(client, "kill/own", "1")
            running.kill()
            for job in jobs:
                job.result(30)
        running.start()
        found = running.pier("fsck", "--digests", "--output", "json", check=False)
        assert found.returncode == 0, found.stdout


def _push_until_it_dies(running: Running, name: str) -> None:
    client = running.client()
    try:
        for _ in range(1000):
            pushed(client, name, "1", size=50_000)
    except (httpx.TransportError, AssertionError):
        return


def test_a_delete_beside_a_push_never_takes_a_layer_that_the_push_relies_on(
    admin: httpx.Client, door: Running, name: str
) -> None:
    """There was no lock between "the layer exists" and the tag."""
    pusher = door.client(headers={"User-Agent": AGENT + " pusher"})
    for _ in range(5):
        base = pushed(admin, name, "old")[0]
        top = image(base)
        announced = [{"id": base.id}, {"id": top.id, "Tag": "new"}]
        pusher.put(f"/v1/repositories/{name}/", json=announced)
        assert pusher.get(f"/v1/images/{base.id}/json").status_code == 200
        admin.delete(f"/v1/repositories/{name}/tags/old")
        push(pusher, name, "new", top)
        pusher.put(f"/v1/repositories/{name}/images", json=[])
        assert admin.get(f"/v1/images/{base.id}/layer").content == blob(base)
        admin.delete(f"/v1/repositories/{name}/tags/new")


def test_a_tag_whose_layer_file_is_gone_can_be_deleted(door: Running, admin: httpx.Client, name: str) -> None:
    """A missing row or file aborted half-way and made the tag undeletable."""
    top = pushed(admin, name, "1", depth=2)[-1]
    for file in (door.data / "layers").rglob(f"{digest(top).removeprefix('sha256:')}.*"):
        file.unlink()
    assert error(admin.get(f"/v1/images/{top.id}/layer")) == (404, "Image not found")
    assert admin.delete(f"/v1/repositories/{name}/tags/1").status_code == 200
    assert admin.get(f"/v1/images/{top.id}/json").status_code == 404


def test_pushes_that_never_end_leave_nothing_behind(tmp_path: Path) -> None:
    """Layers in progress, or uploaded and never tagged, were leaked for ever."""
    with opened(tmp_path, "direct", lease="1s", upload_timeout="2s") as running:
        client = running.client()
        waiting, untagged = image(), image()
        put_json(client, waiting)
        put_layer(client, waiting)
        put_image(client, untagged)
        client.put("/v1/repositories/never/tagged/", json=[{"id": untagged.id}])
        _await_nothing(client)
        assert [path for path in (running.data / "layers").rglob("*") if path.is_file()] == []
        assert len(list((running.data / "uploads").iterdir())) <= client.get("/api/usage").json()["pending_files"]


def _await_nothing(client: httpx.Client) -> None:
    for _ in range(200):
        told = client.get("/api/usage").json()
        if not any(told[each] for each in ("images", "layers", "leases", "uploads", "bytes")):
            return
        time.sleep(0.1)
    raise AssertionError(told)


def test_a_tag_is_described_by_its_own_image_not_by_its_base(admin: httpx.Client, name: str) -> None:
    """The last id of the loop was the base; `arch` looked for a key that docker does not write."""
    base = image(architecture="base", os="base", created="base")
    top = image(base, architecture="amd64", os="linux", created="now")
    push(admin, name, "1", base, top)
    line = admin.get("/v1/alltags", params={"q": name.partition("/")[0]}).json()["results"][0]
    assert (line["arch"], line["os"], line["created"]) == ("amd64", "linux", "now")
    assert line["Size"] == len(blob(base)) + len(blob(top))


@pytest.mark.parametrize("evil", ["x' OR '1'='1", "x%27%3B%20DROP%20TABLE%20tag%3B--", '"; --', "1/**/"])
def test_sql_in_names_is_a_bad_name(admin: httpx.Client, name: str, evil: str) -> None:
    """SQL was built from what clients sent."""
    pushed(admin, name, "1")
    before = admin.get("/api/usage").json()
    for path in (f"/v1/repositories/{evil}/tags", f"/v1/repositories/{name}/tags/{evil}", f"/v1/images/{evil}/json"):
        assert admin.get(path).status_code in {400, 404, 405}
    assert admin.get("/v1/alltags", params={"q": evil}).json()["num_results"] == 0
    assert admin.get("/api/usage").json() == before


def test_search_finds_names_and_not_only_namespaces(admin: httpx.Client, name: str) -> None:
    """`q=x` was made into `x/`, and echoed so."""
    pushed(admin, name, "1")
    found = admin.get("/v1/search", params={"q": name[:-1]}).json()
    assert found["query"] == name[:-1]
    assert name in [each["name"] for each in found["results"]]


def test_a_tag_of_128_letters_is_a_tag_of_its_own(admin: httpx.Client, name: str) -> None:
    """The column was 56 wide."""
    one, two = pushed(admin, name, "x" * 127 + "a")[0], pushed(admin, name, "x" * 127 + "b")[0]
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"x" * 127 + "a": one.id, "x" * 127 + "b": two.id}


def test_putting_a_tag_twice_leaves_one_row(admin: httpx.Client, name: str) -> None:
    """There was no unique key."""
    top = pushed(admin, name, "1")[0]
    before = admin.get("/api/usage").json()["tags"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: put_tag(admin, name, "1", top.id).status_code, range(8)))
    assert answers == [200] * 8
    assert admin.get("/api/usage").json()["tags"] == before
    assert admin.delete(f"/v1/repositories/{name}/tags/1").status_code == 200
    assert admin.delete(f"/v1/repositories/{name}/tags/1").status_code == 404


def test_pushing_a_lost_layer_again_repairs_it(door: Running, admin: httpx.Client, name: str) -> None:
    """Putting the same tag again never repaired a missing row."""
    top = pushed(admin, name, "1")[0]
    for file in (door.data / "layers").rglob(f"{digest(top).removeprefix('sha256:')}.*"):
        file.unlink()
    assert door.pier("fsck", "--repair", "--output", "json", check=False).returncode == 0
    push(admin, name, "1", top)
    assert admin.get(f"/v1/images/{top.id}/layer").content == blob(top)


def test_a_resumed_download_never_gets_bytes_of_another_range(admin: httpx.Client, name: str) -> None:
    """The proxy's cache ignored Range."""
    top = pushed(admin, name, "1", size=50_000)[0]
    path = f"/v1/images/{top.id}/layer"
    for asked, start, end in (("bytes=0-99", 0, 100), ("bytes=100-199", 100, 200), ("bytes=-10", -10, None)):
        answer = admin.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, blob(top)[start:end])
    assert admin.get(path).content == blob(top)


def test_a_deleted_layer_is_served_by_nobody(admin: httpx.Client, name: str) -> None:
    """The proxy's cache went on serving it for hours."""
    top = pushed(admin, name, "1")[0]
    assert admin.get(f"/v1/images/{top.id}/layer").status_code == 200
    admin.delete(f"/v1/repositories/{name}/tags/1")
    for part in ("json", "layer", "ancestry"):
        assert admin.get(f"/v1/images/{top.id}/{part}").status_code == 404


def test_an_answer_about_an_image_in_progress_is_not_remembered(admin: httpx.Client, name: str) -> None:
    """The proxy cached every error for a minute."""
    layer = image()
    put_json(admin, layer)
    assert admin.get(f"/v1/images/{layer.id}/json").status_code == 400
    push(admin, name, "1", layer)
    assert admin.get(f"/v1/images/{layer.id}/json").status_code == 200


def test_no_secret_of_the_original_is_shipped() -> None:
    """It committed passwords and a private key."""
    root = Path(__file__).parents[3]
    shipped = subprocess.run(
        ["git", "grep", "-lE", "BEGIN (RSA |EC )?PRIVATE KEY|jdpaas|larrycai", "--", "registry", "docs", "scripts"],
        cwd=root, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert shipped.returncode in {0, 1}, shipped.stderr
    assert shipped.stdout == ""
