"""Cluster back ends that come with marin-core."""
