"""The way to the API server: certificates of older clusters are believed, and a way that is none is one sentence."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import kopf
import pytest
import yaml

from pier_operator import trust
from pier_operator.kube import Kube, Unreachable
from pier_operator.login import login
from pier_operator.probe import REACHABLE, Prober, Target
from tests.parts.certificates import Authority


class _Handler(http.server.BaseHTTPRequestHandler):
    """As an API server or a registry that says yes to everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, b"{}")

    def do_POST(self) -> None:
        self._answer(202)

    def do_DELETE(self) -> None:
        self._answer(204)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "/upload")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Of no interest."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Its certificates name no keys, as those of a cluster that began as Kubernetes 1.16."""
    return Authority(tmp_path / "tls")


@pytest.fixture
def port(authority: Authority) -> Iterator[int]:
    """Where an https server with a certificate of this authority listens."""
    pair = authority.issue("server", "server", names=("127.0.0.1", "localhost"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def kubeconfig(tmp_path: Path, authority: Authority, port: int) -> Path:
    held = {
        "clusters": [
            {
                "name": "old",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority": str(authority.pair.certificate),
                },
            }
        ],
        "users": [{"name": "old", "user": {"token": "a-token"}}],
        "contexts": [{"name": "old", "context": {"cluster": "old", "user": "old"}}],
        "current-context": "old",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(held))
    return file


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts as Python 3.13 makes them, whatever Python runs the tests."""
    for module, name in ((ssl, "create_default_context"), (trust, "create_urllib3_context")):
        monkeypatch.setattr(module, name, _strict(getattr(module, name)))


def _strict(make: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    def made(*arguments: object, **more: object) -> ssl.SSLContext:
        context = make(*arguments, **more)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    return made


def test_a_strict_client_would_not_get_in(kubeconfig: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests of this file stand on."""
    monkeypatch.setattr(trust, "forgiving", lambda context: context)
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        Kube.connected(kubeconfig).request("GET", "/version")


def test_the_client_believes_the_ca_of_an_old_cluster(kubeconfig: Path) -> None:
    assert Kube.connected(kubeconfig).request("GET", "/version") == {}


def test_another_ca_is_believed_no_more_than_before(kubeconfig: Path, tmp_path: Path) -> None:
    held = yaml.safe_load(kubeconfig.read_text())
    other = Authority(tmp_path / "other").pair.certificate
    held["clusters"][0]["cluster"]["certificate-authority"] = str(other)
    kubeconfig.write_text(yaml.safe_dump(held))
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        Kube.connected(kubeconfig).request("GET", "/version")


def test_kopf_believes_it_too_and_has_the_token(kubeconfig: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    found = login(kopf.OperatorSettings())
    assert found.as_http_headers() == {"Authorization": "Bearer a-token"}
    with urllib.request.urlopen(f"{found.server}/version", context=found.as_ssl_context()) as answer:
        assert answer.read() == b"{}"
    assert login(kopf.OperatorSettings()) == found  # so that one that was refused is known again


def test_kopf_is_told_when_there_is_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(kopf.LoginError, match="leads to no API server"):
        login(kopf.OperatorSettings())


def test_a_push_is_tried_with_a_certificate_that_names_no_key(authority: Authority, port: int) -> None:
    ca = authority.pair.certificate.read_text()
    answer = Prober().ask(("team", "pier"), Target(REACHABLE, "127.0.0.1", port, "localhost", ca, "", False, "1"))
    assert answer.condition.reason == "Reachable", answer.condition.message


_BROKEN: Final = {
    "nothing": None,
    "text": "just text",
    "half": "clusters: [",
    "empty": "",
    "no server": "current-context: old\ncontexts: []",
    "no file of a ca": "file of the authority",
}


@pytest.mark.parametrize("name", _BROKEN)
def test_a_kubeconfig_that_is_none_is_one_sentence(name: str, kubeconfig: Path) -> None:
    text = _BROKEN[name]
    if text is None:
        kubeconfig.unlink()
    elif text == "file of the authority":
        held = yaml.safe_load(kubeconfig.read_text())
        held["clusters"][0]["cluster"]["certificate-authority"] = "/nowhere"
        kubeconfig.write_text(yaml.safe_dump(held))
    else:
        kubeconfig.write_text(text)
    (line,) = _refusal({"KUBECONFIG": str(kubeconfig)})
    assert line.startswith(f"pier-operator: {kubeconfig} leads to no API server (")
    assert line.endswith("or run in a pod that has a service account")


def test_a_pod_without_a_service_account_is_one_sentence() -> None:
    (line,) = _refusal({"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"})
    assert line.startswith("pier-operator: the pod's service account leads to no API server (")


def _refusal(environment: dict[str, str]) -> list[str]:
    """What the operator says as it ends, which it does with code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "pier_operator"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()
