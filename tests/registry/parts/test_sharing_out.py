"""Tests that run side by side: who runs what, who listens where, and what is left when the run is asked to end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import groups
from tests.house.pages import ROOT
from tests.parts.ports import free_port

_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
_TESTS = '''
import time
from pathlib import Path
import pytest

HERE = Path(__file__).parent

@pytest.fixture(scope="session")
def engine(worker_id):
    """As slow to take down as one that has containers."""
    place = HERE / f"engine-of-{worker_id}"
    place.touch()
    yield
    time.sleep(12)
    place.unlink()
    (HERE / f"{worker_id}-is-clean").touch()

def test_one(engine):
    time.sleep(300)

def test_other(engine):
    time.sleep(300)
'''


@pytest.mark.parametrize("name", [*groups.WHOLE, groups.BY_PARAMETER, *groups.LONGEST])
def test_what_is_named_exists(name: str) -> None:
    assert (ROOT / "tests" / name).is_dir() or (ROOT / "tests" / f"{name}.py").is_file()


def test_processes_get_ports_of_their_own() -> None:
    ours = {free_port() for _ in range(500)}
    asked = "from tests.parts.ports import free_port; print(*[free_port() for _ in range(500)])"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    theirs = {int(port) for port in told.stdout.split()}
    assert len(theirs) > 300
    assert len(ours) > 300
    assert not ours & theirs
    clients = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert max(ours | theirs) < int(clients[0])


_CROWD = """
import time
from pathlib import Path
import pytest

HERE = Path(__file__).parent

@pytest.fixture(autouse=True)
def told(request):
    began = time.monotonic()
    yield
    with (HERE / "told").open("a") as file:
        file.write(f"{request.node.originalname} {began} {time.monotonic()}\\n")

@pytest.mark.parametrize("number", range(12))
def test_any(number):
    time.sleep(0.2)

@pytest.mark.alone
@pytest.mark.parametrize("number", range(3))
def test_alone(number):
    time.sleep(0.2)
"""


def test_who_is_to_be_alone_is_alone(tmp_path: Path) -> None:
    (tmp_path / "test_crowd.py").write_text(_CROWD)
    told = subprocess.run(
        _pytest("tests.alone", "3"), cwd=tmp_path, env=_ENVIRONMENT, stdout=subprocess.PIPE, check=True
    )
    assert b"15 passed" in told.stdout
    lines = [line.split() for line in (tmp_path / "told").read_text().splitlines()]
    ran = sorted((float(began), float(ended), name) for name, began, ended in lines)
    met = {frozenset((one[2], other[2])) for one in ran for other in ran if one < other and other[0] < one[1]}
    assert met == {frozenset({"test_any"})}


@contextmanager
def waiting_in(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Two workers, each in a test that waits."""
    (folder / "test_waiting.py").write_text(_TESTS)
    with subprocess.Popen(
        _pytest("tests.ending", "2"),
        cwd=folder,
        env=_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        try:
            deadline = time.monotonic() + 60
            while len(list(folder.glob("engine-of-*"))) < 2:
                assert time.monotonic() < deadline
                assert run.poll() is None
                time.sleep(0.1)
            yield run
        finally:
            run.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_end_takes_down_what_its_workers_started(tmp_path: Path, number: signal.Signals) -> None:
    with waiting_in(tmp_path) as run:
        run.send_signal(number)
        said, _ = run.communicate(timeout=100)
    assert run.returncode == 2, said
    assert {path.name for path in tmp_path.glob("*-is-clean")} == {"gw0-is-clean", "gw1-is-clean"}, said
    assert list(tmp_path.glob("engine-of-*")) == []


def _pytest(plugin: str, workers: str) -> list[str]:
    """Of the tests in the folder that it is started in."""
    return [sys.executable, "-m", "pytest", "-n", workers, "-p", plugin, "-p", "no:cacheprovider", "."]
