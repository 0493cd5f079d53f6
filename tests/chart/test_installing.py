"""The chart at a real API server: installed, upgraded, in namespaces of its own, and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from charts.generate import CHART
from tests.chart.rendering import GOLDEN, Refused, Values, helm, manifests, of_kind, operator, rendered
from tests.parts.control_plane import ControlPlane

_NAMESPACES: Final = count(1)
_API: Final = "pierregistries.registry.pier.dev"
# The API of the Prometheus operator is not there; this stands for it.
_MONITORING: Final = """
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.monitoring.coreos.com}}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    """One that takes only pods of the restricted profile."""
    name = f"chart-{next(_NAMESPACES)}"
    plane.kubectl("create", "namespace", name)
    plane.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    return name


@pytest.fixture
def no_api(plane: ControlPlane) -> Iterator[None]:
    """Before and after."""
    plane.kubectl("delete", "crd", _API, "--ignore-not-found")
    yield
    plane.kubectl("delete", "crd", _API, "--ignore-not-found")


def _helm(plane: ControlPlane, *arguments: str, values: Values | None = None) -> str:
    return helm(*arguments, f"--kubeconfig={plane.kubeconfig}", values=values)


def _install(plane: ControlPlane, namespace: str, *options: str, values: Values | None = None) -> str:
    return _helm(plane, "install", "pier", str(CHART), f"--namespace={namespace}", *options, values=values or {})


def _may(plane: ControlPlane, namespace: str, verb: str, resource: str, where: str, *options: str) -> bool:
    """Whether the operator of `namespace` may."""
    account = f"--as=system:serviceaccount:{namespace}:pier-operator"
    asked = ("auth", "can-i", verb, resource, account, f"--namespace={where}", *options)
    return plane.kubectl(*asked, check=False).strip() == "yes"


@pytest.mark.parametrize("name", [path.stem for path in sorted(GOLDEN.iterdir())])
def test_the_server_knows_every_field(plane: ControlPlane, name: str) -> None:
    for kind in ("ServiceMonitor", "PrometheusRule"):
        plural = f"{kind.lower()}s"
        plane.kubectl("apply", "--filename=-", stdin=_MONITORING.format(kind=kind, plural=plural))
        plane.establish(f"{plural}.monitoring.coreos.com")
    for place in ("pier-system", "team-a", "team-b"):
        plane.kubectl("create", "namespace", place, check=False)
    # The pod of `helm test` needs a service account that is there, and is looked at below.
    made = [each for each in manifests((GOLDEN / f"{name}.yaml").read_text()) if each["kind"] != "Pod"]
    told = plane.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump_all(made)
    )
    assert told.count("(server dry run)") == len(made) > 5


def test_a_release_brings_api_and_operator_and_leaves_the_api(
    plane: ControlPlane, namespace: str, no_api: None
) -> None:
    _install(plane, namespace)
    plane.establish(_API)
    plane.kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=_first())
    _helm(plane, "upgrade", "pier", str(CHART), f"--namespace={namespace}", "--set=workers=3")
    (deployment,) = _items(plane, "deployments", namespace)
    assert {"name": "PIER_OPERATOR_WORKERS", "value": "3"} in deployment["spec"]["template"]["spec"]["containers"][0][
        "env"
    ]
    _helm(plane, "uninstall", "pier", f"--namespace={namespace}")
    assert _items(plane, "deployments", namespace) == []
    assert [each["metadata"]["name"] for each in _items(plane, "pierregistries", namespace)] == ["first"]


def _first() -> str:
    """The registry that the notes tell of."""
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    return readme.partition("<<REGISTRY\n")[2].partition("REGISTRY\n")[0]


