"""What a generation engine is: prompts in, completions out; the plug-in group `marin.generation_engines`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from marin.errors import UsageError

ENGINE_GROUP = "marin.generation_engines"
"""Entry-point group; each entry is a `GenerationBackend`."""

FinishReason = Literal["stop", "length"]
"""Why a completion ended: by itself or at a stop string, or at `max_tokens`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How completions are sampled.

    Raises:
        UsageError: a value is out of range.
    """

    max_tokens: int = 128
    """Tokens of a completion at most, at least 1; the engine's tokenizer decides what a token is."""
    temperature: float = 0.0
    """0 takes the most probable token; above, the distribution is flattened."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; they are not part of it."""
    seed: int = 0
    """Seed of the sampling: the same seed and prompts give the same completions."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise UsageError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if not 0 <= self.temperature < float("inf"):
            raise UsageError(f"temperature must be a finite number of at least 0, got {self.temperature}")
        if isinstance(self.stop, str) or "" in self.stop:
            raise UsageError(f"stop must be a tuple of non-empty strings, got {self.stop!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What an engine made of one prompt."""

    text: str
    """The completion, without the prompt and without the stop string."""
    finish_reason: FinishReason
    """Why it ended."""
    prompt_tokens: int
    """Tokens of the prompt."""
    completion_tokens: int
    """Tokens that were generated, at most `max_tokens`."""


@runtime_checkable
class GenerationEngine(Protocol):
    """A loaded model that completes prompts."""

    def generate(self, prompts: Sequence[str], sampling: SamplingConfig) -> list[Completion]:
        """One completion per prompt, in the order of `prompts`."""
        ...

    def close(self) -> None:
        """Release the model; closing twice is harmless."""
        ...


@runtime_checkable
class GenerationBackend(Protocol):
    """A plug-in that loads models of one kind. Importing it is cheap; heavy libraries are imported by `open`."""

    def open(self, model: str) -> GenerationEngine:
        """The engine for `model`: a path or name that this kind of engine understands.

        Raises:
            UsageError: `model` is nothing that it can load.
        """
        ...
