"""Certificates made at run time, for servers and clients of one test run."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Pair:
    """Files in PEM."""

    certificate: Path
    key: Path


class Authority:
    """A CA of its own below a folder; `ca.crt` and `ca.key` lie there too. What is there already stays."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.pair = Pair(folder / "ca.crt", folder / "ca.key")
        self._name = _name("test authority")
        if self.pair.key.exists():
            held = serialization.load_pem_private_key(self.pair.key.read_bytes(), password=None)
            assert isinstance(held, ec.EllipticCurvePrivateKey)
            self._key = held
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(self._name, self._name, self._key.public_key(), _CA).sign(self._key, hashes.SHA256())
        _write(self.pair, made, self._key)

    def issue(
        self, file: str, user: str, *, groups: str = "", names: tuple[str, ...] = (), ends: datetime | None = None
    ) -> Pair:
        """A pair for a client with this user and group, or for a server with these DNS names and addresses."""
        pair = Pair(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        if pair.key.exists():
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(user, groups)
        builder = _certificate(subject, self._name, key.public_key(), _LEAF, ends)
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
        _write(pair, builder.sign(self._key, hashes.SHA256()), key)
        return pair


_CA = x509.BasicConstraints(ca=True, path_length=0)
_LEAF = x509.BasicConstraints(ca=False, path_length=None)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    kind: x509.BasicConstraints,
    ends: datetime | None = None,
) -> x509.CertificateBuilder:
    last = ends or datetime.now(UTC) + _LIFE
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC) - timedelta(minutes=5), last - _LIFE))
        .not_valid_after(last)
        .add_extension(kind, critical=True)
    )


def _name(common: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    pair.key.chmod(0o600)
