"""What a registry shall consist of: a pure function of what is known. No client, no clock, no randomness of its own."""

from __future__ import annotations

from dataclasses import replace

from pier_operator.plan import (
    credentials,
    database,
    exposure,
    external,
    given_tls,
    htpasswd,
    labels,
    monitoring,
    network,
    nodes,
    pki,
    server,
    volume,
)
from pier_operator.plan.child import Plan, Situation, together

__all__ = ["plan"]


def plan(situation: Situation) -> Plan:
    """Every child in the order in which it is made; a gate holds back only what needs what is not ready."""
    names = exposure.names(situation)
    people = credentials.credentials(situation)
    certificate = _certificate(situation, names)
    parts = [
        people.plan,
        certificate,
        pki.published(situation, str(certificate.facts.get("bundle", ""))),
        htpasswd.users_file(situation, people.passwords),
        htpasswd.pull_secret(situation, names.outside, people.passwords),
        exposure.exposure(situation),
        server.account(situation),
        network.network(situation),
        network.disruption(situation),
        volume.storage(situation),
        _database(situation),
        nodes.nodes(situation, names, certificate.facts, people.passwords),
    ]
    facts = {**together(parts).facts, "tls-ready": "tls" in certificate.facts, "names": names}
    migration = server.migration(situation, facts)
    pods = server.server(situation, {**facts, **migration.facts})
    whole = together([*parts, migration, pods, monitoring.monitoring(situation), Plan(facts=facts)])
    return replace(whole, children=tuple(labels.stamped(situation.registry, child) for child in whole.children))


def _certificate(situation: Situation, names: exposure.Names) -> Plan:
    source = situation.registry.tls.source
    if source == "Secret":
        return given_tls.from_secret(situation, names.all)
    if source == "CertManager":
        return given_tls.from_cert_manager(situation, names.all)
    return pki.self_signed(situation, names.all)


def _database(situation: Situation) -> Plan:
    registry = situation.registry
    if registry.external:
        return external.external(situation, registry.external)
    assert registry.managed is not None  # noqa: S101  one of the two
    return database.managed(situation, registry.managed)
