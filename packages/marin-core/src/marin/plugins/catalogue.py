"""The groups of plug-ins that Marin knows, and the plug-ins that its own packages give."""

from collections.abc import Mapping
from types import MappingProxyType

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "marin.commands": "command",
        "marin.cluster_backends": "cluster back end",
        "marin.classifiers": "classifier",
        "marin.generation_engines": "generation engine",
        "marin.evaluators": "evaluator",
        "marin.eval.engines": "scoring engine",
        "marin.eval.tasks": "evaluation task",
        "marin.rl.environments": "environment",
        "marin.rl.inference": "inference context",
        "marin.rl.weight_transfer": "weight transfer",
        "marin.rl.losses": "loss",
        "marin.rl.policies": "policy",
    }
)
"""Entry-point group to what messages call one plug-in of it."""

BUILT_IN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "marin.commands": {
            "classify": "marin-classifiers",
            "completion": "marin-core",
            "plan": "marin-core",
            "plugins": "marin-core",
            "run": "marin-core",
            "status": "marin-core",
        },
        "marin.cluster_backends": {
            "iris": "marin-core[iris]",
            "iris-local": "marin-core[iris]",
            "iris-task": "marin-core[iris]",
            "local": "marin-core",
        },
        "marin.classifiers": {
            "fasttext": "marin-classifiers[fasttext]",
            "length": "marin-classifiers",
        },
        "marin.generation_engines": {"scripted": "marin-generation"},
        "marin.eval.engines": {"uniform": "marin-eval"},
        "marin.rl.environments": {"arithmetic": "marin-rl"},
    }
)
"""Group to name to what `uv pip install` must get for it; so a name whose package is not installed can be explained."""
