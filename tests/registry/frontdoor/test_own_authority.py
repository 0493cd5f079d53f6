"""Pier makes and renews its own certificate, and leaves the operator's alone."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pier_registry import pki
from pier_registry.errors import Misconfigured
from pier_registry.settings import Settings

FILES = ("ca.key", "ca.crt", "tls.key", "tls.crt")


@pytest.fixture
def registry(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


def leaf(settings: Settings) -> x509.Certificate:
    return x509.load_pem_x509_certificate((settings.tls / "tls.crt").read_bytes())


def authority(settings: Settings) -> x509.Certificate:
    return x509.load_pem_x509_certificate((settings.tls / "ca.crt").read_bytes())


def check(settings: Settings) -> None:
    """Key and certificate belong together, and the leaf is one of the CA's."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls / "tls.crt", settings.tls / "tls.key")
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", settings.tls / "ca.crt", settings.tls / "tls.crt"],
        check=True,
        capture_output=True,
    )


def contents(settings: Settings) -> dict[str, bytes]:
    return {name: (settings.tls / name).read_bytes() for name in FILES}


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return moment

    monkeypatch.setattr(pki, "datetime", Clock)


def test_a_new_data_folder_gets_a_chain_that_verifies(registry: Settings) -> None:
    pki.ensure(registry)
    check(registry)


def test_the_leaf_holds_every_name_and_address_as_what_it_is(registry: Settings) -> None:
    settings = Settings(data=registry.data, public_url="https://Registry.Example.org:8443", host="192.0.2.7")
    pki.ensure(settings)
    found = leaf(settings).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(found.get_values_for_type(x509.DNSName)) == {
        "localhost",
        "registry.example.org",
        socket.gethostname().lower(),
    }
    assert set(found.get_values_for_type(x509.IPAddress)) == {
        ipaddress.ip_address(text) for text in ("127.0.0.1", "::1", "192.0.2.7")
    }


def test_the_leaf_is_for_servers_and_lives_90_days(registry: Settings) -> None:
    pki.ensure(registry)
    made = leaf(registry)
    assert (made.not_valid_after_utc - datetime.now(UTC)).days == 89
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    ]


def test_the_authority_signs_certificates_and_lives_ten_years(registry: Settings) -> None:
    pki.ensure(registry)
    made = authority(registry)
    assert made.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (made.not_valid_after_utc - datetime.now(UTC)).days == 3649


def test_leaf_and_authority_are_linked_by_their_key_identifiers(registry: Settings) -> None:
    pki.ensure(registry)
    theirs = authority(registry).extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    named = leaf(registry).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert named == theirs
    assert leaf(registry).extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def test_keys_are_for_their_owner_alone(registry: Settings) -> None:
    pki.ensure(registry)
    modes = {name: stat.S_IMODE((registry.tls / name).stat().st_mode) for name in FILES}
    assert modes == {"ca.key": 0o600, "tls.key": 0o600, "ca.crt": 0o644, "tls.crt": 0o644}


def test_a_second_look_changes_nothing(registry: Settings) -> None:
    pki.ensure(registry)
    before = contents(registry)
    pki.ensure(registry)
    assert contents(registry) == before


@pytest.mark.parametrize(("days", "renewed"), [(58, False), (60, True), (91, True)])
def test_a_leaf_is_renewed_when_66_percent_of_its_life_passed(
    registry: Settings, monkeypatch: pytest.MonkeyPatch, days: int, renewed: bool
) -> None:
    pki.ensure(registry)
    before = leaf(registry).serial_number
    at(monkeypatch, datetime.now(UTC) + timedelta(days=days))
    pki.ensure(registry)
    assert (leaf(registry).serial_number != before) == renewed


