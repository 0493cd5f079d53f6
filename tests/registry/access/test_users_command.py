"""`pier users`, as people and scripts run it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from pier_registry import errors
from pier_registry.cli.users import users
from pier_registry.web.rights import Rights, User
from tests.registry.access.door import Door, line

PROGRAM = [sys.executable, "-c", "from pier_registry.cli.users import users; users()"]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("PIER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIER_DATA", str(tmp_path))
    return tmp_path


def pier_users(*words: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(users, [*words], input=stdin)


def add(name: str, *words: str, password: str = "secret") -> Result:
    return pier_users("add", name, "--password-stdin", "--cost", "10", *words, stdin=password)


def login(data: Path, user: str, password: str) -> int:
    return Door(data / "users.htpasswd").open(user, password)


def wrong(result: Result) -> str:
    assert isinstance(result.exception, errors.PierError)
    return result.exception.message


@pytest.mark.parametrize("typed", ["secret", "secret\n", "secret\r\n"])
def test_a_user_added_with_a_password_from_stdin_can_log_in(data: Path, typed: str) -> None:
    result = add("alice", password=typed)
    assert (result.exit_code, result.output) == (0, "user alice added\n")
    assert login(data, "alice", "secret") == 200


def test_a_generated_password_is_printed_and_works(data: Path) -> None:
    result = pier_users("add", "alice", "--generate", "--cost", "10", "--output", "json")
    told = json.loads(result.output)
    assert (told["name"], told["done"], len(told["password"]) >= 20) == ("alice", "added", True)
    assert login(data, "alice", told["password"]) == 200


def test_a_generated_password_is_shown_to_people_too(data: Path) -> None:
    output = pier_users("add", "alice", "--generate", "--cost", "10").output
    assert login(data, "alice", output.splitlines()[1].removeprefix("password: ")) == 200


def test_a_given_password_is_never_printed() -> None:
    assert "secret" not in add("alice").output + add("bob", "--output", "json").output


def test_the_cost_is_12_unless_asked_otherwise(data: Path) -> None:
    pier_users("add", "alice", "--password-stdin", stdin="secret")
    add("bob")
    told = json.loads(pier_users("list", "--output", "json").output)
    assert [(each["name"], each["cost"]) for each in told] == [("alice", 12), ("bob", 10)]


@pytest.mark.parametrize("cost", ["9", "15"])
def test_a_cost_out_of_bounds_is_refused(data: Path, cost: str) -> None:
    assert pier_users("add", "alice", "--generate", "--cost", cost).exit_code == 2
    assert not (data / "users.htpasswd").exists()


def test_roles_and_patterns_go_into_the_rights_file(data: Path) -> None:
    words = ["--role", "push", "--repositories", "team/*", "--role", "pull", "--repositories", "*"]
    assert add("alice", *words).exit_code == 0
    assert yaml.safe_load((data / "rights.yaml").read_text()) == {
        "users": {
            "alice": [{"role": "push", "repositories": ["team/*"]}, {"role": "pull", "repositories": ["*"]}],
        }
    }
    rights = Rights(data / "rights.yaml", "none")
    assert (rights.may(User("alice"), "push", "team/a"), rights.may(User("alice"), "push", "a/b")) == (True, False)


def test_comments_of_the_rights_file_survive_a_new_user(data: Path) -> None:
    text = "# who may what\nusers:\n  bob: []  # on leave"
    (data / "rights.yaml").write_text(text)
    add("alice", "--role", "pull", "--repositories", "team/*")
    assert (data / "rights.yaml").read_text().startswith(text + "\n")
    assert not Rights(data / "rights.yaml", "push").may(User("bob"), "pull", "team/a")
    assert Rights(data / "rights.yaml", "none").may(User("alice"), "pull", "team/a")


@pytest.mark.parametrize("text", ["users: {bob: []}\n", "{users: {bob: []}}", "users:\n    bob: []\n", "users: {}\n"])
def test_a_rights_file_in_another_form_keeps_its_entries(data: Path, text: str) -> None:
    (data / "rights.yaml").write_text(text)
    assert add("alice", "--role", "pull", "--repositories", "team/*").exit_code == 0
    before = yaml.safe_load(text)["users"]
    after = yaml.safe_load((data / "rights.yaml").read_text())["users"]
    assert after == before | {"alice": [{"role": "pull", "repositories": ["team/*"]}]}


def test_a_user_whose_name_means_something_to_yaml_gets_rights(data: Path) -> None:
    assert add("no", "--role", "pull", "--repositories", "team/*").exit_code == 0
    assert Rights(data / "rights.yaml", "none").may(User("no"), "pull", "team/a")


def test_a_broken_rights_file_stops_the_add_before_anything_is_written(data: Path) -> None:
    (data / "rights.yaml").write_text("users: [")
    assert "is not YAML" in wrong(add("alice", "--role", "pull", "--repositories", "x"))
    assert (data / "rights.yaml").read_text() == "users: ["
    assert not (data / "users.htpasswd").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--role", "push"], "give one --repositories for each --role"),
        (["--repositories", "x"], "give one --repositories for each --role"),
        (["--role", "owner", "--repositories", "x"], "the role 'owner': use none, pull, push or admin"),
        (["--role", "push", "--repositories", "Team"], "the pattern 'Team', which no repository can match"),
        (["--generate"], "exclude each other"),
    ],
)
def test_a_wrong_command_line_is_told_and_changes_nothing(data: Path, words: list[str], sentence: str) -> None:
    result = add("alice", *words)
    assert (result.exit_code, sentence in " ".join(result.output.split())) == (2, True)
    assert os.listdir(data) == []


@pytest.mark.parametrize("password", ["", "\n", "x" * 73, "a\0b", b"\xff"])
def test_a_password_that_cannot_be_used_is_refused(data: Path, password: str | bytes) -> None:
    result = pier_users("add", "alice", "--password-stdin", stdin=password)
    assert wrong(result).startswith("the password ")
    assert os.listdir(data) == []


def test_a_wrong_name_is_refused(data: Path) -> None:
    assert "cannot be a user name" in wrong(add("a:b", "--role", "push", "--repositories", "x"))
    assert os.listdir(data) == []


def test_nobody_can_have_the_name_that_stands_for_strangers(data: Path) -> None:
    refused = add("anonymous", "--role", "push", "--repositories", "*")
    assert "stands for whoever sends no credentials" in wrong(refused)
    assert list(data.iterdir()) == []


def test_a_taken_name_is_refused_and_keeps_its_rights(data: Path) -> None:
    add("alice", "--role", "pull", "--repositories", "x")
    before = (data / "rights.yaml").read_bytes()
    assert "pier users passwd alice" in wrong(add("alice", "--role", "admin", "--repositories", "*", password="other"))
    assert ((data / "rights.yaml").read_bytes(), login(data, "alice", "secret")) == (before, 200)


def test_without_a_terminal_a_password_must_come_from_somewhere() -> None:
    result = pier_users("add", "alice")
    assert (result.exit_code, "use --password-stdin or --generate" in result.output) == (2, True)


def test_passwd_changes_the_password(data: Path) -> None:
    add("alice")
    assert pier_users("passwd", "alice", "--password-stdin", "--cost", "10", stdin="new").exit_code == 0
    assert (login(data, "alice", "secret"), login(data, "alice", "new")) == (401, 200)


def test_passwd_for_an_unknown_user_is_refused() -> None:
    assert "there is no user bob" in wrong(pier_users("passwd", "bob", "--generate", "--cost", "10"))


@pytest.mark.parametrize("words", [["passwd", "admin", "--generate", "--cost", "10"], ["remove", "admin"]])
def test_the_generated_password_of_admin_does_not_outlive_its_use(data: Path, words: list[str]) -> None:
    (data / "users.htpasswd").write_text(line("admin", "generated"))
    (data / "admin-password").write_text("generated\n")
    assert pier_users(*words).exit_code == 0
    assert not (data / "admin-password").exists()


def test_a_removed_user_loses_login_and_rights(data: Path) -> None:
    add("alice", "--role", "admin", "--repositories", "*")
    add("bob", "--role", "pull", "--repositories", "x")
    assert pier_users("remove", "alice", "--output", "json").output == '{"name": "alice", "done": "removed"}\n'
    assert login(data, "alice", "secret") == 401
    assert list(yaml.safe_load((data / "rights.yaml").read_text())["users"]) == ["bob"]


def test_removing_an_unknown_user_is_refused() -> None:
    assert "there is no user bob" in wrong(pier_users("remove", "bob"))


def test_the_list_tells_rights_and_where_they_come_from(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIER_DEFAULT_ROLE", "pull")
    (data / "users.htpasswd").write_text(line("bob", "x") + line("admin", "x") + line("alice", "x"))
    (data / "rights.yaml").write_text("users: {alice: [{role: push, repositories: team/*}]}")
    told = json.loads(pier_users("list", "--output", "json").output)
    assert [(each["name"], each["source"], each["rights"]) for each in told] == [
        ("admin", "built-in", [{"role": "admin", "repositories": ["*"]}]),
        ("alice", "rights.yaml", [{"role": "push", "repositories": ["team/*"]}]),
        ("bob", "default", [{"role": "pull", "repositories": ["*"]}]),
    ]


def test_the_list_for_people_is_a_table_with_warnings_beside_it(data: Path) -> None:
    (data / "users.htpasswd").write_text(line("alice", "x") + "bob:{SHA}x\n")
    result = pier_users("list")
    assert "alice" in result.stdout
    assert "push on *" in result.stdout
    assert "line 2, user 'bob': not a usable bcrypt hash" in result.stderr
    assert "$2b$" not in result.output


def test_a_missing_data_folder_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIER_DATA", str(data / "none"))
    assert "there is no data folder" in wrong(add("alice"))


@pytest.mark.parametrize("words", [["add", "alice", "--generate"], ["list"], ["remove", "a"], ["passwd", "a"]])
def test_the_data_folder_of_another_owner_is_refused(data: Path, words: list[str]) -> None:
    os.chown(data, 12345, 12345)
    assert "belongs to user id 12345" in wrong(pier_users(*words))
    assert os.listdir(data) == []


def test_a_folder_of_root_is_taken_when_what_lies_in_it_is_ours(data: Path) -> None:
    """As Kubernetes leaves a volume."""
    (data / "layers").mkdir()
    os.chown(data, 12345, 12345)
    assert pier_users("add", "alice", "--generate").exit_code == 0
    os.chown(data / "layers", 12345, 12345)
    assert "belongs to user id 12345" in wrong(pier_users("list"))


def test_adds_at_the_same_time_lose_nobody(data: Path) -> None:
    names = [f"user{number}" for number in range(6)]
    grant = ["--role", "pull", "--repositories", "team/*", "--generate", "--cost", "10"]
    running = [subprocess.Popen([*PROGRAM, "add", name, *grant], stdout=subprocess.PIPE) for name in names]
    printed = [each.communicate(timeout=60)[0].decode() for each in running]
    for name, output in zip(names, printed, strict=True):
        assert login(data, name, output.splitlines()[1].removeprefix("password: ")) == 200
    assert sorted(yaml.safe_load((data / "rights.yaml").read_text())["users"]) == names


def test_one_name_added_twice_at_the_same_time_is_added_once(data: Path) -> None:
    command = [*PROGRAM, "add", "alice", "--generate", "--cost", "10"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for each in running:
        each.communicate(timeout=60)
    assert sorted(each.returncode for each in running) == [0, 1]
    assert (data / "users.htpasswd").read_text().count("alice:") == 1


def typed(*lines: str) -> tuple[int, str]:
    """Run `pier users add alice` on a terminal and type the lines; exit code and what the screen showed."""
    terminal, inner = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "add", "alice", "--cost", "10"], stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    ) as running:
        os.close(inner)
        screen = b""
        for prompt, text in zip((b"Password: ", b"Repeat for confirmation: "), lines, strict=True):
            while not screen.endswith(prompt):
                screen += os.read(terminal, 1024)
            os.write(terminal, text.encode() + b"\n")
        screen += os.read(terminal, 1024)
        if b"do not match" in screen:
            running.terminate()
        code = running.wait(30)
    os.close(terminal)
    return code, screen.decode()


def test_on_a_terminal_the_password_is_asked_twice_and_not_shown(data: Path) -> None:
    code, screen = typed("wonderland", "wonderland")
    assert (code, "wonderland" in screen) == (0, False)
    assert login(data, "alice", "wonderland") == 200
