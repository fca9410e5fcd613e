"""Addition of two whole numbers: the smallest environment with right and wrong answers."""

import random
import re
from dataclasses import dataclass

from marin.errors import UsageError
from marin.rl.environments.protocol import Example


@dataclass(frozen=True, kw_only=True, slots=True)
class ArithmeticEnvironment:
    """Asks for the sum of two numbers; the last whole number of a response counts as its answer.

    Raises:
        UsageError: `largest` is negative.
    """

    largest: int = 99
    """Largest number that is added; the smallest is 0."""

    def __post_init__(self) -> None:
        if self.largest < 0:
            raise UsageError(f"largest must be at least 0, got {self.largest}")

    def sample(self, count: int, seed: int) -> list[Example]:
        """`count` additions, drawn uniformly; a seed always gives the same ones."""
        draw = random.Random(seed)
        return [self._example(draw.randint(0, self.largest), draw.randint(0, self.largest)) for _ in range(count)]

    def grade(self, example: Example, response: str) -> float:
        """1 if the last whole number of `response` is the sum, else 0."""
        numbers = re.findall(r"-?[0-9]+", response)
        # Compared as text: a number of many thousand digits must not reach int().
        return 1.0 if numbers and _normal(numbers[-1]) == example.answer else 0.0

    def _example(self, left: int, right: int) -> Example:
        return Example(id=f"{left}+{right}", prompt=f"What is {left} + {right}?", answer=str(left + right))


ENVIRONMENT = ArithmeticEnvironment()


def _normal(number: str) -> str:
    sign = "-" if number.startswith("-") else ""
    digits = number.lstrip("-").lstrip("0")
    return f"{sign}{digits}" if digits else "0"
