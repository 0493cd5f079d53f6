"""Certificates are judged by who signed them, their names and their dates, and not by their finer form.

Since Python 3.13 a certificate must name the key that signed it (RFC 5280, 4.2.1.1). CAs of clusters that began as
Kubernetes 1.16 or older do not, and nor do many of those that people bring.
"""

from __future__ import annotations

import ssl

from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.util import create_urllib3_context
from urllib3.util.ssl_ import resolve_cert_reqs


def forgiving(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context, which no longer minds the form."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class _Connection(HTTPSConnection):
    """Has a context of its own: one for all would be changed at each handshake, while other threads use it."""

    def connect(self) -> None:
        self.ssl_context = forgiving(create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs)))
        if not self.ca_certs and not self.ca_cert_data:
            self.ssl_context.load_default_certs()
        super().connect()


class ForgivingPool(HTTPSConnectionPool):
    """As urllib3's own, but for that."""

    ConnectionCls = _Connection
