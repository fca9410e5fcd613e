"""Plug-ins: what other packages add to Marin through entry points."""
