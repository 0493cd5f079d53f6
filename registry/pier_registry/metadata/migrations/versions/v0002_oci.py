"""What v2 needs: HEADs that follow an own upload, the digest that an upload will become, layers of v1 faces."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from pier_registry.metadata.columns import Exact

revision = "0002"
down_revision = "0001"


def _column(table: str, column: "sa.Column[Any]") -> None:
    """MySQL commits each statement, so a run that was killed may have come past it."""
    if column.name not in {known["name"] for known in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def upgrade() -> None:
    _column("lease", sa.Column("echoes", sa.Integer(), server_default="0", nullable=False))
    _column("upload", sa.Column("expected", Exact(135), nullable=True))
    for name in ("layer_id", "config_id"):
        _column("image_view", sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
