"""Registry v2 beside other registries, on one certificate and one users file."""
