"""`pier users`: who may log in, kept in the data folder of this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pier_registry import errors
from pier_registry.cli.data import owned
from pier_registry.settings import Settings
from pier_registry.web import bootstrap, rights_file
from pier_registry.web import users as accounts
from pier_registry.web.rights import ADMIN
from pier_registry.web.rights_file import Grant

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

_output: Option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="For people, or for scripts."
)
_from_stdin: Option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
_generate: Option = click.option("--generate", is_flag=True, help="Make up a password and print it.")
_cost: Option = click.option(
    "--cost",
    type=click.IntRange(10, 14),
    default=accounts.DEFAULT_COST,
    show_default=True,
    help="bcrypt cost; each step doubles the time of a login that is not remembered.",
)


@click.group()
def users() -> None:
    """Add, change, remove and list users; the running registry sees it within a second."""


@users.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="none, pull, push or admin; goes with --repositories.")
@click.option("--repositories", "patterns", multiple=True, help="Where the role holds, such as 'team/*' or '*'.")
@_from_stdin
@_generate
@_cost
@_output
def add(
    name: str,
    *,
    roles: tuple[str, ...],
    patterns: tuple[str, ...],
    password_stdin: bool,
    generate: bool,
    cost: int,
    output: str,
) -> None:
    """Add a user. Without --role, PIER_DEFAULT_ROLE holds on every repository."""
    settings = _own_settings()
    accounts.check_name(name)
    grants = _grants(roles, patterns)
    password = _password(password_stdin, generate)
    hashed = accounts.hash_password(password, cost)

    def set_rights() -> None:
        if grants:
            rights_file.set_entry(settings.rights_file, name, grants)

    accounts.add(settings.users_file, name, hashed, before=set_rights)
    _tell(output, name, "added", password if generate else None)


@users.command()
@click.argument("name")
@_from_stdin
@_generate
@_cost
@_output
def passwd(name: str, password_stdin: bool, generate: bool, cost: int, output: str) -> None:
    """Change a user's password; the old one stops working within a second."""
    settings = _own_settings()
    password = _password(password_stdin, generate)
    accounts.set_password(settings.users_file, name, accounts.hash_password(password, cost))
    if name == ADMIN:
        bootstrap.forget_generated(settings.data)
    _tell(output, name, "changed", password if generate else None)


@users.command()
@click.argument("name")
@_output
def remove(name: str, output: str) -> None:
    """Remove a user, with the user's entry in rights.yaml."""
    settings = _own_settings()
    accounts.remove(settings.users_file, name)
    rights_file.drop_entry(settings.rights_file, name)
    if name == ADMIN:
        bootstrap.forget_generated(settings.data)
    _tell(output, name, "removed", None)


@users.command("list")
@_output
def list_(output: str) -> None:
    """List who may log in, and what they may do."""
    settings = _own_settings()
    known = accounts.Users(settings.users_file)
    entries = rights_file.read(settings.rights_file)
    rows = [_row(name, stored, entries, settings) for name, stored in sorted(known.current().hashes.items())]
    if output == "json":
        click.echo(json.dumps(rows))
    else:
        _print_table(rows)
    for sentence in known.refused:
        click.echo(f"warning: {settings.users_file}: {sentence}", err=True)


def _own_settings() -> Settings:
    settings = Settings.load()
    owned(settings)
    return settings


def _grants(roles: Sequence[str], patterns: Sequence[str]) -> list[Grant]:
    if len(roles) != len(patterns):
        raise click.UsageError("give one --repositories for each --role, such as --role push --repositories 'team/*'")
    try:
        return [rights_file.grant(role, [pattern]) for role, pattern in zip(roles, patterns, strict=True)]
    except rights_file.RightsInvalid as wrong:
        raise click.UsageError(f"the command line {wrong}") from None


def _password(from_stdin: bool, generate: bool) -> str:
    if from_stdin and generate:
        raise click.UsageError("--password-stdin and --generate exclude each other")
    if generate:
        return bootstrap.new_password()
    if from_stdin:
        return _read_password()
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password: use --password-stdin or --generate")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _read_password() -> str:
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise errors.Invalid("the password is not UTF-8: choose another one") from None
    return text.removesuffix("\n").removesuffix("\r")


def _tell(output: str, name: str, done: str, password: str | None) -> None:
    if output == "json":
        told = {"name": name, "done": done} | ({"password": password} if password else {})
        click.echo(json.dumps(told))
        return
    click.echo(f"user {name} {done}")
    if password:
        click.echo(f"password: {password}")


def _row(name: str, stored: bytes, entries: rights_file.Entries, settings: Settings) -> dict[str, Any]:
    """`source` says where the rights come from: rights.yaml, default, or built-in for admin."""
    if name in entries:
        rights, source = rights_file.shown(entries[name]), "rights.yaml"
    else:
        role = "admin" if name == ADMIN else settings.default_role
        rights, source = [{"role": role, "repositories": ["*"]}], "built-in" if name == ADMIN else "default"
    return {"name": name, "cost": accounts.cost_of(stored), "rights": rights, "source": source}


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("user", "rights", "from", "bcrypt cost")
    for row in rows:
        rights = "\n".join(f"{each['role']} on {' '.join(each['repositories'])}" for each in row["rights"]) or "none"
        table.add_row(row["name"], rights, row["source"], str(row["cost"]))
    Console().print(table)
