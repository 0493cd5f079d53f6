"""Pier: a container registry whose deletes give the disk back before they answer."""

__version__ = "0.1.0"
