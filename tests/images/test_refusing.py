"""What a container says that was started wrong: one sentence, and an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.container import HARDENED, IMAGE
from tests.parts.docker_engine import DockerEngine

_SETTINGS = [
    (("--env=PIER_PORT=https",), "pier: PIER_PORT is 'https', and takes a port from 1 to 65535"),
    (("--env=PIER_PROT=5443",), "pier: PIER_PROT is not a setting: see docs/settings.md for the list"),
    (
        ("--env=PIER_ADMIN_PASSWORD=" + "x" * 73,),
        "pier: PIER_ADMIN_PASSWORD cannot be used: the password has 73 bytes: choose one of at most 72",
    ),
    (("--env=PIER_CONFIG=/data/pier.yaml",), "pier: PIER_CONFIG names /data/pier.yaml, which cannot be read:"),
    (("--env=PIER_HOST=192.0.2.77",), "pier: port 5443 on 192.0.2.77 cannot be listened on"),
]


@pytest.mark.parametrize(("options", "sentence"), _SETTINGS, ids=[options[0][6:22] for options, _ in _SETTINGS])
def test_a_wrong_setting_is_one_line(engine: DockerEngine, options: tuple[str, ...], sentence: str) -> None:
    done = engine.attempt("run", "--rm", *HARDENED, *options, IMAGE)
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]  # those are the log's
    assert line.startswith(sentence)
    assert done.returncode == 1
    assert done.stdout == ""


def test_a_folder_of_somebody_else_is_one_line(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    done = engine.attempt("run", "--rm", *HARDENED, f"--volume={tmp_path}/data:/data", IMAGE)
    assert done.stderr.splitlines() == ["pier: /data/run: Permission denied"]
    assert done.returncode == 1


def test_a_verb_that_is_none_is_wrong_usage(engine: DockerEngine) -> None:
    done = engine.attempt("run", "--rm", IMAGE, "sevre")
    assert "No such command 'sevre'" in done.stderr
    assert done.returncode == 2
