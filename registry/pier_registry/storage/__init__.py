"""Bytes: where they lie, how they become durable, how they go."""
