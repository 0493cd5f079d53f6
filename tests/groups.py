"""How tests are shared out among the workers of `pytest -n`: a group goes to one of them, and the long ones go first.

A group is a module, or more where tests share what takes long to start. Without `-n` all this is idle.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Folders whose modules share a server or a cluster.
WHOLE: Final = ("chart", "cluster", "images", "operator", "registry/api", "registry/protocol", "registry/refusing")
# A folder whose tests share a host, by the client on it, that is their only parameter.
BY_PARAMETER: Final = "clients"
# Groups, or folders of groups, by the time that they take; all others follow.
LONGEST: Final = (
    "cluster",
    "operator",
    "registry/bridge/test_crashing",
    "registry/counting/test_oci_storm",
    "registry/counting/test_oci_pairs",
    "clients",
    "images",
    "chart",
    "registry/frontdoor",
    "registry/counting",
    "registry/v2",
)

_SHOWN: Final = 25


class Groups(LoadScopeScheduling):
    """A worker gets the next group when it has nearly ended its last."""

    def __init__(self, config: pytest.Config, log: Producer | None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A worker's folder for files has a short name, because a socket's path may have about 100 bytes."""
    if hasattr(config, "workerinput"):
        config.option.basetemp = str(Path(config.option.basetemp).with_name(config.workerinput["workerid"][2:]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Groups:
    return Groups(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After pytest has sorted them by the fixtures that they share."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(group_of(item.nodeid)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where the time went, to keep `LONGEST` true."""
    if not terminalreporter.config.getoption("numprocesses", None):
        return
    spent: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[group_of(report.nodeid)] += report.duration
    terminalreporter.section("longest groups")
    for group in sorted(spent, key=spent.__getitem__, reverse=True)[:_SHOWN]:
        terminalreporter.write_line(f"{spent[group]:8.1f} s  {group}")


def group_of(test: str) -> str:
    """By the test's id, as `tests/folder/test_module.py::test_name[parameters]`."""
    path, _, name = test.partition("::")
    module = path.removeprefix("tests/").removesuffix(".py")
    folder = module.rpartition("/")[0]
    if folder in WHOLE:
        return folder
    parameter = name.partition("[")[2]
    return f"{folder}/[{parameter}" if folder == BY_PARAMETER and parameter else module


def _place(group: str) -> int:
    named = (number for number, name in enumerate(LONGEST) if f"{group}/".startswith(f"{name}/"))
    return next(named, len(LONGEST))
