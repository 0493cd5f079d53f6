"""The managed database: a real MySQL that starts as its manifest says; its password; and databases of the user."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from pier_operator.api import Manifest, name_of
from pier_operator.plan import plan
from pier_operator.plan.database import Login, init_file
from pier_operator.settings import Settings
from tests.operator.mysql_pod import MysqlPod
from tests.operator.planning import NOW, living, manifests, named, planned, secret, settled, situation, texts

_EXTERNAL = {"host": "db.example.org", "credentialsSecretName": "login"}


def _secrets(children: list[Manifest]) -> dict[str, dict[str, str]]:
    return {name_of(each): texts(each) for each in children if each["kind"] == "Secret"}


def _with_password(children: list[Manifest], password: str) -> list[Manifest]:
    """Somebody has edited Secret pier-db."""
    held = named(children, "Secret", "pier-db")
    edited = {**held, "data": {**held["data"], "password": base64.b64encode(password.encode()).decode()}}
    return [edited if each is held else each for each in children]


def _rolled(children: list[Manifest]) -> list[Manifest]:
    """Later, when every pod runs with what is written down."""
    found = [living(each) for each in children]
    for _ in range(3):
        found = [living(each) for each in manifests(planned({}, children=found))]
    return found


@pytest.fixture
def pod() -> Iterator[MysqlPod]:
    children = settled({})
    made = MysqlPod(named(children, "StatefulSet", "pier-mysql"), _secrets(children))
    yield made
    made.remove()


def test_mysql_starts_takes_a_new_password_and_heals(pod: MysqlPod) -> None:
    children = settled({})
    pod.start()
    first = _secrets(children)["pier-db-url"]["url"]
    assert "the database is now up to date" in pod.pier("migrate", url=first)
    pod.stop()

    edited = manifests(planned({}, children=_with_password(children, "another-password-of-mine")))
    pod.manifest, pod.secrets = named(edited, "StatefulSet", "pier-mysql"), _secrets(edited)
    second = pod.secrets["pier-db-url"]["url"]
    assert "another-password-of-mine" in second
    pod.start()
    assert "up to date" in pod.pier("migrate", url=second)
    assert "up to date" in pod.pier("migrate", url=first)
    pod.kill()

    pod.start()
    assert "up to date" in pod.pier("migrate", url=second)
    pod.stop()

    forgotten = {**_secrets(edited), "pier-db-init": {"init.sql": init_file(Login("a" * 20)), "password": "a" * 20}}
    pod.secrets = forgotten
    pod.start()
    assert "exit 1" in pod.pier("migrate", url=first)
    assert "up to date" in pod.pier("migrate", url=second.replace("another-password-of-mine", "a" * 20))


def test_a_start_that_dies_while_it_makes_the_database_is_made_again(pod: MysqlPod) -> None:
    pod.start(wait=False)
    deadline = time.monotonic() + 20
    while not (pod.data / "new.tmp" / "ibdata1").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    pod.kill()
    assert not (pod.data / "db").exists()
    pod.start()
    assert sorted(path.name for path in pod.data.iterdir()) == ["db"]


def test_a_new_password_restarts_mysql_first_and_the_registry_after_it() -> None:
    found = settled({})
    edited = planned({}, children=_with_password(found, "another-password-of-mine"))
    before, after = (
        named(each, "StatefulSet", "pier-mysql")["spec"]["template"] for each in (found, manifests(edited))
    )
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]
    held = _secrets(manifests(edited))
    assert held["pier-db"]["previous-password"] == _secrets(found)["pier-db"]["password"]


def test_the_password_of_before_goes_when_all_pods_have_the_new_one() -> None:
    rotating = manifests(planned({}, children=_with_password(settled({}), "another-password-of-mine")))
    assert "previous-password" in _secrets(rotating)["pier-db"]
    rested = _secrets(_rolled(rotating))
    assert rested["pier-db"] == {
        "database": "pier",
        "username": "pier",
        "password": "another-password-of-mine",
    }
    assert "RETAIN" not in rested["pier-db-init"]["init.sql"]


@pytest.mark.parametrize("password", ["short", "x" * 129, "with a space in the middle", "it's-a-quote-in-the-middle"])
def test_a_password_that_sql_could_not_take_is_refused(password: str) -> None:
    found = settled({})
    made = planned({}, children=_with_password(found, password))
    told = made.condition("DatabaseReady")
    assert told
    assert told.reason == "PasswordInvalid"
    held = _secrets(manifests(made))
    assert held["pier-db"]["password"] == password
    assert held["pier-db-init"] == _secrets(found)["pier-db-init"]


def test_a_lost_secret_is_written_again_as_it_was() -> None:
    found = settled({})
    less = [each for each in found if name_of(each) != "pier-db"]
    assert _secrets(manifests(planned({}, children=less, seed=5)))["pier-db"] == _secrets(found)["pier-db"]


def test_a_volume_grows_and_never_shrinks() -> None:
    found = settled({"database": {"managed": {"storage": {"size": "10Gi"}}}})
    grown = manifests(planned({"database": {"managed": {"storage": {"size": "12Gi"}}}}, children=found))
    assert _size(grown) == "12Gi"
    less = planned({"database": {"managed": {"storage": {"size": "5Gi"}}}}, children=found)
    assert _size(manifests(less)) == "10Gi"
    told = [each.message for each in less.conditions if each.reason == "ShrinkRefused"]
    assert told == ["size may not shrink: claim pier-mysql has 10Gi and 5Gi was asked for"]


def _size(children: list[Manifest]) -> str:
    return str(named(children, "PersistentVolumeClaim", "pier-mysql")["spec"]["resources"]["requests"]["storage"])


@pytest.mark.parametrize(
    ("mode", "query"),
    [
        ("Disabled", "?ssl_disabled=true"),
        ("Required", "?ssl_check_hostname=false"),
        ("VerifyCA", "?ssl_ca=/etc/pier/database/ca.crt&ssl_check_hostname=false"),
        ("VerifyIdentity", "?ssl_ca=/etc/pier/database/ca.crt"),
    ],
)
def test_the_url_of_an_external_database_is_as_strict_as_asked_for(mode: str, query: str) -> None:
    external = {**_EXTERNAL, "tlsMode": mode, "caSecretName": "ca"}
    references = [secret("login", username="us/er", password="p@ss:word/"), secret("ca", ca__crt="PEM")]
    made = planned({"database": {"type": "External", "external": external}}, references=references)
    held = _secrets(manifests(made))["pier-db-url"]
    assert held["url"] == f"mysql+pymysql://us%2Fer:p%40ss%3Aword%2F@db.example.org:3306/pier{query}"
    assert not any(each["kind"] == "StatefulSet" for each in manifests(made))


def test_a_login_that_is_gone_changes_nothing() -> None:
    spec = {"database": {"type": "External", "external": {**_EXTERNAL, "tlsMode": "Disabled"}}}
    found = settled(spec, references=[secret("login", username="a", password="b")])
    made = planned(spec, children=found)
    told = made.condition("DatabaseReady")
    assert told
    assert told.message == "Secret login must hold username and password: add what is missing"
    assert _secrets(manifests(made))["pier-db-url"] == _secrets(found)["pier-db-url"]
    assert not next(child for child in made.children if child.key == ("Deployment", "pier")).gate


def test_pods_of_a_new_version_wait_for_its_migration() -> None:
    found = settled({})
    before = situation({}, children=found)
    upgraded = plan(replace(before, settings=Settings(registry_image="pier-registry:0.2.0")))
    told = upgraded.condition("SchemaMigrated")
    assert told
    assert told.reason == "Migrating"
    assert not next(child for child in upgraded.children if child.key == ("Deployment", "pier")).gate
    assert next(child for child in upgraded.children if child.kind == "Job").gate


def test_a_failed_migration_is_tried_again_after_a_minute() -> None:
    found = settled({})
    job = next(each for each in found if each["kind"] == "Job")
    job["status"] = {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": "2026-11-25T12:00:00Z"}]}
    early = planned({}, children=found, now=NOW + timedelta(seconds=20))
    told = early.condition("SchemaMigrated")
    assert told
    assert (told.reason, early.requeue) == ("MigrationFailed", timedelta(seconds=40))
    assert any(child.kind == "Job" for child in early.children)
    late = planned({}, children=found, now=NOW + timedelta(seconds=61))
    assert not any(child.kind == "Job" for child in late.children)
