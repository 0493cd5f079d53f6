"""nginx, the front door: its configuration, rendered from the settings, and the program that runs it."""
