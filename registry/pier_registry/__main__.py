"""`python -m pier_registry` is `pier`."""

from pier_registry.cli import main

main()
