"""The first login: before it serves, a registry makes sure that somebody can log in."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web import users
from pier_registry.web.livefile import replace
from pier_registry.web.rights import ADMIN
from pier_registry.web.users import Users

_RANDOM_BYTES: Final = 18  # 24 characters


def password_file(data: Path) -> Path:
    """Where a generated password of admin lies, for as long as it is the one in force."""
    return data / "admin-password"


def new_password() -> str:
    """24 characters, 144 bits."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def ensure_admin(settings: Settings, *, cost: int = users.DEFAULT_COST) -> Path | None:
    """Give admin the password of the settings; without one, and without a users file, a generated one.

    Returns the file that a generated password was written to. Raises Misconfigured.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.admin_password:
            _apply(settings, cost)
            return None
        return None if settings.users_file.exists() else _generate(settings, cost)
    except OSError as wrong:
        raise errors.Misconfigured(f"the data folder {settings.data} cannot be used: {wrong.strerror}") from None


def someone_can_log_in(known: Users) -> None:
    """Raises Misconfigured when nobody can."""
    if known.current().hashes:
        return
    why = known.trouble or f"{known.path} names no user with a bcrypt password"
    raise errors.Misconfigured("; ".join([f"{why}: add one with `pier users add NAME`", *known.refused[:3]]))


def forget_generated(data: Path) -> None:
    """Drop the file of a generated password that no longer opens anything."""
    password_file(data).unlink(missing_ok=True)


def _apply(settings: Settings, cost: int) -> None:
    try:
        users.check_password(settings.admin_password)
    except errors.Invalid as wrong:
        raise errors.Misconfigured(f"PIER_ADMIN_PASSWORD cannot be used: {wrong.message}") from None
    file = settings.users_file
    if file.exists() and Users(file).current().verify(ADMIN, settings.admin_password):
        return
    users.put(file, ADMIN, users.hash_password(settings.admin_password, cost))
    forget_generated(settings.data)


def _generate(settings: Settings, cost: int) -> Path | None:
    """The password first: a crash before the users file is there leads back here, and to a new one."""
    password = new_password()
    place = password_file(settings.data)
    place.unlink(missing_ok=True)
    replace(place, f"{password}\n".encode())
    users.put(settings.users_file, ADMIN, users.hash_password(password, cost))
    return place
