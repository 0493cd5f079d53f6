"""The tables. Edges are the truth; every `cnt` is the number of direct holders, kept in the same transaction.

    tag ──▶ manifest ──▶ layer        manifest_layer: one row per distinct layer of a manifest
     │         └──▶ manifest          manifest_child: an index holds its children
     └────▶ image ──▶ layer           a v1 image holds its parent image and its layer
                └──▶ image

Names, tags, digests and users are compared byte for byte. Times are milliseconds since 1970 by the
database's clock. Ids are never reused, so a lease or an outbox row cannot come to mean something else.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.dialects import mysql

from pier_registry.metadata.columns import MYSQL, Body, Bytes, Exact, Id, Milliseconds

metadata = MetaData()
_NAME = 200
_DIGEST = 135
_USER = 190
_LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), *MYSQL)


def _table(name: str, *columns: Column | UniqueConstraint | CheckConstraint | Index) -> Table:  # type: ignore[type-arg]
    return Table(name, metadata, *columns, sqlite_autoincrement=True, mysql_engine="InnoDB", mysql_charset="utf8mb4")


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


repository = _table(
    "repository",
    _id(),
    # A repository that is being deleted is renamed to `#<id>`, which no request can spell.
    Column("name", Exact(_NAME), nullable=False, unique=True),
    Column("access", Exact(16), nullable=False, server_default="private"),
    Column("created", Milliseconds, nullable=False),
    Column("touched", Milliseconds, nullable=False),
)

layer = _table(
    "layer",
    _id(),
    Column("digest", Exact(_DIGEST), nullable=False, unique=True),
    Column("size", Bytes, nullable=False),
    Column("generation", Exact(36), nullable=False),
    Column("uncompressed", Exact(_DIGEST)),
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("cnt", Integer, nullable=False, server_default="0"),
    Column("created", Milliseconds, nullable=False),
    CheckConstraint("cnt >= 0", name="layer_cnt"),
)

manifest = _table(
    "manifest",
    _id(),
    Column("repository_id", Id, ForeignKey("repository.id"), nullable=False),
    Column("digest", Exact(_DIGEST), nullable=False),
    Column("media_type", Exact(255), nullable=False),
    Column("artifact_type", Exact(255)),
    Column("annotations", _LONG_TEXT),
    Column("size", Bytes, nullable=False),
    Column("body", Body, nullable=False),
    Column("config_layer_id", Id, ForeignKey("layer.id"), index=True),
    Column("subject_digest", Exact(_DIGEST)),
    Column("origin", Exact(8), nullable=False, server_default="pushed"),
    Column("cnt", Integer, nullable=False, server_default="0"),
    Column("created", Milliseconds, nullable=False),
    UniqueConstraint("repository_id", "digest", name="manifest_digest"),
    Index("manifest_subject", "repository_id", "subject_digest"),
    CheckConstraint("cnt >= 0", name="manifest_cnt"),
)

manifest_layer = Table(
    "manifest_layer",
    metadata,
    Column("manifest_id", Id, ForeignKey("manifest.id"), primary_key=True, autoincrement=False),
    Column("layer_id", Id, ForeignKey("layer.id"), primary_key=True, autoincrement=False, index=True),
    Column("position", Integer, nullable=False),
    mysql_engine="InnoDB",
)

manifest_child = Table(
    "manifest_child",
    metadata,
    Column("parent_id", Id, ForeignKey("manifest.id"), primary_key=True, autoincrement=False),
    Column("child_id", Id, ForeignKey("manifest.id"), primary_key=True, autoincrement=False, index=True),
    Column("position", Integer, nullable=False),
    mysql_engine="InnoDB",
)

image = _table(
    "image",
    _id(),
    Column("image_id", Exact(64), nullable=False, unique=True),
    Column("parent_id", Id, ForeignKey("image.id"), index=True),
    Column("layer_id", Id, ForeignKey("layer.id"), nullable=False, index=True),
    Column("json", Body, nullable=False),
    Column("payload", Exact(_DIGEST), nullable=False),
    Column("depth", Integer, nullable=False),
    Column("cnt", Integer, nullable=False, server_default="0"),
    Column("created", Milliseconds, nullable=False),
    CheckConstraint("cnt >= 0", name="image_cnt"),
)

image_view = Table(
    "image_view",
    metadata,
    Column("image_id", Exact(64), primary_key=True),
    Column("manifest_id", Id, ForeignKey("manifest.id"), primary_key=True, autoincrement=False, index=True),
    Column("position", Integer, nullable=False),
    # Both are held by the manifest, or by one below it.
    Column("layer_id", Id),
    Column("config_id", Id),
    mysql_engine="InnoDB",
)

tag = _table(
    "tag",
    _id(),
    Column("repository_id", Id, ForeignKey("repository.id"), nullable=False),
    Column("name", Exact(128), nullable=False),
    Column("manifest_id", Id, ForeignKey("manifest.id"), index=True),
    Column("image_id", Id, ForeignKey("image.id"), index=True),
    Column("agent", Text),
    Column("updated", Milliseconds, nullable=False),
    UniqueConstraint("repository_id", "name", name="tag_name"),
)

lease = _table(
    "lease",
    _id(),
    Column("kind", Exact(8), nullable=False),
    Column("object_id", Id, nullable=False),
    Column("repository", Exact(_NAME), nullable=False),
    Column("pusher", Exact(64), nullable=False),
    Column("user", Exact(_USER), nullable=False),
    Column("promises", Integer, nullable=False),
    # HEADs that will ask for what was just uploaded or mounted, and are promised nothing more.
    Column("echoes", Integer, nullable=False, server_default="0"),
    Column("born", Milliseconds, nullable=False),
    Column("until", Milliseconds, nullable=False, index=True),
    UniqueConstraint("kind", "object_id", "repository", "pusher", name="lease_of"),
    Index("lease_pusher", "pusher", "repository"),
)

pending_image = _table(
    "pending_image",
    _id(),
    Column("user", Exact(_USER), nullable=False),
    Column("pusher", Exact(64), nullable=False),
    Column("image_id", Exact(64), nullable=False),
    Column("parent", Exact(64)),
    Column("json", Body, nullable=False),
    Column("touched", Milliseconds, nullable=False, index=True),
    UniqueConstraint("user", "image_id", "pusher", name="pending_image_of"),
)

upload = _table(
    "upload",
    _id(),
    Column("uuid", Exact(36), nullable=False, unique=True),
    Column("user", Exact(_USER), nullable=False, index=True),
    Column("repository", Exact(_NAME)),
    Column("pending_id", Id, ForeignKey("pending_image.id"), index=True),
    Column("size", Bytes, nullable=False, server_default="0"),
    Column("digest", Exact(_DIGEST)),
    # Where its file may have been moved to when the transaction that counts it did not come.
    Column("expected", Exact(_DIGEST)),
    Column("payload", Exact(_DIGEST)),
    Column("uncompressed", Exact(_DIGEST)),
    Column("started", Milliseconds, nullable=False),
    Column("touched", Milliseconds, nullable=False, index=True),
)

push_session = _table(
    "push_session",
    _id(),
    Column("user", Exact(_USER), nullable=False),
    Column("pusher", Exact(64), nullable=False),
    Column("repository", Exact(_NAME), nullable=False),
    Column("announced", _LONG_TEXT, nullable=False),
    Column("tags", Integer, nullable=False),
    Column("ended", Integer, nullable=False, server_default="0"),
    Column("born", Milliseconds, nullable=False),
    Column("touched", Milliseconds, nullable=False, index=True),
    Index("push_session_of", "pusher", "repository"),
)

outbox = _table(
    "outbox",
    _id(),
    Column("path", Exact(255), nullable=False),
    Column("size", Bytes, nullable=False),
    Column("not_before", Milliseconds, nullable=False, index=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
)

duty = Table(
    "duty",
    metadata,
    Column("name", Exact(32), primary_key=True),
    Column("holder", Exact(64), nullable=False),
    Column("until", Milliseconds, nullable=False),
    mysql_engine="InnoDB",
)

event = _table(
    "event",
    _id(),
    Column("at", Milliseconds, nullable=False, index=True),
    Column("user", Exact(_USER), nullable=False),
    Column("action", Exact(32), nullable=False),
    Column("repository", Exact(_NAME)),
    Column("reference", Exact(255)),
    Column("freed", Bytes, nullable=False, server_default="0"),
)
