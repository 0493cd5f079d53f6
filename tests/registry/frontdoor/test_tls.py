"""The public port speaks TLS that clients can verify, and says so to those who do not speak it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl

import pytest

from tests.registry.frontdoor.door import Door, answer


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", socket.gethostname()])
def test_the_certificate_answers_to_every_name_of_this_host(door: Door, name: str) -> None:
    context = ssl.create_default_context(cafile=str(door.settings.tls / "ca.crt"))
    plain = socket.create_connection(("127.0.0.1", door.settings.port), timeout=20)
    with context.wrap_socket(plain, server_hostname=name) as connection:
        assert connection.version() == "TLSv1.3"


def test_a_name_that_is_not_the_registrys_is_refused_by_the_client(door: Door) -> None:
    context = ssl.create_default_context(cafile=str(door.settings.tls / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", door.settings.port), timeout=20) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        context.wrap_socket(plain, server_hostname="elsewhere.example.org")


def test_a_client_that_does_not_trust_the_ca_refuses(door: Door) -> None:
    with (
        socket.create_connection(("127.0.0.1", door.settings.port), timeout=20) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


def test_tls_1_2_with_the_cipher_of_old_engines_is_taken(door: Door) -> None:
    context = ssl.create_default_context(cafile=str(door.settings.tls / "ca.crt"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    plain = socket.create_connection(("127.0.0.1", door.settings.port), timeout=20)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        assert connection.version() == "TLSv1.2"


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_refused_by_the_server(door: Door) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", door.settings.port), timeout=20) as plain,
        pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"),
    ):
        context.wrap_socket(plain)


def test_http_2_is_offered(door: Door) -> None:
    context = ssl.create_default_context(cafile=str(door.settings.tls / "ca.crt"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(("127.0.0.1", door.settings.port), timeout=20)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "h2"


def test_plain_http_on_the_tls_port_gets_one_clear_sentence(door: Door) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", door.settings.port, timeout=20)) as connection:
        got = answer(connection, "GET", "/v1/_ping", {}, None)
    assert got.status == 400
    assert got.json == {"error": "this port speaks https: use https:// in front of the address"}
    assert got.headers["x-docker-registry-version"]
