"""Evaluate language models."""
