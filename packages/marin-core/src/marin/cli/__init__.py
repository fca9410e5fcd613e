"""The `marin` command."""
