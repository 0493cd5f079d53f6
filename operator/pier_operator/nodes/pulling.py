"""Does this node get in at a registry? Asked as its runtime would: by the same address, with the CA from the files."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from typing import Final

from pier_operator import trust
from pier_operator.claim import REPOSITORY, TRUSTED, Claim, Verdict

_TIMEOUT: Final = 5.0
# Usually it is not there, and to be told so takes the right to pull.
_PULL: Final = f"/v2/{REPOSITORY}/manifests/none"


def verdict(claim: Claim) -> Verdict:
    """By a login and a pull of what is not there: a registry that says so trusts us as we trust it."""
    name, port = claim.address
    try:
        reason, message = _asked(claim)
    except socket.gaierror:
        reason, message = "UnknownHost", f"{name} has no address here: let this node's resolver or /etc/hosts know it"
    except ssl.SSLCertVerificationError as wrong:
        told = wrong.verify_message or wrong.reason
        reason, message = "CertificateRefused", f"what {claim.host} shows is not of the published CA: {told}"
    except (OSError, http.client.HTTPException) as wrong:
        reason, message = "Unreachable", f"{name}, port {port}, does not answer: {wrong or type(wrong).__name__}"
    return Verdict(claim.mark, reason, message)


def _asked(claim: Claim) -> tuple[str, str]:
    """Reason and message. Raises OSError, HTTPException."""
    connection = _connected(claim)
    try:
        basic = base64.b64encode(f"{claim.user}:{claim.password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "User-Agent": "pier-nodes"}
        for path, good in (("/v2/", {200}), (_PULL, {200, 404})):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status not in good:
                return _refusal(claim, path, answer.status)
    finally:
        connection.close()
    return TRUSTED, ""


def _refusal(claim: Claim, path: str, status: int) -> tuple[str, str]:
    if status == 401:
        return "LoginRefused", f"{claim.host} does not let user {claim.user} in: it may not know its password yet"
    return "Unexpected", f"GET {path} at {claim.host} is answered with {status}"


def _connected(claim: Claim) -> http.client.HTTPConnection:
    trusting = trust.forgiving(ssl.create_default_context(cadata=claim.authorities))
    plain = socket.create_connection(claim.address, timeout=_TIMEOUT)
    try:
        wrapped = trusting.wrap_socket(plain, server_hostname=claim.address[0])
    except BaseException:
        plain.close()
        raise
    connection = http.client.HTTPConnection(*claim.address, timeout=_TIMEOUT)
    connection.sock = wrapped
    return connection
