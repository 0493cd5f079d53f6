"""Agents on nodes: none unless hosts are allowed, and then with no more of node and cluster than they need."""

from __future__ import annotations

from typing import Any, Final

import pytest
import yaml

from charts.generate import CHART
from pier_operator import api
from pier_operator.claim import is_allowed
from pier_operator.nodes.__main__ import parsed
from pier_operator.settings import Settings
from tests.chart.rendering import Manifest, Refused, Values, helm, manifests, of_kind, rendered, settings
from tests.parts.control_plane import ControlPlane

_NAME: Final = "pier-operator-nodes"
_HOSTS: Final = ["registry.example.org", "*.team.example.org"]
_VALUES: Final[Values] = {"nodeTrust": {"allowedHosts": _HOSTS}, "crds": {"enabled": False}}


def _with(**more: Any) -> Values:
    return {**_VALUES, "nodeTrust": {"allowedHosts": _HOSTS, **more}}


def _pod(text: str) -> Manifest:
    (agents,) = of_kind(text, "DaemonSet")
    pod: Manifest = agents["spec"]["template"]
    return pod


def _arguments(text: str) -> Any:
    (container,) = _pod(text)["spec"]["containers"]
    return parsed(container["args"])


def test_without_allowed_hosts_there_is_no_agent_and_no_right() -> None:
    text = rendered({"crds": {"enabled": False}})
    assert of_kind(text, "DaemonSet") == []
    assert _NAME not in text
    assert "node-trust" not in text
    assert Settings.load(settings(text)).node_trust_hosts == ()


def test_operator_and_agents_mean_the_same_hosts_and_the_same_objects() -> None:
    text = rendered(_VALUES)
    found, given = Settings.load(settings(text)), _arguments(text)
    assert found.node_trust_hosts == tuple(given.allow) == tuple(_HOSTS)
    assert is_allowed(found.node_trust_hosts, "a.team.example.org")
    names = {each["metadata"]["name"] for kind in ("Secret", "ConfigMap", "DaemonSet") for each in of_kind(text, kind)}
    assert names == {found.node_trust_name} == {given.name}
    pod = _pod(text)
    assert pod["metadata"]["labels"][api.AGENT] == found.node_trust_name
    (claims,) = [each["secret"] for each in pod["spec"]["volumes"] if "secret" in each]
    assert claims["secretName"] == found.node_trust_name


def test_the_image_is_the_operators() -> None:
    text = rendered({**_VALUES, "image": {"repository": "mirror.example.org/pier", "tag": "9"}})
    images = {each["image"] for each in _pod(text)["spec"]["containers"]}
    assert images == {"mirror.example.org/pier:9"}


def test_the_node_gives_two_folders_and_nothing_else() -> None:
    text = rendered(_VALUES)
    spec = _pod(text)["spec"]
    folders = {each["hostPath"]["path"] for each in spec["volumes"] if "hostPath" in each}
    assert folders == {"/etc/containerd/certs.d", "/etc/docker/certs.d"}
    assert {each["hostPath"]["type"] for each in spec["volumes"] if "hostPath" in each} == {"DirectoryOrCreate"}
    (container,) = spec["containers"]
    assert {each["mountPath"] for each in container["volumeMounts"]} == folders | {"/run/pier"}
    given = _arguments(text)
    assert {str(each) for each in (*given.containerd, *given.docker)} == folders
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"] == {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}}
    assert not {"hostPID", "hostIPC", "privileged"} & {*spec, *container}


def test_a_runtime_can_be_left_out() -> None:
    text = rendered(_with(docker={"configPath": ""}))
    given = _arguments(text)
    assert ([str(each) for each in given.containerd], given.docker) == (["/etc/containerd/certs.d"], [])
    assert [each["name"] for each in _pod(text)["spec"]["volumes"]] == ["claims", "containerd"]


def test_an_agent_goes_to_every_node_unless_told_otherwise() -> None:
    assert _pod(rendered(_VALUES))["spec"]["tolerations"] == [{"operator": "Exists"}]
    some = _pod(rendered(_with(tolerations=[], nodeSelector={"pool": "builders"})))["spec"]
    assert "tolerations" not in some
    assert some["nodeSelector"] == {"pool": "builders"}


def test_no_service_and_no_policy_of_the_operator_takes_an_agent() -> None:
    text = rendered(_VALUES)
    labels = _pod(text)["metadata"]["labels"]
    (deployment,), (service,), (policy,) = (of_kind(text, kind) for kind in ("Deployment", "Service", "NetworkPolicy"))
    for selector in (
        service["spec"]["selector"],
        policy["spec"]["podSelector"]["matchLabels"],
        deployment["spec"]["selector"]["matchLabels"],
    ):
        assert not selector.items() <= labels.items()


