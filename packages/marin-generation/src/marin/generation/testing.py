"""Conformance kit of the group `marin.generation_engines`.

Example:
    >>> check_generation_backend("scripted", model="echo")
"""

from collections.abc import Sequence
from contextlib import closing

from marin.generation.engines import ENGINE_GROUP, Completion, GenerationBackend, GenerationEngine, SamplingConfig
from marin.plugins.testing import check_plugin, require, require_instance

_PROMPTS = ("The first letters are a, b and c.", "Zwölf größere Boxkämpfer \N{SNOWMAN}", "one\ntwo three four five")


def check_generation_backend(name: str, *, model: str, prompts: Sequence[str] = _PROMPTS) -> None:
    """Check the plug-in `name` with a real, small `model`, greedily.

    Args:
        name: Its name in the group.
        model: What its `open` takes.
        prompts: At least two different prompts that the model completes differently.

    Raises:
        ConformanceError: it does not do what the protocol promises.
        PluginError: it cannot be looked up or imported.
    """
    backend = check_plugin(ENGINE_GROUP, name, GenerationBackend)
    engine = backend.open(model)
    require_instance(engine, GenerationEngine, f"open({model!r})")
    with closing(engine):
        require(engine.generate([], SamplingConfig()) == [], "no prompts must give no completions")
        completions = engine.generate(prompts, SamplingConfig(max_tokens=8))
        _check_shape(completions, prompts, max_tokens=8)
        _check_order(engine, prompts, completions)
        _check_limits(engine, prompts, completions)
    engine.close()


def _check_shape(completions: Sequence[Completion], prompts: Sequence[str], *, max_tokens: int) -> None:
    require(len(completions) == len(prompts), f"{len(prompts)} prompts gave {len(completions)} completions")
    for completion in completions:
        tokens = completion.completion_tokens
        require(0 <= tokens <= max_tokens, f"a completion has {tokens} tokens, max_tokens is {max_tokens}")
        require(completion.prompt_tokens >= 0, f"prompt_tokens is {completion.prompt_tokens}")
        require(completion.finish_reason in ("stop", "length"), f"finish_reason is {completion.finish_reason!r}")


def _check_order(engine: GenerationEngine, prompts: Sequence[str], completions: Sequence[Completion]) -> None:
    texts = [completion.text for completion in completions]
    require(len(set(texts)) > 1, f"all prompts are completed by {texts[0]!r}; give prompts that tell them apart")
    again = [completion.text for completion in engine.generate(prompts, SamplingConfig(max_tokens=8))]
    require(again == texts, f"the same prompts gave {texts} and then {again}")
    swapped = [completion.text for completion in engine.generate(prompts[::-1], SamplingConfig(max_tokens=8))]
    require(swapped[::-1] == texts, f"in reverse order the prompts gave {swapped[::-1]} instead of {texts}")


def _check_limits(engine: GenerationEngine, prompts: Sequence[str], completions: Sequence[Completion]) -> None:
    longest = max(range(len(prompts)), key=lambda index: len(completions[index].text))
    prompt, text = prompts[longest], completions[longest].text
    _check_shape(engine.generate([prompt], SamplingConfig(max_tokens=1)), [prompt], max_tokens=1)
    stop = text[len(text) // 2 :][:2]
    stopped = engine.generate([prompt], SamplingConfig(max_tokens=8, stop=(stop,)))[0]
    expected = text[: text.index(stop)]
    require(stopped.text == expected, f"stop {stop!r} gave {stopped.text!r} instead of {expected!r}")
    require(stopped.finish_reason == "stop", f"stop {stop!r} gave the finish_reason {stopped.finish_reason!r}")
