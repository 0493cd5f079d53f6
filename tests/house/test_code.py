"""The code keeps to the size and the form that the house has settled on."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import pytest

from tests.house.pages import PACKAGE, ROOT

_PACKAGES = (PACKAGE, ROOT / "operator" / "pier_operator")
_MIGRATIONS = PACKAGE / "metadata" / "migrations"


def _modules() -> list[Path]:
    found = (path for package in _PACKAGES for path in package.rglob("*.py"))
    return sorted(path for path in found if path.read_text(encoding="utf-8").strip())


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _written() -> list[Path]:
    """Modules that people write; migrations are mostly generated."""
    return [path for path in _modules() if _MIGRATIONS not in path.parents]


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions() -> list[int]:
    """Lines of every function and method, with its docstring."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in _written()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return [
        node.end_lineno - node.lineno + 1 for node in nodes if isinstance(node, ast.FunctionDef) and node.end_lineno
    ]


def test_no_module_is_longer_than_400_lines() -> None:
    assert {_name(path): _lines(path) for path in _written() if _lines(path) > 400} == {}


def test_the_median_module_is_no_longer_than_150_lines() -> None:
    assert median(map(_lines, _written())) <= 150


def test_the_median_function_is_no_longer_than_10_lines() -> None:
    assert median(_functions()) <= 10


def test_nine_functions_of_ten_are_no_longer_than_35_lines() -> None:
    lengths = sorted(_functions())
    assert lengths[len(lengths) * 9 // 10] <= 35


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_a_module_is_named_for_what_it_holds(path: Path) -> None:
    assert not {"utils", "helpers", "manager", "common", "misc"} & set(path.stem.split("_"))


def test_only_a_door_catches_everything() -> None:
    """Flask's error handler is the door of a request; what goes round it or gunicorn, or runs beside, has its own."""
    caught = [_name(path) for path in _written() if _catches_everything(path)]
    assert caught == [
        "operator/pier_operator/work.py",
        "registry/pier_registry/actions/reclaim.py",
        "registry/pier_registry/lingering.py",
        "registry/pier_registry/web/shortcut.py",
    ]


def _catches_everything(path: Path) -> bool:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
    return any(
        node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception") for node in handlers
    )


def test_only_one_file_changes_a_count() -> None:
    changing = [path.name for path in _written() if ".values(cnt=" in path.read_text(encoding="utf-8")]
    assert changing == ["recount.py", "refcounts.py"]  # recount repairs what it has found to be wrong
