"""Where v2 clients get tokens: `/v2/token` takes a login or nothing, and hands out a token that names the caller.

There is one only with anonymous pull. What a client asks for (`scope`, `service`, `account`) is not looked at, because
a token carries no rights. Distribution's token specification; POST as in its OAuth2 one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from flask import Blueprint, Response, request

from pier_registry import errors
from pier_registry.web import gate, v2_clients
from pier_registry.web.auth import credentials
from pier_registry.web.bodies import small
from pier_registry.web.responses import as_json
from pier_registry.web.tokens import LIFETIME, Token

_LARGEST: Final = 64 << 10


def register(room: Blueprint) -> None:
    room.get(v2_clients.TOKEN_PATH, endpoint="token")(by_header)
    room.post(v2_clients.TOKEN_PATH, endpoint="token_by_form")(by_form)


@gate.takes_logins
def by_header() -> Response:
    return _handed_out(gate.token_for(*credentials(request.headers.get("Authorization"))))


@gate.takes_logins
def by_form() -> Response:
    """Raises Invalid for any grant but a password."""
    form = parse_qs(small(_LARGEST).decode("utf-8", "replace"), keep_blank_values=True)
    if form.get("grant_type", [""])[0] != "password":
        raise errors.Invalid("the grant_type must be password: this registry has no other")
    user, password = (form.get(field, [""])[0] for field in ("username", "password"))
    return _handed_out(gate.token_for(user, password))


def _handed_out(token: Token) -> Response:
    issued = datetime.fromtimestamp(token.issued, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = {"token": token.text, "access_token": token.text, "expires_in": LIFETIME, "issued_at": issued}
    return as_json(told, headers={"Cache-Control": "no-store"})
