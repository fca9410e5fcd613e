"""Conformance kit of the group `marin.rl.environments`.

Example:
    >>> check_environment("arithmetic")
"""

from marin.plugins.testing import check_plugin, require
from marin.rl.environments.protocol import ENVIRONMENT_GROUP, Environment, Example

_COUNT = 20
_RESPONSES = ("", " \n", "\x00\N{SNOWMAN}", "1" * 10_000, "no idea")
"""What a policy may say at the beginning of training."""


def check_environment(name: str) -> None:
    """Check the plug-in `name`.

    Raises:
        ConformanceError: it does not do what the protocol promises.
        PluginError: it cannot be looked up or imported.
    """
    environment = check_plugin(ENVIRONMENT_GROUP, name, Environment)
    examples = environment.sample(_COUNT, seed=1)
    require(len(examples) == _COUNT, f"{_COUNT} tasks were asked for, {len(examples)} came")
    require(environment.sample(0, seed=1) == [], "no tasks were asked for, but some came")
    require(environment.sample(_COUNT, seed=1) == examples, "the same seed gives other tasks")
    require(environment.sample(_COUNT, seed=2) != examples, "another seed gives the same tasks")
    _check_ids(examples)
    for example in examples:
        _check_rewards(environment, example)


def _check_ids(examples: list[Example]) -> None:
    tasks = {example.id: example for example in examples}
    for example in examples:
        require(tasks[example.id] == example, f"two different tasks have the id {example.id!r}")


def _check_rewards(environment: Environment, example: Example) -> None:
    best = environment.grade(example, example.answer)
    require(best == 1, f"task {example.id!r}: its own answer {example.answer!r} has the reward {best}, not 1")
    for response in _RESPONSES:
        reward = environment.grade(example, response)
        require(0 <= reward <= 1, f"task {example.id!r}: {response[:20]!r} has the reward {reward}, not in 0 to 1")
        require(reward == environment.grade(example, response), f"task {example.id!r}: graded twice, rewards differ")
    rewards = [environment.grade(example, response) for response in _RESPONSES]
    require(min(rewards) < best, f"task {example.id!r}: every response has the reward {best}")
