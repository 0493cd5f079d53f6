"""Pier's operator: turns each PierRegistry into a running registry, and keeps it that way."""

__version__ = "0.1.0"
