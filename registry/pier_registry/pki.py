"""Pier's own certificate authority and the leaf of this registry, kept in `<data>/tls`.

Four files: `ca.key`, `ca.crt`, `tls.key`, `tls.crt`, written in this order, each in one rename. A renewal keeps its
key and replaces only the certificate, so key and certificate belong together at every moment a reader looks, and a
start after a crash finds what is there and makes what is missing. A certificate of another issuer is the operator's.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pier_registry.errors import Misconfigured
from pier_registry.settings import Settings

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
RENEW_AFTER = 0.66
_SKEW = timedelta(minutes=5)
_ORGANISATION = "Pier container registry"

_UNFINISHED = ".pier-"

_log = logging.getLogger("pier.pki")

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Authority:
    key: Key
    certificate: x509.Certificate


def ensure(settings: Settings) -> None:
    """Make or renew what `<data>/tls` lacks; an operator's own certificate is never touched.

    Renewed at 66 % of its life, when the host names changed, and when its key was replaced.
    Raises Misconfigured when a file is unreadable or a key that is needed is missing.
    """
    folder = settings.tls
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob(f"{_UNFINISHED}*"):
        unfinished.unlink(missing_ok=True)
    leaf = _read_certificate(folder / "tls.crt")
    if leaf is not None and not _is_ours(leaf, folder):
        return _check_foreign(leaf, folder)
    now = datetime.now(UTC)
    names = settings.host_names()
    if leaf is not None and _still_good(leaf, folder, names, now):
        return None
    authority = _authority(folder, now)
    key = _own_key(folder / "tls.key")
    _write(folder / "tls.crt", _pem(_issue(authority, key.public_key(), names, now)), 0o644)
    return _log.info("issued a certificate for %s", ", ".join(names))


def due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether 66 % of its life has passed, or the clock says that it has not begun."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not begin <= now < begin + (end - begin) * RENEW_AFTER


def names_of(certificate: x509.Certificate) -> set[str]:
    """DNS names and addresses of the certificate, addresses in their shortest spelling."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in found.get_values_for_type(x509.IPAddress)}
    return addresses | set(found.get_values_for_type(x509.DNSName))


def _is_ours(leaf: x509.Certificate, folder: Path) -> bool:
    authority = _read_certificate(folder / "ca.crt")
    if authority is None:
        return False
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_foreign(leaf: x509.Certificate, folder: Path) -> None:
    if not (folder / "tls.key").exists():
        raise Misconfigured(f"{folder}/tls.crt has no tls.key beside it: put its key there, or remove tls.crt")
    if leaf.not_valid_after_utc < datetime.now(UTC):
        _log.warning("%s/tls.crt expired on %s: replace it", folder, leaf.not_valid_after_utc.date())


def _still_good(leaf: x509.Certificate, folder: Path, names: Iterable[str], now: datetime) -> bool:
    wanted = {_spelt(name) for name in names}
    key = _read_key(folder / "tls.key")
    return not due(leaf, now) and names_of(leaf) == wanted and key is not None and _belong(key, leaf)


def _authority(folder: Path, now: datetime) -> Authority:
    """The CA as it is; made when there is none, and prolonged with the same key when its own time comes."""
    certificate = _read_certificate(folder / "ca.crt")
    if certificate is None:
        key = _own_key(folder / "ca.key")
        return _store_authority(folder, key, now)
    found = _read_key(folder / "ca.key")
    if found is None or not _belong(found, certificate):
        raise Misconfigured(
            f"the certificate must be renewed, and {folder}/ca.key is missing or not the key of ca.crt: put it back, "
            "or remove ca.crt and tls.crt so that a new CA is made (every client must then trust the new ca.crt)"
        )
    if due(certificate, now) and certificate.subject == _authority_name(found.public_key()):
        return _store_authority(folder, found, now)
    return Authority(found, certificate)


def _store_authority(folder: Path, key: Key, now: datetime) -> Authority:
    name = _authority_name(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / "ca.crt", _pem(certificate), 0o644)
    return Authority(key, certificate)


def _issue(authority: Authority, key: PublicKey, names: Iterable[str], now: datetime) -> x509.Certificate:
    issuer = authority.certificate
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION)]))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(min(now + LEAF_LIFE, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_identifier(authority), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _authority_name(key: PublicKey) -> x509.Name:
    """Unlike for every CA, so that a client that trusts two of them picks the right one."""
    tail = x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()[:8]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Pier CA {tail}"),
        ]
    )


def _authority_identifier(authority: Authority) -> x509.AuthorityKeyIdentifier:
    try:
        known = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Iterable[str]) -> list[x509.GeneralName]:
    return [_alternative(name) for name in sorted({_spelt(name) for name in names})]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _spelt(name: str) -> str:
    """As a certificate holds it: addresses in their shortest form, names in lower-case ASCII."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return name.lower() if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        raise Misconfigured(f"the host name {name!r} cannot stand in a certificate: set PIER_PUBLIC_URL") from None


def _own_key(path: Path) -> Key:
    found = _read_key(path)
    if found is not None:
        return found
    made = ec.generate_private_key(ec.SECP256R1())
    text = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, text, 0o600)
    return made


def _read_key(path: Path) -> Key | None:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError) as wrong:
        raise Misconfigured(f"{path} cannot be read as a PEM key without a passphrase: {wrong}") from None
    if not isinstance(key, Key):
        raise Misconfigured(f"{path} must be an elliptic curve or RSA key")
    return key


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as wrong:
        raise Misconfigured(f"{path} cannot be read as a PEM certificate: {wrong}") from None


def _belong(key: Key, certificate: x509.Certificate) -> bool:
    return bool(key.public_key() == certificate.public_key())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Durable and in one step: a reader sees the old file or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
