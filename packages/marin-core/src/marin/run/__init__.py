"""`marin run`: scripts and commands on a cluster."""
