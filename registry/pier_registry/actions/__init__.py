"""What a registry does: one verb a file, read from top to bottom."""

from pier_registry.actions import browse, delete, fsck, inspect, publish, pull, push_session, reclaim, upload

__all__ = ["browse", "delete", "fsck", "inspect", "publish", "pull", "push_session", "reclaim", "upload"]
