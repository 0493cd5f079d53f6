"""Certificates over the years: made, renewed, rolled over, lost, and brought along."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pier_operator import x509
from pier_operator.api import Manifest
from pier_operator.plan.child import Plan
from tests.operator.planning import NOW, StillChance, manifests, named, planned, secret, settled, texts

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def _leaf(children: list[Manifest]) -> x509.Pair:
    held = texts(named(children, "Secret", "pier-tls"))
    found = x509.read(held["tls.crt"], held["tls.key"])
    assert found
    return found


def _bundle(children: list[Manifest]) -> list[str]:
    text = named(children, "ConfigMap", "pier-ca")["data"]["ca.crt"]
    return [x509.fingerprint(each) for each in x509.certificates(text)]


def _authority(children: list[Manifest]) -> str:
    return x509.fingerprint(x509.certificates(texts(named(children, "Secret", "pier-ca"))["ca.crt"])[0])


def test_the_certificate_is_for_every_name() -> None:
    spec = {"host": "registry.example.org", "extraHosts": ["192.0.2.7"]}
    names = x509.names_of(_leaf(settled(spec)).certificate)
    assert names == {
        "registry.example.org", "192.0.2.7",
        "pier", "pier.team", "pier.team.svc", "pier.team.svc.cluster.local",
    }  # fmt: skip


def test_a_new_name_means_a_new_certificate_from_the_same_ca() -> None:
    found = settled({})
    changed = manifests(planned({"host": "registry.example.org"}, children=found, seed=2))
    assert "registry.example.org" in x509.names_of(_leaf(changed).certificate)
    assert _authority(changed) == _authority(found)


@pytest.mark.parametrize(("age", "renewed"), [(59 * DAY, False), (60 * DAY, True), (400 * DAY, True)])
def test_a_certificate_is_renewed_at_two_thirds_of_its_life(age: timedelta, renewed: bool) -> None:
    found = settled({})
    later = manifests(planned({}, children=found, now=NOW + age, seed=2))
    assert (_leaf(later).text != _leaf(found).text) is renewed
    assert _authority(later) == _authority(found)
    assert _leaf(later).ends > NOW + age


def test_the_next_look_is_when_the_certificate_is_due() -> None:
    wait = planned({}, children=settled({})).requeue
    assert wait is not None
    assert 59 * DAY < wait < 60 * DAY


def test_a_ca_rolls_over_without_a_client_that_trusts_neither() -> None:
    spec = {"tls": {"caPropagation": "168h"}}
    found = settled(spec)
    old = _authority(found)
    publishing = manifests(planned(spec, children=found, rotate_ca="1", seed=2))
    assert _authority(publishing) == old
    assert _leaf(publishing).text == _leaf(found).text
    bundle = _bundle(publishing)
    assert len(bundle) == 2
    early = manifests(planned(spec, children=publishing, rotate_ca="1", now=NOW + 167 * HOUR, seed=3))
    assert _leaf(early).text == _leaf(found).text
    issued = manifests(planned(spec, children=early, rotate_ca="1", now=NOW + 169 * HOUR, seed=4))
    assert _authority(issued) != old
    assert _leaf(issued).text != _leaf(found).text
    assert set(_bundle(issued)) == set(bundle)
    rested = manifests(planned(spec, children=issued, rotate_ca="1", now=NOW + 170 * HOUR, seed=5))
    assert (_authority(rested), _leaf(rested).text) == (_authority(issued), _leaf(issued).text)


def test_a_ca_that_has_ended_leaves_the_bundle() -> None:
    spec = {"tls": {"caPropagation": "10s", "caLifetime": "240h", "leafLifetime": "24h"}}
    found = settled(spec)
    rolled = _after(spec, found, timedelta(minutes=1), rotate_ca="1")
    rolled = _after(spec, rolled, timedelta(minutes=2), rotate_ca="1")
    assert len(_bundle(rolled)) == 2
    assert len(_bundle(_after(spec, rolled, 241 * HOUR - timedelta(minutes=30), rotate_ca="1"))) >= 1
    assert _bundle(found)[0] not in _bundle(_after(spec, rolled, 241 * HOUR, rotate_ca="1"))


def _after(spec: Manifest, children: list[Manifest], age: timedelta, **more: str) -> list[Manifest]:
    return manifests(planned(spec, children=children, now=NOW + age, seed=int(age.total_seconds()), **more))


def test_a_certificate_never_outlives_its_ca() -> None:
    found = settled({"tls": {"caLifetime": "100h", "leafLifetime": "2160h"}})
    assert (
        _leaf(found).ends
        <= x509.certificates(texts(named(found, "Secret", "pier-ca"))["ca.crt"])[0].not_valid_after_utc
    )


def test_a_rotation_is_heeded_once() -> None:
    found = settled({})
    asked = manifests(planned({}, children=found, rotate_ca="1", seed=2))
    done = _after({}, asked, 8 * DAY, rotate_ca="1")
    again = _after({}, done, 9 * DAY, rotate_ca="1")
    assert "next.crt" not in texts(named(again, "Secret", "pier-ca"))
    taken_out = _after({}, done, 10 * DAY)
    assert "next.crt" not in texts(named(taken_out, "Secret", "pier-ca"))


def test_a_lost_ca_is_replaced_and_stays_trusted() -> None:
    found = settled({})
    less = [each for each in found if (each["kind"], each["metadata"]["name"]) != ("Secret", "pier-ca")]
    healed = planned({}, children=less, seed=2)
    told = healed.condition("CertificateReady")
    assert told
    assert told.reason == "CAReplaced"
    assert [reason for reason, _ in healed.notices] == ["CAReplaced"]
    assert _bundle(found)[0] in _bundle(manifests(healed))
    assert _authority(manifests(healed)) != _authority(found)


def _given(host: str = "registry.example.org", names: tuple[str, ...] = (), **change: str) -> Plan:
    chance = StillChance(7)
    ca = x509.authority("corporate", chance.key(), 1, NOW, 900 * DAY)
    leaf = x509.leaf(ca, chance.key(), 2, names or (host,), (NOW, NOW + 90 * DAY))
    held = {"tls__crt": leaf.text + ca.text, "tls__key": leaf.key, "ca__crt": ca.text} | change
    spec = {"host": host, "tls": {"source": "Secret", "secretName": "mine"}}
    return planned(spec, references=[secret("mine", **held)])


def test_a_certificate_of_the_users_own_is_used() -> None:
    found = _given()
    told = found.condition("CertificateReady")
    assert told
    assert told.holds
    pods = named(manifests(found), "StatefulSet", "pier-mysql")
    assert pods
    assert all(child.key != ("Secret", "pier-tls") for child in found.children)


@pytest.mark.parametrize(
    ("plan", "reason", "words"),
    [
        (_given(names=("other.example.org",)), "NameMissing", "not for registry.example.org"),
        (_given(names=("*.example.org",)), "Good", "is good"),
        (_given(tls__key="nothing"), "KeyMismatch", "Secret mine must hold a certificate as tls.crt"),
        (_given(host="192.0.2.1", names=("192.0.2.1",)), "Good", "is good"),
    ],
    ids=["name", "wildcard", "key", "address"],
)
def test_a_certificate_of_the_users_own_is_judged(plan: Plan, reason: str, words: str) -> None:
    told = plan.condition("CertificateReady")
    assert told
    assert told.reason == reason
    assert words in told.message


def test_a_broken_chain_is_told() -> None:
    chance = StillChance(9)
    other = x509.authority("other", chance.key(), 1, NOW, 900 * DAY)
    ca = x509.authority("corporate", chance.key(), 2, NOW, 900 * DAY)
    leaf = x509.leaf(ca, chance.key(), 3, ("registry.example.org",), (NOW, NOW + 90 * DAY))
    told = _given(tls__crt=leaf.text + other.text, tls__key=leaf.key).condition("CertificateReady")
    assert told
    assert told.reason == "ChainBroken"


def test_an_ended_certificate_is_told() -> None:
    chance = StillChance(9)
    ca = x509.authority("corporate", chance.key(), 2, NOW - 90 * DAY, 900 * DAY)
    leaf = x509.leaf(ca, chance.key(), 3, ("registry.example.org",), (NOW - 60 * DAY, NOW - DAY))
    told = _given(tls__crt=leaf.text, tls__key=leaf.key).condition("CertificateReady")
    assert told
    assert told.reason == "Expired"


def test_without_its_secret_nothing_is_made_of_it() -> None:
    spec = {"tls": {"source": "Secret", "secretName": "mine"}}
    told = planned(spec).condition("CertificateReady")
    assert told
    assert told.reason == "SecretMissing"
    assert ("Deployment", "pier") not in {child.key for child in planned(spec).children if child.gate}


def test_without_cert_manager_that_is_told() -> None:
    spec = {"tls": {"source": "CertManager", "issuerRef": {"name": "a"}}}
    told = planned(spec, apis=()).condition("CertificateReady")
    assert told
    assert told.reason == "CertManagerMissing"


def test_the_database_has_a_certificate_of_its_own_that_stays() -> None:
    found = settled({})
    before = texts(named(found, "Secret", "pier-db-tls"))
    later = manifests(planned({}, children=found, now=NOW + 700 * DAY, seed=2))
    assert texts(named(later, "Secret", "pier-db-tls")) == before
    names = x509.names_of(x509.certificates(before["tls.crt"])[0])
    assert names == {"pier-mysql", "pier-mysql.team.svc"}
