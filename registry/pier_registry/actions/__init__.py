"""What a registry does: one verb a file, read from top to bottom."""

from pier_registry.actions import (
    blob_upload,
    browse,
    delete,
    delete_manifest,
    fsck,
    image_upload,
    inspect,
    publish,
    publish_manifest,
    pull,
    pull_manifest,
    push_session,
    reclaim,
    synthesise,
)

__all__ = [
    "blob_upload",
    "browse",
    "delete",
    "delete_manifest",
    "fsck",
    "image_upload",
    "inspect",
    "publish",
    "publish_manifest",
    "pull",
    "pull_manifest",
    "push_session",
    "reclaim",
    "synthesise",
]
