"""`python -m tests.operator.golden`: write the golden files anew."""

from tests.operator.golden import main

main()
