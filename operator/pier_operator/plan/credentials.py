"""Passwords of people: those of Secrets that the user made, and generated ones, which never change by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pier_operator.plan.child import Child, Condition, Plan, Situation, secret
from pier_operator.spec import User

ADMIN: Final = "admin"
PULL: Final = "pier-pull"
PROBE: Final = "pier-probe"
NODES: Final = "pier-nodes"
MAX_PASSWORD: Final = 72  # bytes; bcrypt reads no further


@dataclass(frozen=True, slots=True)
class Credentials:
    """`passwords` by user, of those that have a usable one."""

    passwords: Mapping[str, str]
    plan: Plan


def credentials(situation: Situation) -> Credentials:
    """Secrets NAME-admin and NAME-users, and everybody's password."""
    registry, observed = situation.registry, situation.observed
    admin = observed.secret(situation.named("admin")).get("password") or situation.chance.password()
    known = observed.secret(situation.named("users"))
    generated = {
        name: known.get(name) or situation.chance.password()
        for name in (*own_users(situation), *(user.name for user in registry.users if not user.secret))
    }
    given, troubles = _given(situation)
    children = (
        Child(secret(situation.named("admin"), {"username": ADMIN, "password": admin}), kept=True, retained=True),
        Child(secret(situation.named("users"), generated), kept=True, retained=True),
    )
    passwords = {ADMIN: admin, **generated, **given}
    return Credentials(passwords, Plan(children, (_condition(troubles),), notices=_losses(situation)))


def own_users(situation: Situation) -> tuple[str, ...]:
    """Users beside admin that are the operator's own."""
    return (PULL, PROBE, NODES) if situation.registry.node_trust else (PULL, PROBE)


def _losses(situation: Situation) -> tuple[tuple[str, str], ...]:
    """Secrets that were there once, as the users file shows."""
    if not situation.observed.secret(situation.named("users-file")):
        return ()
    return tuple(
        ("PasswordReplaced", f"Secret {situation.named(suffix)} was lost, so it holds new passwords now: hand them out")
        for suffix in ("admin", "users")
        if not situation.observed.secret(situation.named(suffix))
    )


def _given(situation: Situation) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Passwords of the user's Secrets; and reasons and sentences of those that cannot be used."""
    passwords, troubles = {}, []
    for user in situation.registry.users:
        if not user.secret:
            continue
        found = situation.observed.reference(user.secret).get(user.key)
        trouble = _trouble(user, found)
        if trouble:
            troubles.append(trouble)
        elif found is not None:
            passwords[user.name] = found
    return passwords, troubles


def _trouble(user: User, password: str | None) -> tuple[str, str] | None:
    where = f"key {user.key} of Secret {user.secret}, which has the password of user {user.name},"
    if password is None:
        return "SecretMissing", f"{where} is not there: make it; until then the user has the password of before"
    if not password or "\0" in password or len(password.encode()) > MAX_PASSWORD:
        return "PasswordInvalid", f"{where} must have 1 to {MAX_PASSWORD} bytes and no NUL: change it"
    return None


def _condition(troubles: list[tuple[str, str]]) -> Condition:
    if not troubles:
        return Condition("CredentialsReady", True, "Complete", "every user has a password")
    reason, message = troubles[0]
    more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
    return Condition("CredentialsReady", False, reason, message + more)
