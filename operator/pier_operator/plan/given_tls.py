"""Certificates that come from elsewhere: a Secret of the user, or cert-manager."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from cryptography import x509 as certificates

from pier_operator import api, x509
from pier_operator.plan.child import Child, Condition, Plan, Situation, manifest
from pier_operator.plan.pki import CERTIFICATE, facts
from pier_operator.x509 import Pair

_SOON: Final = timedelta(days=14)


def from_secret(situation: Situation, names: Sequence[str]) -> Plan:
    """A Secret of the user, judged as a client would."""
    tls = situation.registry.tls
    if tls.secret not in situation.observed.references:
        text = f"Secret {tls.secret} is not there: make it with tls.crt and tls.key"
        return Plan(conditions=(Condition(CERTIFICATE, False, "SecretMissing", text),))
    return _judged(situation, situation.observed.reference(tls.secret), tls.secret, names)


def from_cert_manager(situation: Situation, names: Sequence[str]) -> Plan:
    """A Certificate, and what cert-manager has made of it. Raises nothing where cert-manager is not installed."""
    if "Certificate" not in situation.observed.apis:
        text = "cert-manager is not installed in this cluster: install it, or set tls.source to SelfSigned"
        return Plan(conditions=(Condition(CERTIFICATE, False, "CertManagerMissing", text),))
    wanted = Plan((Child(_certificate(situation, names)),))
    texts = situation.observed.secret(situation.named("tls"))
    if "tls.crt" not in texts:
        text = f"cert-manager has made no certificate yet: see Certificate {situation.named('tls')}"
        return Plan(wanted.children, (Condition(CERTIFICATE, False, "Waiting", text),))
    judged = _judged(situation, texts, situation.named("tls"), names)
    return Plan(wanted.children, judged.conditions, judged.requeue, judged.facts)


def _certificate(situation: Situation, names: Sequence[str]) -> api.Manifest:
    tls = situation.registry.tls
    spec = {
        "secretName": situation.named("tls"),
        "secretTemplate": {"labels": {api.REGISTRY: situation.registry.name}},
        "issuerRef": tls.issuer,
        "dnsNames": [name for name in names if not x509.is_address(name)],
        "ipAddresses": [name for name in names if x509.is_address(name)],
        "duration": f"{int(tls.leaf_life.total_seconds())}s",
        "renewBefore": f"{int(tls.leaf_life.total_seconds() * (1 - tls.renew_at))}s",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["digital signature", "server auth"],
    }
    return manifest("Certificate", situation.named("tls"), spec={key: value for key, value in spec.items() if value})


def _judged(situation: Situation, texts: dict[str, str], name: str, names: Sequence[str]) -> Plan:
    pair = x509.read(texts.get("tls.crt", ""), texts.get("tls.key", ""))
    if pair is None:
        text = f"Secret {name} must hold a certificate as tls.crt and the key that belongs to it as tls.key"
        return Plan(conditions=(Condition(CERTIFICATE, False, "KeyMismatch", text),))
    reason, text = _fault(situation, pair, name, names)
    told = {"tls": facts(pair, pair.ends - _SOON), "bundle": texts.get("ca.crt", "")}
    wait = max(min(pair.ends - situation.now, timedelta(hours=1)), timedelta(seconds=1))
    return Plan(conditions=(Condition(CERTIFICATE, not reason, reason or "Good", text),), requeue=wait, facts=told)


def _fault(situation: Situation, pair: Pair, name: str, names: Sequence[str]) -> tuple[str, str]:
    """Reason and sentence; no reason when clients will like it."""
    held = x509.names_of(pair.certificate)
    if pair.ends <= situation.now:
        return "Expired", f"the certificate in Secret {name} ended at {pair.ends:%Y-%m-%d %H:%M} UTC: renew it"
    if not _chained(x509.certificates(pair.text)):
        return "ChainBroken", f"tls.crt of Secret {name} must begin with the certificate, each followed by its issuer"
    wanted = [host for host in (situation.registry.host, *situation.registry.extra_hosts) if host] or names[:1]
    missing = [host for host in wanted if not x509.covers(held, host)]
    if missing:
        told = ", ".join(missing)
        return (
            "NameMissing",
            f"the certificate in Secret {name} is not for {told}: add it as a subject alternative name",
        )
    return "", f"the certificate in Secret {name} is good"


def _chained(chain: list[certificates.Certificate]) -> bool:
    return all(x509.is_signed_by(each, issuer) for each, issuer in pairwise(chain))
