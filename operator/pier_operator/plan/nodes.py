"""What nodes shall trust, and whether they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.claim import TRUSTED, Claim, Verdict, is_allowed
from pier_operator.plan.child import Condition, Plan, Situation
from pier_operator.plan.credentials import NODES
from pier_operator.plan.exposure import Names

CONDITION: Final = "NodesTrust"
_NAMED: Final = 3  # nodes that a message names


def nodes(situation: Situation, names: Names, facts: Mapping[str, Any], passwords: Mapping[str, str]) -> Plan:
    """Fact `node-trust`, a Claim, or why there is none. `facts` are the certificate's."""
    host, bundle = names.outside, str(facts.get("bundle", ""))
    hindrance = _needless(situation, host, facts) or _unwanted(situation, host)
    if hindrance is None and not bundle:
        hindrance = Condition(CONDITION, None, "Waiting", "there is no certificate yet")
    if hindrance:
        return Plan(conditions=(hindrance,))
    return Plan(facts={"node-trust": Claim(host, bundle, NODES, passwords[NODES])})


def _needless(situation: Situation, host: str, facts: Mapping[str, Any]) -> Condition | None:
    """Why there is nothing that a node could be given."""
    if situation.registry.expose.type == "Gateway":
        text = "the Gateway shows a certificate of its own, so nodes need no CA of Pier's"
        return Condition(CONDITION, True, "NotNeeded", text)
    if not host:
        text = "nodes do not know the Service's name: set host to a name that they know"
        return Condition(CONDITION, None, "NoHost", text)
    if "tls" in facts and not facts.get("bundle"):
        text = "the certificate came without a CA, so nodes trust it as they trust public ones"
        return Condition(CONDITION, True, "NotNeeded", text)
    return None


def _unwanted(situation: Situation, host: str) -> Condition | None:
    """Who has not asked, or may not."""
    if not situation.registry.node_trust:
        return Condition(CONDITION, None, "NotRequested", _by_hand(situation, host))
    if not is_allowed(situation.settings.node_trust_hosts, host):
        name = host.partition(":")[0]
        text = f"who runs the cluster does not allow it: put {name} into nodeTrust.allowedHosts of the operator's chart"
        return Condition(CONDITION, False, "NotAllowed", text)
    return None


def _by_hand(situation: Situation, host: str) -> str:
    """Lines that do it on one node."""
    registry = situation.registry
    kind, name, rest = "configmap", situation.named("ca"), ""
    if not registry.tls.publish:
        kind, name, rest = "secret", registry.tls.secret or situation.named("tls"), " | base64 --decode"
    asked = f"kubectl get {kind} {name} --namespace {registry.namespace} --output jsonpath='{{.data.ca\\.crt}}'{rest}"
    folder = f"/etc/containerd/certs.d/{host}"
    return (
        f"set nodeTrust.enabled, or on each node: mkdir -p {folder}; {asked} > {folder}/ca.crt; "
        "for Docker the same below /etc/docker/certs.d"
    )


def rivals(situation: Situation, host: str, manifests: Iterable[Manifest]) -> list[tuple[str, str]]:
    """Namespaces and names of other registries that ask for the same host."""
    asking = [(each["metadata"]["namespace"], api.name_of(each)) for each in manifests if _claimed(each) == host]
    return sorted(key for key in asking if key != situation.registry.key)


def _claimed(manifest: Manifest) -> str:
    """The host that a resource asks for, as far as it is known from outside; empty when it asks for none."""
    spec = manifest["spec"]
    kind = spec.get("expose", {}).get("type")
    if not spec.get("nodeTrust", {}).get("enabled") or kind == "Gateway":
        return ""
    known = str((manifest.get("status") or {}).get("endpoint", ""))
    wanted = str(spec.get("host", ""))
    if known.partition(":")[0] == wanted or not wanted:
        return known
    return "" if kind == "NodePort" else wanted


@dataclass(frozen=True, slots=True)
class Told:
    """What the agents say of one claim. `nodes` are those that are up."""

    condition: Condition
    nodes: int
    trusted: int

    @property
    def settled(self) -> bool:
        return self.condition.holds is True


def folded(claim: Claim, pods: Sequence[Manifest], reports: Mapping[str, Mapping[str, Verdict]]) -> Told:
    """The agents' pods, and what each node has reported, by host."""
    verdicts = {
        str(pod["spec"]["nodeName"]): _verdict(claim, pod, reports.get(pod["spec"]["nodeName"], {}))
        for pod in pods
        if pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp") and not _is_cut_off(pod)
    }
    good = [node for node, each in verdicts.items() if each and each.reason == TRUSTED]
    bad = {node: each for node, each in sorted(verdicts.items()) if each and each.reason != TRUSTED}
    late = sorted(node for node, each in verdicts.items() if each is None)
    head = f"{len(good)} of {len(verdicts)} nodes trust {claim.host}"
    if not verdicts:
        text = "the agents have no pod on any node: see the events of their DaemonSet"
        condition = Condition(CONDITION, False, "NoAgents", text)
    elif bad:
        shown = [f"{node}: {each.message}" for node, each in bad.items()]
        condition = Condition(CONDITION, False, next(iter(bad.values())).reason, f"{head}; {_few(shown, '; ')}")
    elif late:
        condition = Condition(CONDITION, False, "Spreading", f"{head}; not yet: {_few(late, ', ')}")
    else:
        condition = Condition(CONDITION, True, "Trusted", f"{head}: each has its CA and logs in")
    return Told(condition, len(verdicts), len(good))


def _verdict(claim: Claim, pod: Manifest, reported: Mapping[str, Verdict]) -> Verdict | None:
    """None while the node has not answered to this very claim."""
    found = reported.get(claim.host)
    if found and found.mark == claim.mark:
        return found
    waits = [state["waiting"] for state in _states(pod) if "waiting" in state]
    if waits and waits[0].get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
        text = f"pod {api.name_of(pod)} of its agent does not run ({waits[0]['reason']}): see its events"
        return Verdict(claim.mark, "AgentNotRunning", text)
    return None


def _is_cut_off(pod: Manifest) -> bool:
    """The node is down: its kubelet still says that the container runs, and the cluster no longer that the pod is."""
    conditions = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions", [])}
    return conditions.get("Ready") != "True" and any("running" in state for state in _states(pod))


def _states(pod: Manifest) -> list[Manifest]:
    return [each.get("state") or {} for each in (pod.get("status") or {}).get("containerStatuses", [])]


def _few(texts: Sequence[str], between: str) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return between.join(texts[:_NAMED]) + more
