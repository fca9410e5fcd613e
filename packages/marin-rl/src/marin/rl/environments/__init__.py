"""Environments: what a policy is asked, and how its responses are rewarded."""
