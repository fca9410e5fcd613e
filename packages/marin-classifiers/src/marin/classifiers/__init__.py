"""Text classifiers: train them, keep them in model folders, evaluate them; back ends are plug-ins."""
