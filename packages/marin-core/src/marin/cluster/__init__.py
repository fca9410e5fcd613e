"""Jobs on Fray clusters: connect, submit, wait, read logs, list nodes."""
