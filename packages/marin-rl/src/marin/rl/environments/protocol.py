"""What an environment is: prompts in, rewards out; the plug-in group `marin.rl.environments`."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

ENVIRONMENT_GROUP = "marin.rl.environments"
"""Entry-point group; each entry is an `Environment`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One task of an environment."""

    id: str
    """Names the task: equal ids are equal tasks."""
    prompt: str
    """What the policy is asked."""
    answer: str
    """A response of the highest reward."""


@runtime_checkable
class Environment(Protocol):
    """A plug-in that gives tasks and rewards responses. It keeps no state between calls."""

    def sample(self, count: int, seed: int) -> list[Example]:
        """`count` tasks; the same seed gives the same tasks, in every process."""
        ...

    def grade(self, example: Example, response: str) -> float:
        """The reward of `response`, from 0 (wrong) to 1 (right); any text is graded, none raises."""
        ...
