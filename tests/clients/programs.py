"""Today's clients: how each gets something to push, tells what it has pulled, and forgets it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

_OCI_DIGEST: Final = r"""sed -n 's/.*"digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' app/index.json"""
_CHART: Final = r"""
mkdir -p app/templates
printf 'apiVersion: v2\nname: app\nversion: 1.0.0\ndescription: {text}\n' > app/Chart.yaml
printf 'kind: ConfigMap\napiVersion: v1\nmetadata: {{name: app}}\n' > app/templates/map.yaml
helm package app
"""


@dataclass(frozen=True, slots=True)
class Program:
    """`name` is what is typed, and a section of docs/clients.md; `id` tells apart what has one name.

    In the lines `{tar}` and `{image}` are a saved image and its name, `{text}` is new in each test, and `{ref}` is
    `<host>/<team>/app:<tag>`.

    `prepare` makes what the manual's lines push, `forget` removes every local copy. `digest` prints the digest of what
    was pulled; without it the pull's own lines do. `again` pushes to `{other}` what `{ref}` holds; without it the
    manual's lines do. One that `looks` at a tag when it has nothing to push says nothing after that.
    """

    name: str
    id: str
    prepare: str
    forget: str
    digest: str = ""
    again: str = ""
    distrust: str = "unset SSL_CERT_FILE"
    mounts: bool = True
    looks: bool = False
    tag: str = "1"


DOCKER: Final = Program(
    name="docker",
    id="docker-20",
    prepare="docker load --quiet --input {tar}; docker tag {image} app:1",
    forget="docker rmi --force $(docker images --quiet | sort -u)",
    digest="docker image inspect --format '{{{{index .RepoDigests 0}}}}' {ref} | cut -d@ -f2",
    distrust="rm -r /etc/docker/certs.d",
)
DOCKER_26: Final = replace(DOCKER, id="docker-26")
DOCKER_26_CONTAINERD: Final = replace(DOCKER, id="docker-26-containerd", looks=True)
PODMAN: Final = Program(
    name="podman",
    id="podman",
    prepare="podman load --quiet --input {tar}; podman tag {image} localhost/app:1",
    forget="podman rmi --all --force",
    digest="podman image inspect --format '{{{{.Digest}}}}' {ref}",
    distrust="rm -r /etc/containers/certs.d",
)
BUILDAH: Final = Program(
    name="buildah",
    id="buildah",
    prepare="buildah pull --quiet docker-archive:{tar}; buildah tag {image} localhost/app:1",
    forget="buildah rmi --all --force",
    digest="buildah inspect --type image --format '{{{{.FromImageDigest}}}}' {ref}",
    distrust=PODMAN.distrust,
)
SKOPEO: Final = Program(
    name="skopeo",
    id="skopeo",
    prepare="cp {tar} app.tar",
    forget="rm -rf app",
    digest="skopeo manifest-digest app/manifest.json",
    distrust=PODMAN.distrust,
)
CTR: Final = Program(
    name="ctr",
    id="ctr",
    prepare="ctr images import {tar}; ctr images tag --force docker.io/library/{image} docker.io/library/app:1",
    forget="ctr images rm --sync $(ctr images ls --quiet)",
    digest="ctr images ls name=={ref} | grep -o 'sha256:[0-9a-f]*'",
    again="ctr images pull $login {ref}; ctr images tag {ref} {other}; ctr images push $login {other}",
    distrust="rm -r /etc/containerd/certs.d",
    looks=True,
)
CRANE: Final = Program(
    name="crane",
    id="crane",
    prepare="cp {tar} app.tar",
    forget="rm -rf app",
    digest=_OCI_DIGEST,
    again="crane copy {ref} {other}",
)
ORAS: Final = Program(
    name="oras",
    id="oras",
    prepare="echo notes {text} > notes.txt; echo review {text} > review.txt",
    forget="rm -rf pulled",
    again="oras copy {ref} {other}",
)
HELM: Final = Program(name="helm", id="helm", prepare=_CHART, forget="rm -f app-1.0.0.tgz", mounts=False, tag="1.0.0")

PROGRAMS: Final = (DOCKER, DOCKER_26, DOCKER_26_CONTAINERD, PODMAN, BUILDAH, SKOPEO, CTR, CRANE, ORAS, HELM)
