"""The first process of a machine: a control plane and a node of Kubernetes, kept alive until it is killed.

python -m tests.cluster.node HOME ADDRESS NAME
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from tests.cluster import cloud
from tests.parts import cache
from tests.parts.control_plane import ControlPlane

PODS: Final = "10.244.0.0/16"
SERVICES: Final = "10.96.0.0/16"
DNS: Final = "10.96.0.10"
PAUSE: Final = "pier-test/pause:1"
RUNTIME: Final = "/run/containerd/containerd.sock"
PORT: Final = 6443

_SERVING: Final = b"Start streaming server"  # containerd's last word before it answers a kubelet

_CONTAINERD: Final = f"""
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
"""


def plane(home: Path, address: str) -> ControlPlane:
    """As it will run, or runs, at this address."""
    kubelet = home / "tls" / "kubelet-client"
    flags = (
        "--allow-privileged=true",
        f"--advertise-address={address}",
        "--endpoint-reconciler-type=lease",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={kubelet}.crt",
        f"--kubelet-client-key={kubelet}.key",
    )
    return ControlPlane(home, ("*",), PORT, address, ("10.96.0.1", "kubernetes.default.svc"), flags)


def main() -> None:
    home, address, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    _network()
    running = plane(home, address)
    running.authority.issue("kubelet-client", "kube-apiserver", groups="system:masters")
    running.__enter__()
    _containerd(running)
    running.start("kube-scheduler", f"--kubeconfig={running.as_user('system:kube-scheduler')}", "--leader-elect=false")
    running.start("kubelet", *_kubelet(running, name))
    running.start("kube-proxy", *_proxy(running, name))
    cloud.serve(running, address, _reap)


def _network() -> None:
    """Packets between pods, Services and the outside pass; kube-proxy and the bridge see all of them."""
    for name in ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables", "net/ipv4/conf/all/route_localnet"):
        place = Path("/proc/sys", name)
        if place.exists():
            place.write_text("1")
    while not Path("/sys/class/net/eth0").exists():
        time.sleep(0.01)
    plugins = [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    folder = Path("/etc/cni/net.d")
    folder.mkdir(parents=True, exist_ok=True)
    written = {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}
    (folder / "10-pods.conflist").write_text(json.dumps(written))


def _containerd(running: ControlPlane) -> None:
    settings = Path("/etc/containerd/config.toml")
    settings.write_text(_CONTAINERD)
    told = running.home / "containerd.log"
    with told.open("ab") as log:
        before = log.tell()
        command = [cache.program("containerd"), "--config", str(settings), "--address", RUNTIME]
        running.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
    while _SERVING not in told.read_bytes()[before:]:  # its socket, which outlives it, answers sooner, with errors
        time.sleep(0.05)


def _kubelet(running: ControlPlane, name: str) -> list[str]:
    serving = running.authority.issue("kubelet", f"system:node:{name}", groups="system:nodes", names=(running.address,))
    resolving = running.home / "resolv.conf"
    resolving.write_text("")
    _cgroups(name)
    settings = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": {
            "x509": {"clientCAFile": str(running.ca)},
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{RUNTIME}",
        "resolvConf": str(resolving),
        "serializeImagePulls": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 99,
        "imageGCLowThresholdPercent": 98,
        "nodeStatusUpdateFrequency": "5s",
    }
    return [
        f"--config={_written(running.home / 'kubelet.json', settings)}",
        f"--kubeconfig={running.as_user(f'system:node:{name}', groups='system:nodes')}",
        f"--hostname-override={name}",
        f"--node-ip={running.address}",
    ]


def _proxy(running: ControlPlane, name: str) -> list[str]:
    settings = {
        "kind": "KubeProxyConfiguration",
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": name,
        "conntrack": {"maxPerCore": 0},
        "clientConnection": {"kubeconfig": str(running.as_user("system:kube-proxy"))},
    }
    return [f"--config={_written(running.home / 'kube-proxy.json', settings)}"]


def _cgroups(name: str) -> None:
    """A group for the node in each hierarchy; a set of processors has to name some before it can hold a process."""
    top = Path("/sys/fs/cgroup")
    for controller in (each for each in top.iterdir() if (each / "cgroup.procs").exists() and not each.is_symlink()):
        group = controller / name
        group.mkdir(exist_ok=True)
        for held in ("cpuset.cpus", "cpuset.mems"):
            if (controller / held).exists():
                (group / held).write_text((controller / held).read_text())


def _written(place: Path, settings: dict[str, Any]) -> Path:
    place.write_text(json.dumps(settings))
    return place


def _reap() -> None:
    """Processes whose parent is gone belong to the first one."""
    try:
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
