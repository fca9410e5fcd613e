"""A generation engine that follows a script: for tests, and for dry runs without a model."""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from marin.errors import UsageError
from marin.generation.engines import Completion, FinishReason, SamplingConfig
from marin.storage import read_json

ECHO = "echo"
"""The model that completes each prompt by the prompt itself."""


class ScriptedEngine:
    """Completes a prompt by what the script has for it; a word, with the space before it, is a token."""

    def __init__(self, script: Mapping[str, str] | None) -> None:
        """Follow `script`, prompt to completion; None echoes the prompt."""
        self._script = script

    def generate(self, prompts: Sequence[str], sampling: SamplingConfig) -> list[Completion]:
        """One completion per prompt, in order; temperature and seed have no influence.

        Raises:
            UsageError: the script has nothing for a prompt.
        """
        return [_cut(prompt, self._answer(prompt), sampling) for prompt in prompts]

    def close(self) -> None:
        """Release nothing: there is no model."""

    def _answer(self, prompt: str) -> str:
        if self._script is None:
            return prompt
        if prompt not in self._script:
            raise UsageError(f"the script has no completion for the prompt {prompt!r}")
        return self._script[prompt]


class ScriptedBackend:
    """The plug-in `scripted`."""

    def open(self, model: str) -> ScriptedEngine:
        """The engine that follows `model`: `echo`, or the path of a JSON object of prompts and completions.

        Raises:
            UsageError: the file holds something else.
            StorageError: the file cannot be read.
        """
        return ScriptedEngine(None if model == ECHO else _read_script(model))


BACKEND = ScriptedBackend()


def _read_script(path: str) -> dict[str, str]:
    script: object = read_json(path)
    if not isinstance(script, dict):
        raise UsageError(f"{path} must hold a JSON object of prompts and completions")
    entries = cast("dict[str, object]", script)
    for prompt, completion in entries.items():
        if not isinstance(completion, str):
            raise UsageError(f"{path}: the completion of {prompt!r} must be a string, got {completion!r}")
    return cast("dict[str, str]", entries)


def _cut(prompt: str, answer: str, sampling: SamplingConfig) -> Completion:
    tokens = _tokens(answer)
    finish_reason: FinishReason = "length" if len(tokens) > sampling.max_tokens else "stop"
    text = "".join(tokens[: sampling.max_tokens])
    starts = [start for stop in sampling.stop if (start := text.find(stop)) >= 0]
    if starts:
        text, finish_reason = text[: min(starts)], "stop"
    return Completion(
        text=text,
        finish_reason=finish_reason,
        prompt_tokens=len(_tokens(prompt)),
        completion_tokens=len(_tokens(text)),
    )


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)
