"""What authors of cluster back ends run on theirs."""
