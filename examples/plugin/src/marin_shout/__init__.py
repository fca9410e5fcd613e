"""A generation engine for Marin that answers in capitals."""
