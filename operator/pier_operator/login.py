"""How kopf gets in: by the same configuration as our own requests, and as forgiving."""

from __future__ import annotations

import ssl
from typing import Any

import kopf

from pier_operator import kube, trust


class Connection(kopf.ConnectionInfo):
    """Two of the same content are equal, so kopf does not try again what was refused."""

    def as_ssl_context(self) -> ssl.SSLContext:
        return trust.forgiving(super().as_ssl_context())


def login(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo:
    """With the token as it is now. Raises kopf.LoginError."""
    try:
        found = kube.configured()
    except kube.Unconfigured as wrong:
        raise kopf.LoginError(str(wrong)) from None
    scheme, _space, token = (found.get_api_key_with_prefix("BearerToken") or "").rpartition(" ")
    return Connection(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        username=found.username,
        password=found.password,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
        trust_env=settings.networking.trust_env,
    )
