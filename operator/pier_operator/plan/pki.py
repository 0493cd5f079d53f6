"""The registry's CA and its certificate: made, renewed, and the CA rolled over without a client noticing.

Secret NAME-ca holds the CA in force (`ca.crt`, `ca.key`), during a rollover the one that comes (`next.crt`,
`next.key`), and those that have been (`previous.crt`) until they end. A rollover publishes the next CA first, and
makes certificates from it only when the time of `tls.caPropagation` has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pier_operator import api, x509
from pier_operator.observed import Observed
from pier_operator.plan.child import Child, Condition, Plan, Situation, manifest, secret
from pier_operator.x509 import Pair

CERTIFICATE: Final = "CertificateReady"
_LOST: Final = "the CA was lost, so a new one is in force: let clients trust it, too"


@dataclass(frozen=True, slots=True)
class Authorities:
    """`rotation` is the last request for a rollover that was heeded. `replaced`: the CA of before was just lost."""

    current: Pair
    next: Pair | None
    previous: str
    rotation: str
    replaced: bool = False

    @property
    def phase(self) -> str:
        return "Publishing" if self.next else "Stable"

    def texts(self) -> dict[str, str]:
        texts = {"ca.crt": self.current.text, "ca.key": self.current.key, "rotation": self.rotation}
        if self.previous:
            texts["previous.crt"] = self.previous
        if self.next:
            texts |= {"next.crt": self.next.text, "next.key": self.next.key}
        return texts

    def bundle(self, now: datetime) -> str:
        parts = [self.current.certificate, *x509.certificates(self.previous)]
        if self.next:
            parts.insert(1, self.next.certificate)
        return x509.bundle(parts, now)


def self_signed(situation: Situation, names: Sequence[str]) -> Plan:
    """Own CA and a leaf for every name that the registry answers to."""
    found = authorities(situation)
    leaf = certificate(situation, found, names)
    bundle = found.bundle(situation.now)
    share = situation.registry.tls.renew_at
    tls = secret(
        situation.named("tls"), {"tls.crt": leaf.text, "tls.key": leaf.key, "ca.crt": bundle}, "kubernetes.io/tls"
    )
    renewals = [leaf.renew_at(share), found.current.renew_at(share)]
    if found.next:
        renewals.append(found.next.born + situation.registry.tls.propagation)
    ca = Child(secret(situation.named("ca"), found.texts()), kept=True, retained=True)
    return Plan(
        children=(ca, Child(tls, kept=True)),
        conditions=(_condition(found),),
        notices=(("CAReplaced", _LOST),) if found.replaced else (),
        requeue=max(min(renewals) - situation.now, timedelta(seconds=1)),
        facts={"tls": facts(leaf, leaf.renew_at(share)) | _authority_facts(found), "bundle": bundle},
    )


def authorities(situation: Situation) -> Authorities:
    """The CAs as they shall be now: read, made, or taken a step further in their rollover."""
    held = _held(situation)
    if held is None:
        return _replacement(situation)
    tls, now = situation.registry.tls, situation.now
    if held.next and now >= held.next.born + tls.propagation:
        old = held.previous + held.current.text
        return Authorities(held.next, None, x509.bundle(x509.certificates(old), now), held.rotation)
    asked = situation.registry.annotations.get(api.ROTATE_CA, "")
    asked_anew = bool(asked) and asked != held.rotation
    if held.next is None and (asked_anew or now >= held.current.renew_at(tls.renew_at)):
        return Authorities(held.current, _new(situation), held.previous, asked or held.rotation)
    return Authorities(held.current, held.next, x509.bundle(x509.certificates(held.previous), now), held.rotation)


def certificate(situation: Situation, found: Authorities, names: Sequence[str]) -> Pair:
    """The certificate in use while it is good, else a new one."""
    texts = situation.observed.secret(situation.named("tls"))
    used = x509.read(texts.get("tls.crt", ""), texts.get("tls.key", ""))
    tls, now = situation.registry.tls, situation.now
    good = (
        used is not None
        and x509.is_signed_by(used.certificate, found.current.certificate)
        and x509.names_of(used.certificate) == set(names)
        and now < used.renew_at(tls.renew_at)
        and used.ends <= found.current.ends
    )
    if used is not None and good:
        return used
    chance = situation.chance
    return x509.leaf(found.current, chance.key(), chance.serial(), names, (now, now + tls.leaf_life))


def published(situation: Situation, bundle: str) -> Plan:
    """ConfigMap NAME-ca, for clients and nodes."""
    if not (bundle and situation.registry.tls.publish):
        return Plan()
    name = situation.named("ca")
    return Plan((Child(manifest("ConfigMap", name, data={"ca.crt": bundle})),), facts={"ca-config-map": name})


def _held(situation: Situation) -> Authorities | None:
    texts = situation.observed.secret(situation.named("ca"))
    current = x509.read(texts.get("ca.crt", ""), texts.get("ca.key", ""))
    if current is None or current.ends <= situation.now:
        return None
    following = x509.read(texts.get("next.crt", ""), texts.get("next.key", ""))
    return Authorities(current, following, texts.get("previous.crt", ""), texts.get("rotation", ""))


def _replacement(situation: Situation) -> Authorities:
    """The first CA, or a new one for a lost one, whose certificate stays in the bundle as long as it lasts."""
    old = x509.bundle(x509.certificates(_published_before(situation.observed, situation.named("ca"))), situation.now)
    asked = situation.registry.annotations.get(api.ROTATE_CA, "")
    return Authorities(_new(situation), None, old, asked, replaced=bool(old))


def _published_before(observed: Observed, name: str) -> str:
    held = observed.child("ConfigMap", name) or {}
    return str((held.get("data") or {}).get("ca.crt", ""))


def _new(situation: Situation) -> Pair:
    registry, chance = situation.registry, situation.chance
    name = f"Pier CA of {registry.namespace}/{registry.name}"
    return x509.authority(name, chance.key(), chance.serial(), situation.now, registry.tls.authority_life)


def _condition(found: Authorities) -> Condition:
    if found.replaced:
        return Condition(CERTIFICATE, True, "CAReplaced", _LOST)
    if found.next:
        text = "the next CA is published, and certificates follow when it has reached the clients"
        return Condition(CERTIFICATE, True, "CAPublishing", text)
    return Condition(CERTIFICATE, True, "Issued", "the certificate is good")


def facts(leaf: Pair, renew_at: datetime) -> dict[str, str]:
    """What the status tells of a certificate."""
    return {
        "notAfter": moment(leaf.ends),
        "renewAfter": moment(renew_at),
        "fingerprintSHA256": x509.fingerprint(leaf.certificate),
    }


def _authority_facts(found: Authorities) -> dict[str, str]:
    return {"caPhase": found.phase, "caNotAfter": moment(found.current.ends)}


def moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
