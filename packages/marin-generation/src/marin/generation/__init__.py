"""Run language models over data sets."""
