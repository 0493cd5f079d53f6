"""Rows: what exists, who holds it, what was promised. SQLAlchemy Core; no row object leaves this room."""