def test_two_releases_have_agents_of_their_own() -> None:
    one, other = (rendered(_VALUES, release=name) for name in ("pier", "other"))
    assert _arguments(one).name != _arguments(other).name
    names = [{(each["kind"], each["metadata"]["name"]) for each in manifests(text)} for text in (one, other)]
    assert names[0].isdisjoint(names[1])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"allowedHosts": ["*"]}, "'*' does not match pattern"),
        ({"allowedHosts": ["registry.example.org:5000"]}, "does not match pattern"),
        ({"allowedHosts": ["../etc"]}, "does not match pattern"),
        ({"allowedHosts": ["Registry.example.org"]}, "does not match pattern"),
        ({"allowedHosts": "registry.example.org"}, "got string, want array"),
        ({"allowedHosts": _HOSTS, "docker": {"configPath": "etc"}}, "'etc' does not match pattern"),
        ({"allowedHosts": _HOSTS, "docker": {"configPath": "/etc/.."}}, "'/etc/..' does not match pattern"),
        ({"allowedHosts": _HOSTS, "docker": {"configPath": "/"}}, "'/' does not match pattern"),
        (
            {"allowedHosts": _HOSTS, "docker": {"configPath": ""}, "containerd": {"configPath": ""}},
            "nodeTrust.containerd.configPath or nodeTrust.docker.configPath is needed",
        ),
        ({"allowedHosts": _HOSTS, "docker": {"configPath": "/etc/containerd/certs.d"}}, "are the same folder"),
        ({"runtime": "auto"}, "additional properties 'runtime' not allowed"),
    ],
    ids=lambda each: None if isinstance(each, str) else str(each)[:60],
)
def test_a_wrong_value_is_refused_with_its_reason(values: Values, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        rendered({"nodeTrust": values})
    assert reason in str(refused.value)


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> str:
    """A namespace with a release of some namespaces, which has no right elsewhere."""
    name = "node-trust"
    for namespace in (name, "team-a"):
        plane.kubectl("create", "namespace", namespace, check=False)
    values = {**_VALUES, "watchNamespaces": ["team-a"], "rbac": {"aggregate": False}}
    text = rendered(values, f"--namespace={name}")
    made = [each for each in manifests(text) if each["kind"] != "Pod"]
    plane.kubectl("apply", "--validate=strict", "--filename=-", stdin=yaml.safe_dump_all(made))
    return name


def _may(plane: ControlPlane, namespace: str, account: str, *asked: str) -> bool:
    who = f"--as=system:serviceaccount:{namespace}:{account}"
    return plane.kubectl("auth", "can-i", *asked, who, f"--namespace={namespace}", check=False).strip() == "yes"


def test_an_agent_may_tell_of_its_node_and_nothing_else(plane: ControlPlane, installed: str) -> None:
    told = plane.kubectl(
        "auth", "can-i", "--list", f"--as=system:serviceaccount:{installed}:{_NAME}", f"--namespace={installed}"
    )
    rights = [line.split() for line in told.splitlines()[1:] if "selfsubject" not in line and "[/" not in line]
    assert rights == [["configmaps", "[]", f"[{_NAME}]", "[patch]"]]


@pytest.mark.parametrize(
    ("asked", "is_granted"),
    [
        (("get", f"secrets/{_NAME}"), True),
        (("patch", f"secrets/{_NAME}"), True),
        (("get", "secrets/another"), False),
        (("list", "secrets"), False),
        (("create", "secrets"), False),
        (("delete", f"secrets/{_NAME}"), False),
        (("patch", f"configmaps/{_NAME}"), True),
        (("patch", "configmaps/kube-root-ca.crt"), False),
        (("list", "pods"), True),
        (("create", "pods"), False),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else None,
)
def test_an_operator_of_some_namespaces_may_do_with_agents_what_it_needs(
    plane: ControlPlane, installed: str, asked: tuple[str, ...], is_granted: bool
) -> None:
    assert _may(plane, installed, "pier-operator", *asked) == is_granted


def test_its_namespace_cannot_be_restricted(plane: ControlPlane, installed: str) -> None:
    """As the manual says: the folders of a node are for privileged namespaces only."""
    pod = {"apiVersion": "v1", "kind": "Pod", **_pod(rendered(_VALUES, f"--namespace={installed}"))}
    pod["metadata"] |= {"name": "agent"}
    create = ("create", "--dry-run=server", f"--namespace={installed}", "--filename=-")
    for level, is_good in (("privileged", True), ("baseline", False), ("restricted", False)):
        label = f"pod-security.kubernetes.io/enforce={level}"
        plane.kubectl("label", "namespace", installed, label, "--overwrite")
        told = plane.kubectl(*create, stdin=yaml.safe_dump(pod), check=False)
        assert ("violates PodSecurity" in told) != is_good
    plane.kubectl("label", "namespace", installed, "pod-security.kubernetes.io/enforce-")


def test_an_upgrade_leaves_what_operator_and_agents_have_written(plane: ControlPlane) -> None:
    namespace = "node-trust-upgrade"
    plane.kubectl("create", "namespace", namespace, check=False)
    place = (f"--kubeconfig={plane.kubeconfig}", f"--namespace={namespace}")
    chart = ("pier", str(CHART))
    helm("install", *chart, *place, values=_VALUES)
    for kind, body in (("secret", '{"stringData": {"complete": "true"}}'), ("configmap", '{"data": {"node-a": "{}"}}')):
        plane.kubectl("patch", kind, _NAME, f"--namespace={namespace}", "--type=merge", f"--patch={body}")
    helm("upgrade", *chart, *place, values={**_VALUES, "workers": 3})
    for kind, key in (("secret", "complete"), ("configmap", "node-a")):
        assert plane.kubectl("get", kind, _NAME, f"--namespace={namespace}", "-o", f"jsonpath={{.data.{key}}}")
    helm("upgrade", *chart, *place, values={"crds": {"enabled": False}})
    assert plane.kubectl("get", "daemonsets,secrets", f"--namespace={namespace}", "-o", "name").count(_NAME) == 0
    helm("uninstall", "pier", *place)
