"""What a registry does: one verb a file, read from top to bottom."""