def test_a_renewal_keeps_the_key_so_that_the_pair_always_belongs_together(
    registry: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki.ensure(registry)
    before = contents(registry)
    at(monkeypatch, datetime.now(UTC) + timedelta(days=70))
    pki.ensure(registry)
    changed = {name for name, content in contents(registry).items() if content != before[name]}
    assert changed == {"tls.crt"}


def test_a_new_name_brings_a_new_leaf(registry: Settings) -> None:
    pki.ensure(registry)
    named = Settings(data=registry.data, public_url="https://registry.example.org")
    pki.ensure(named)
    assert "registry.example.org" in pki.names_of(leaf(named))
    check(named)


def test_an_authority_past_66_percent_is_prolonged_and_old_trust_still_verifies_the_new_leaf(
    registry: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki.ensure(registry)
    old = registry.data / "old-ca.crt"
    shutil.copy(registry.tls / "ca.crt", old)
    later = datetime.now(UTC) + timedelta(days=2500)
    at(monkeypatch, later)
    pki.ensure(registry)
    assert authority(registry).not_valid_after_utc > later + timedelta(days=3600)
    told = subprocess.run(
        ["openssl", "verify", "-attime", str(int(later.timestamp())), "-CAfile", old, registry.tls / "tls.crt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("there", [[], ["ca.key"], ["ca.key", "ca.crt"], ["ca.key", "ca.crt", "tls.key"]])
def test_a_start_after_a_crash_makes_what_is_missing(registry: Settings, there: list[str]) -> None:
    pki.ensure(registry)
    before = contents(registry)
    for name in set(FILES) - set(there):
        (registry.tls / name).unlink()
    (registry.tls / ".pier-unfinished").write_bytes(b"half a k")
    pki.ensure(registry)
    check(registry)
    assert {name: (registry.tls / name).read_bytes() for name in there} == {name: before[name] for name in there}
    assert sorted(file.name for file in registry.tls.iterdir()) == sorted(FILES)


def test_a_lost_or_foreign_key_of_our_own_leaf_is_replaced(registry: Settings) -> None:
    pki.ensure(registry)
    (registry.tls / "tls.key").unlink()
    pki.ensure(registry)
    check(registry)
    (registry.tls / "tls.key").write_bytes(key_of(ec.generate_private_key(ec.SECP256R1())))
    pki.ensure(registry)
    check(registry)


def key_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def of_operator(settings: Settings, *, days: int = 365) -> dict[str, bytes]:
    """A self-signed RSA certificate for another name, as an operator brings it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    settings.tls.mkdir(parents=True, exist_ok=True)
    files = {"tls.key": key_of(key), "tls.crt": made.public_bytes(serialization.Encoding.PEM)}
    for file, content in files.items():
        (settings.tls / file).write_bytes(content)
    return files


@pytest.mark.parametrize("days", [365, 10, -1])
def test_an_operators_certificate_is_never_touched_and_gets_no_authority(registry: Settings, days: int) -> None:
    brought = of_operator(registry, days=days)
    pki.ensure(registry)
    assert {file.name: file.read_bytes() for file in registry.tls.iterdir()} == brought


def test_an_operators_certificate_may_lie_beside_piers_own_authority(registry: Settings) -> None:
    pki.ensure(registry)
    brought = of_operator(registry)
    pki.ensure(registry)
    assert (registry.tls / "tls.crt").read_bytes() == brought["tls.crt"]


def without_key(settings: Settings) -> None:
    of_operator(settings)
    (settings.tls / "tls.key").unlink()


def with_damaged_leaf(settings: Settings) -> None:
    pki.ensure(settings)
    (settings.tls / "tls.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB")


def with_damaged_key(settings: Settings) -> None:
    pki.ensure(settings)
    (settings.tls / "tls.key").write_bytes(b"")


def without_authoritys_key(settings: Settings) -> None:
    pki.ensure(settings)
    (settings.tls / "ca.key").unlink()
    (settings.tls / "tls.crt").unlink()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (without_key, "tls.key"),
        (with_damaged_leaf, "tls.crt"),
        (with_damaged_key, "tls.key"),
        (without_authoritys_key, "ca.key"),
    ],
)
def test_what_pier_cannot_mend_is_named(registry: Settings, spoil: Callable[[Settings], None], named: str) -> None:
    spoil(registry)
    with pytest.raises(Misconfigured, match=named):
        pki.ensure(registry)


def test_a_locked_away_authority_key_is_not_missed_before_a_renewal(registry: Settings) -> None:
    pki.ensure(registry)
    (registry.tls / "ca.key").unlink()
    pki.ensure(registry)
    assert not (registry.tls / "ca.key").exists()
