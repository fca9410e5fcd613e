"""The plug-in `shout`: completes a prompt by its words in capitals."""

from collections.abc import Sequence

from marin.generation.engines import Completion, SamplingConfig
from marin.generation.scripted import ScriptedEngine


class ShoutEngine(ScriptedEngine):
    """Echoes prompts in capitals."""

    def generate(self, prompts: Sequence[str], sampling: SamplingConfig) -> list[Completion]:
        """One completion per prompt, in order."""
        return super().generate([prompt.upper() for prompt in prompts], sampling)


class ShoutBackend:
    """What the entry point names."""

    def open(self, model: str) -> ShoutEngine:
        """The engine; there is no model to load, so any name will do."""
        return ShoutEngine(script=None)


BACKEND = ShoutBackend()
