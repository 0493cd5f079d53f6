"""Pier on a real cluster of one node: how soon it is there, what it takes, and what its clients notice."""
