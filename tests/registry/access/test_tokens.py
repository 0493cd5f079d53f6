"""Tokens name who got them, for as long as the password stands, and nothing else."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path

import pytest

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web import tokens
from pier_registry.web.rights import ANONYMOUS, User
from pier_registry.web.tokens import LEEWAY, LIFETIME, Tokens
from tests.registry.access.door import Clock, Door, basic, line, swap

KEY = b"k" * 32
ALICE = b"$2b$04$" + b"a" * 53
HASHES = {"alice": ALICE, "bob": b"$2b$04$" + b"b" * 53}


def refused(of: Tokens, text: str, hashes: dict[str, bytes] = HASHES) -> bool:
    try:
        of.bearer(text, hashes)
    except errors.Unauthorized:
        return True
    return False


def test_a_token_names_its_user() -> None:
    made = Tokens(KEY)
    assert made.bearer(made.of_user("alice", ALICE).text, HASHES) == User("alice")


def test_a_token_of_nobody_is_anonymous() -> None:
    made = Tokens(KEY)
    assert made.bearer(made.of_nobody().text, HASHES) == ANONYMOUS
    assert made.bearer(made.of_nobody().text, {}) == ANONYMOUS


def test_a_token_ends_after_its_lifetime_and_a_little_patience() -> None:
    clock = Clock()
    made = Tokens(KEY, clock=clock)
    token = made.of_user("alice", ALICE)
    assert token.issued == clock.now
    clock.now += LIFETIME + LEEWAY - 1
    assert made.bearer(token.text, HASHES) == User("alice")
    clock.now += 1
    assert refused(made, token.text)


def test_a_changed_password_ends_the_token() -> None:
    made = Tokens(KEY)
    assert refused(made, made.of_user("alice", ALICE).text, HASHES | {"alice": HASHES["bob"]})


def test_a_removed_user_ends_the_token() -> None:
    made = Tokens(KEY)
    assert refused(made, made.of_user("alice", ALICE).text, {"bob": HASHES["bob"]})


def test_a_token_of_another_registry_is_worth_nothing() -> None:
    assert refused(Tokens(KEY), Tokens(b"x" * 32).of_user("alice", ALICE).text)
    assert refused(Tokens(KEY), Tokens(b"x" * 32).of_nobody().text)


def test_every_changed_letter_of_a_token_spoils_it() -> None:
    made = Tokens(KEY)
    text = made.of_user("alice", ALICE).text
    for place, letter in enumerate(text):
        assert refused(made, text[:place] + ("A" if letter != "A" else "B") + text[place + 1 :]), place


def test_a_signature_of_nobody_signs_no_user() -> None:
    made = Tokens(KEY)
    nobody = made.of_nobody().text.partition(".")[2]
    said = made.of_user("alice", ALICE).text.partition(".")[0]
    assert refused(made, f"{said}.{nobody}")
    assert refused(made, f"{said}.{nobody}", {"alice": b""})


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "x",
        "x.y",
        "!!.!!",
        "\u00e9.\u00e9",
        encoded({"user": "alice", "until": 9e9}),
        encoded({"user": "alice", "until": 9_000_000_000}) + ".",
        encoded({"user": "alice", "until": 9_000_000_000}) + "." + "A" * 43,
        encoded({"user": ["alice"], "until": 9_000_000_000}) + ".x",
        encoded({"user": None, "until": 9_000_000_000}) + ".x",
        encoded(["alice", 9_000_000_000]) + ".x",
        encoded("alice") + ".x",
        encoded({}) + ".x",
        base64.urlsafe_b64encode(b"[" * 5000).decode() + ".x",
        base64.urlsafe_b64encode(b"\xff\xfe").decode() + ".x",
    ],
)
def test_anything_else_is_no_token(text: str) -> None:
    assert refused(Tokens(KEY), text)


def test_a_token_holds_neither_hash_nor_rights() -> None:
    said = Tokens(KEY, clock=Clock()).of_user("alice", ALICE).text.partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(said + "==")) == {"user": "alice", "until": 1000 + LIFETIME}


def anonymous(data: Path) -> Settings:
    return Settings(data=data, anonymous_pull=True)


def office(data: Path) -> Tokens:
    made = tokens.of(anonymous(data))
    assert made is not None
    return made


def test_without_anonymous_pull_there_is_no_key(tmp_path: Path) -> None:
    assert tokens.of(Settings(data=tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    office(tmp_path)
    file = tmp_path / "token-key"
    assert (len(file.read_bytes()), file.stat().st_mode & 0o777) == (32, 0o600)


def test_a_restart_keeps_the_tokens_that_are_out(tmp_path: Path) -> None:
    text = office(tmp_path).of_user("alice", ALICE).text
    assert office(tmp_path).bearer(text, HASHES) == User("alice")


def test_workers_that_start_together_have_one_key(tmp_path: Path) -> None:
    start = threading.Barrier(16)
    made: list[Tokens] = []

    def begin() -> None:
        start.wait(10)
        made.append(office(tmp_path))

    workers = [threading.Thread(target=begin) for _ in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    text = made[0].of_nobody().text
    assert [each.bearer(text, {}) for each in made] == [ANONYMOUS] * 16


def test_another_key_ends_all_tokens(tmp_path: Path) -> None:
    text = office(tmp_path).of_nobody().text
    (tmp_path / "token-key").unlink()
    assert refused(office(tmp_path), text)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_key_that_is_none_stops_the_start_and_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token-key").write_bytes(content)
    with pytest.raises(errors.Misconfigured, match="token-key is no key of 32 bytes: delete it"):
        office(tmp_path)


# At the door: logins and tokens together.


@pytest.fixture
def open_door(users_file: Path) -> Door:
    return Door(users_file, limit=3, tokens=Tokens(KEY))


def bearer(door: Door, user: str = "", password: str = "") -> str:
    return f"Bearer {door.authenticator.token(user, password, '192.0.2.1').text}"


def test_a_token_opens_what_its_password_opens(open_door: Door) -> None:
    token = bearer(open_door, "alice", "wonderland")
    assert open_door.authenticator.authenticate(token, "192.0.2.1") == User("alice")
    assert open_door.authenticator.authenticate(token.replace("Bearer", "bEARER"), "192.0.2.1") == User("alice")


def test_a_token_costs_no_bcrypt(open_door: Door) -> None:
    token = bearer(open_door, "alice", "wonderland")
    open_door.clock.now += 120
    asked = len(open_door.asked)
    assert open_door.show(token) == 200
    assert len(open_door.asked) == asked


@pytest.mark.parametrize("header", [None, "", basic("", "")])
def test_no_and_empty_credentials_are_nobodys(open_door: Door, header: str | None) -> None:
    assert open_door.authenticator.authenticate(header, "192.0.2.1") == ANONYMOUS


@pytest.mark.parametrize(
    "header",
    [basic("", "x"), basic("alice", ""), basic("anonymous", ""), "Basic", "Basic !", "Bearer", "Bearer x.y", "Token x"],
)
def test_wrong_credentials_are_nobodys_either(open_door: Door, header: str) -> None:
    assert open_door.show(header) == 401


def test_wrong_passwords_are_counted_where_tokens_are_had(open_door: Door) -> None:
    for _ in range(3):
        with pytest.raises(errors.Unauthorized):
            open_door.authenticator.token("alice", "guess", "192.0.2.1")
    with pytest.raises(errors.TooManyRequests):
        open_door.authenticator.token("alice", "wonderland", "192.0.2.1")
    assert open_door.open("alice", "wonderland") == 429


def test_a_token_goes_on_beside_an_attacker_at_the_same_address(open_door: Door) -> None:
    token = bearer(open_door, "alice", "wonderland")
    for number in range(4):
        open_door.open("alice", f"guess {number}")
    assert open_door.show(token) == 200


def test_a_new_password_ends_a_token_at_once(open_door: Door, users_file: Path) -> None:
    token = bearer(open_door, "alice", "wonderland")
    swap(users_file, line("alice", "looking-glass"))
    assert open_door.show(token) == 401


def test_even_the_same_password_set_anew_ends_a_token(open_door: Door, users_file: Path) -> None:
    token = bearer(open_door, "alice", "wonderland")
    swap(users_file, line("alice", "wonderland"))
    assert open_door.show(token) == 401


def test_a_removed_user_is_out_with_the_token(open_door: Door, users_file: Path) -> None:
    token, nobodys = bearer(open_door, "alice", "wonderland"), bearer(open_door)
    swap(users_file, line("bob", "builder"))
    assert (open_door.show(token), open_door.show(nobodys)) == (401, 200)


def test_a_change_for_others_leaves_a_token_alone(open_door: Door, users_file: Path) -> None:
    token = bearer(open_door, "alice", "wonderland")
    users_file.write_text(users_file.read_text() + line("carol", "singer"))
    assert open_door.show(token) == 200


@pytest.mark.parametrize("header", [None, "", basic("", "")])
def test_without_anonymous_pull_nobody_passes(door: Door, header: str | None) -> None:
    assert door.show(header) == 401


def test_without_anonymous_pull_tokens_are_neither_made_nor_taken(door: Door) -> None:
    with pytest.raises(errors.RouteUnknown):
        door.authenticator.token("alice", "wonderland", "192.0.2.1")
    assert door.show(f"Bearer {Tokens(KEY).of_nobody().text}") == 401