def _items(plane: ControlPlane, resource: str, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(plane.kubectl("get", resource, f"--namespace={namespace}", "-o", "json"))[
        "items"
    ]
    return found


def test_an_api_that_was_kept_is_taken_over_by_another_release_when_told(
    plane: ControlPlane, namespace: str, no_api: None
) -> None:
    _install(plane, namespace)
    other = ("install", "other", str(CHART), f"--namespace={namespace}")
    with pytest.raises(Refused, match="ownership"):
        _helm(plane, *other)
    _helm(plane, *other, "--take-ownership")
    for release in ("pier", "other"):
        _helm(plane, "uninstall", release, f"--namespace={namespace}")


def test_both_pods_are_of_the_restricted_profile(plane: ControlPlane, namespace: str) -> None:
    text = rendered({}, f"--namespace={namespace}")
    plane.kubectl("create", "serviceaccount", "pier-operator", f"--namespace={namespace}")
    pod = {"apiVersion": "v1", "kind": "Pod", **operator(text)}
    pod["metadata"] |= {"name": "operator"}
    for each in (pod, *of_kind(text, "Pod")):
        plane.kubectl(
            "create", "--dry-run=server", f"--namespace={namespace}", "--filename=-", stdin=yaml.safe_dump(each)
        )
    pod["spec"]["securityContext"] = {}
    refused = plane.kubectl(
        "create", "--dry-run=server", f"--namespace={namespace}", "--filename=-", stdin=yaml.safe_dump(pod), check=False
    )
    assert "violates PodSecurity" in refused


def test_the_operator_may_work_anywhere_unless_it_was_given_namespaces(
    plane: ControlPlane, namespace: str, no_api: None
) -> None:
    _install(plane, namespace)
    plane.establish(_API)
    assert _may(plane, namespace, "create", "secrets", "default")
    assert _may(plane, namespace, "patch", "pierregistries", "default", "--subresource=status")
    assert not _may(plane, namespace, "patch", "pierregistries", "default")
    assert _may(plane, namespace, "update", "leases", namespace)
    assert not _may(plane, namespace, "update", "leases", "default")
    _helm(plane, "upgrade", "pier", str(CHART), f"--namespace={namespace}", f"--set=watchNamespaces={{{namespace}}}")
    assert _may(plane, namespace, "create", "secrets", namespace)
    assert not _may(plane, namespace, "get", "secrets", "default")
    _helm(plane, "uninstall", "pier", f"--namespace={namespace}")


def test_who_may_edit_a_namespace_may_make_registries_in_it(plane: ControlPlane, namespace: str, no_api: None) -> None:
    """The cluster's own roles take in what is labelled for them; this server does not, so the roles are bound."""
    _install(plane, namespace)
    plane.establish(_API)
    for role in ("view", "edit"):
        bound = (f"--clusterrole={namespace}:pier-operator-{role}", f"--user={role}")
        plane.kubectl("create", "rolebinding", role, *bound, f"--namespace={namespace}")
    ask = ("auth", "can-i", f"--namespace={namespace}")
    assert plane.kubectl(*ask, "create", "pierregistries", "--as=edit").strip() == "yes"
    assert plane.kubectl(*ask, "create", "pierregistries", "--as=view", check=False).strip() == "no"
    assert plane.kubectl(*ask, "list", "pierregistries", "--as=view").strip() == "yes"
    _helm(plane, "uninstall", "pier", f"--namespace={namespace}")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "kubectl apply -n default -f -"),
        ({"watchNamespaces": ["team-a"]}, "It keeps registries in these namespaces only: team-a"),
        ({"crds": {"keep": False}}, "WARNING: crds.keep is false"),
        ({"crds": {"enabled": False}}, "`kubectl apply -f crds/pierregistry.yaml` installs the API"),
        ({"rbac": {"create": False}}, "until you give service account pier-operator its rights"),
        ({"nodeTrust": {"allowedHosts": ["a.b", "*.c"]}}, "Nodes may be made to trust a.b, *.c."),
    ],
    ids=str,
)
def test_the_notes_tell_what_comes_next(plane: ControlPlane, namespace: str, values: Values, told: str) -> None:
    notes = _install(plane, namespace, "--dry-run=client", values=values).partition("\nNOTES:\n")[2]
    assert told in notes
    assert "kind: PierRegistry" in notes
    assert ("WARNING" in notes) == told.startswith("WARNING")


def test_a_package_holds_what_is_rendered_and_nothing_else(tmp_path: Path) -> None:
    helm("package", str(CHART), f"--destination={tmp_path}")
    (package,) = tmp_path.iterdir()
    assert helm("template", "pier", str(package), "--kube-version=1.34.4") == helm(
        "template", "pier", str(CHART), "--kube-version=1.34.4"
    )
