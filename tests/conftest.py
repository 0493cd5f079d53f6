"""The real parts, for every test."""

pytest_plugins = ["tests.parts.fixtures"]
