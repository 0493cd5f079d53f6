"""Measurements of a running registry, each beside the bound or the peer it is held against: `python -m bench`."""
