"""The real parts, for every test; how tests are shared out among workers; and an end that cleans up."""

from __future__ import annotations

pytest_plugins = ["tests.parts.fixtures", "tests.groups", "tests.alone", "tests.ending"]
