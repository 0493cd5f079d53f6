"""The operator at a real API server: what an apply takes, what rest costs, and what many registries do to it."""
