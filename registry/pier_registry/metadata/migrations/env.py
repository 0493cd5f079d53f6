"""Alembic's entry: runs the versions on the connection that metadata/migrate.py hands over."""

from alembic import context

from pier_registry.metadata.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
