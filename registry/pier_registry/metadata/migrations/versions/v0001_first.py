"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from pier_registry.metadata.columns import Exact

revision = "0001"
down_revision = None


def _index(name: str, table: str, columns: list[str]) -> None:
    """MySQL has no IF NOT EXISTS here, and a run that was killed may have come past it."""
    if name not in {known["name"] for known in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def upgrade() -> None:
    op.create_table(
        "duty",
        sa.Column("name", Exact(32), nullable=False),
        sa.Column("holder", Exact(64), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("user", Exact(190), nullable=False),
        sa.Column("action", Exact(32), nullable=False),
        sa.Column("repository", Exact(200), nullable=True),
        sa.Column("reference", Exact(255), nullable=True),
        sa.Column("freed", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_event_at", "event", ["at"])
    op.create_table(
        "layer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("digest", Exact(135), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("generation", Exact(36), nullable=False),
        sa.Column("uncompressed", Exact(135), nullable=True),
        sa.Column("lost", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cnt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cnt >= 0", name="layer_cnt"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "lease",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", Exact(8), nullable=False),
        sa.Column("object_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("repository", Exact(200), nullable=False),
        sa.Column("pusher", Exact(64), nullable=False),
        sa.Column("user", Exact(190), nullable=False),
        sa.Column("promises", sa.Integer(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "object_id", "repository", "pusher", name="lease_of"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_lease_until", "lease", ["until"])
    _index("lease_pusher", "lease", ["pusher", "repository"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("path", Exact(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_outbox_not_before", "outbox", ["not_before"])
    op.create_table(
        "pending_image",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("user", Exact(190), nullable=False),
        sa.Column("pusher", Exact(64), nullable=False),
        sa.Column("image_id", Exact(64), nullable=False),
        sa.Column("parent", Exact(64), nullable=True),
        sa.Column(
            "json",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mariadb").with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user", "image_id", "pusher", name="pending_image_of"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_pending_image_touched", "pending_image", ["touched"])
    op.create_table(
        "push_session",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("user", Exact(190), nullable=False),
        sa.Column("pusher", Exact(64), nullable=False),
        sa.Column("repository", Exact(200), nullable=False),
        sa.Column(
            "announced",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("tags", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), server_default="0", nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_push_session_touched", "push_session", ["touched"])
    _index("push_session_of", "push_session", ["pusher", "repository"])
    op.create_table(
        "repository",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", Exact(200), nullable=False),
        sa.Column("access", Exact(16), server_default="private", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "image",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("image_id", Exact(64), nullable=False),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("layer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "json",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mariadb").with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.Column("payload", Exact(135), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("cnt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cnt >= 0", name="image_cnt"),
        sa.ForeignKeyConstraint(
            ["layer_id"],
            ["layer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["image.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("image_id"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_image_layer_id", "image", ["layer_id"])
    _index("ix_image_parent_id", "image", ["parent_id"])
    op.create_table(
        "manifest",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", Exact(135), nullable=False),
        sa.Column("media_type", Exact(255), nullable=False),
        sa.Column("artifact_type", Exact(255), nullable=True),
        sa.Column(
            "annotations",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column(
            "body",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mariadb").with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.Column("config_layer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("subject_digest", Exact(135), nullable=True),
        sa.Column("origin", Exact(8), server_default="pushed", nullable=False),
        sa.Column("cnt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cnt >= 0", name="manifest_cnt"),
        sa.ForeignKeyConstraint(
            ["config_layer_id"],
            ["layer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("repository_id", "digest", name="manifest_digest"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_manifest_config_layer_id", "manifest", ["config_layer_id"])
    _index("manifest_subject", "manifest", ["repository_id", "subject_digest"])
    op.create_table(
        "upload",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("uuid", Exact(36), nullable=False),
        sa.Column("user", Exact(190), nullable=False),
        sa.Column("repository", Exact(200), nullable=True),
        sa.Column("pending_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("digest", Exact(135), nullable=True),
        sa.Column("payload", Exact(135), nullable=True),
        sa.Column("uncompressed", Exact(135), nullable=True),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pending_id"],
            ["pending_image.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_upload_pending_id", "upload", ["pending_id"])
    _index("ix_upload_touched", "upload", ["touched"])
    _index("ix_upload_user", "upload", ["user"])
    op.create_table(
        "image_view",
        sa.Column("image_id", Exact(64), nullable=False),
        sa.Column(
            "manifest_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest_id"],
            ["manifest.id"],
        ),
        sa.PrimaryKeyConstraint("image_id", "manifest_id"),
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
    _index("ix_image_view_manifest_id", "image_view", ["manifest_id"])
    op.create_table(
        "manifest_child",
        sa.Column(
            "parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "child_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["child_id"],
            ["manifest.id"],
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["manifest.id"],
        ),
        sa.PrimaryKeyConstraint("parent_id", "child_id"),
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
    _index("ix_manifest_child_child_id", "manifest_child", ["child_id"])
    op.create_table(
        "manifest_layer",
        sa.Column(
            "manifest_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "layer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["layer_id"],
            ["layer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["manifest_id"],
            ["manifest.id"],
        ),
        sa.PrimaryKeyConstraint("manifest_id", "layer_id"),
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
    _index("ix_manifest_layer_layer_id", "manifest_layer", ["layer_id"])
    op.create_table(
        "tag",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", Exact(128), nullable=False),
        sa.Column("manifest_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("image_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["image.id"],
        ),
        sa.ForeignKeyConstraint(
            ["manifest_id"],
            ["manifest.id"],
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("repository_id", "name", name="tag_name"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("ix_tag_image_id", "tag", ["image_id"])
    _index("ix_tag_manifest_id", "tag", ["manifest_id"])
