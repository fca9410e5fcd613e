"""Experiments as graphs of steps that run once: `marin.execution.executor` is what scripts import."""
