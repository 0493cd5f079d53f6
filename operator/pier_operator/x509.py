"""Certificates as values: made, read and judged, with no file and no clock."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks differ: a certificate is valid a little before it is made.
SKEW: Final = timedelta(minutes=5)
_COMMON_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key. `certificate` may be followed by the rest of its chain in `text`."""

    certificate: x509.Certificate
    key: str
    text: str

    @property
    def born(self) -> datetime:
        return self.certificate.not_valid_before_utc + SKEW

    @property
    def ends(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def renew_at(self, share: float) -> datetime:
        return self.born + (self.ends - self.born) * share


def authority(name: str, key: ec.EllipticCurvePrivateKey, serial: int, now: datetime, life: timedelta) -> Pair:
    """A CA that may sign leaves and nothing else."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME])])
    usage = _usage(sign=False, certificates=True)
    built = (
        _builder(subject, subject, key.public_key(), serial, (now, now + life))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return Pair(built, _key_text(key), _pem(built))


def leaf(
    issuer: Pair, key: ec.EllipticCurvePrivateKey, serial: int, names: Sequence[str], period: tuple[datetime, datetime]
) -> Pair:
    """A server's certificate for these names and addresses, which ends no later than its issuer."""
    signer = _private(issuer.key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_COMMON_NAME])])
    begins, ends = period
    built = (
        _builder(subject, issuer.certificate.subject, key.public_key(), serial, (begins, min(ends, issuer.ends)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True, certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return Pair(built, _key_text(key), _pem(built))


def read(text: str, key: str) -> Pair | None:
    """None for what is no certificate with its own key."""
    try:
        certificate = x509.load_pem_x509_certificates(text.encode())[0]
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        return None
    if _spki(private.public_key()) != _spki(certificate.public_key()):
        return None
    return Pair(certificate, key, text)


def certificates(text: str) -> list[x509.Certificate]:
    """Those of a PEM text; none of one that is broken."""
    try:
        return x509.load_pem_x509_certificates(text.encode()) if text.strip() else []
    except ValueError:
        return []


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def names_of(certificate: x509.Certificate) -> set[str]:
    """DNS names and addresses that the certificate is for; its common name counts for nothing to clients."""
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = held.get_values_for_type(x509.IPAddress)
    return {*held.get_values_for_type(x509.DNSName), *map(str, addresses)}


def covers(names: Iterable[str], host: str) -> bool:
    """Whether one of the names is the host, or a wildcard for its last label."""
    return any(name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:]) for name in names)


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def bundle(parts: Iterable[x509.Certificate], now: datetime) -> str:
    """PEM of those that have not ended, each once."""
    unique = {fingerprint(each): each for each in parts if each.not_valid_after_utc > now}
    return "".join(_pem(each) for each in unique.values())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    serial: int,
    period: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    begins, ends = (moment.astimezone(UTC).replace(microsecond=0) for moment in period)
    return x509.CertificateBuilder(issuer, subject, key, serial).not_valid_before(begins - SKEW).not_valid_after(ends)


def _usage(*, sign: bool, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name)


def _private(text: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(text.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the CA's key is no elliptic curve key")
    return key


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _spki(key: object) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, form))  # type: ignore[attr-defined]
