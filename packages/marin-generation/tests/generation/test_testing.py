import pytest

from marin.generation.testing import check_generation_backend
from marin.plugins.testing import ConformanceError, write_distribution

FAULTY = """
from dataclasses import replace
from marin.generation.scripted import ScriptedEngine

class Engine(ScriptedEngine):
    calls = 0

    def generate(self, prompts, sampling):
        Engine.calls += 1
        completions = super().generate(prompts, sampling)
        {fault}
        return completions

class Backend:
    def open(self, model):
        return Engine(None)

BACKEND = Backend()
"""


def test_the_scripted_engine_conforms():
    check_generation_backend("scripted", model="echo")


@pytest.mark.parametrize(
    ("case", "fault", "message"),
    [
        ("short", "completions = completions[:1]", "2 prompts gave 1 completions"),
        ("never_empty", "completions = completions or [None]", "no prompts must give no completions"),
        ("sorted", "completions.sort(key=lambda c: c.text)", "in reverse order"),
        ("changing", "completions = [replace(c, text=f'{c.text}{Engine.calls}') for c in completions]", "and then"),
        (
            "equal",
            "completions = [replace(c, text='same') for c in completions]",
            "all prompts are completed by 'same'",
        ),
        ("endless", "completions = [replace(c, completion_tokens=99) for c in completions]", "has 99 tokens"),
        ("reason", "completions = [replace(c, finish_reason='eos') for c in completions]", "finish_reason is 'eos'"),
        (
            "unstoppable",
            "completions = super().generate(prompts, replace(sampling, stop=()))",
            r"stop '.*' gave '.*' instead of '.*'",
        ),
    ],
)
def test_a_faulty_engine_is_found_out(tmp_path, monkeypatch, case, fault, message):
    module = f"acme_generation_{case}"
    points = {"marin.generation_engines": {"faulty": f"{module}:BACKEND"}}
    modules = {f"{module}.py": FAULTY.format(fault=fault)}
    write_distribution(tmp_path, "acme-generation", entry_points=points, modules=modules)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConformanceError, match=message):
        check_generation_backend("faulty", model="any", prompts=("b a", "a b c"))


def test_a_backend_that_opens_something_else_is_found_out(tmp_path, monkeypatch):
    points = {"marin.generation_engines": {"faulty": "acme_generation_other:BACKEND"}}
    source = "class Backend:\n    def open(self, model): return model\nBACKEND = Backend()"
    modules = {"acme_generation_other.py": source}
    write_distribution(tmp_path, "acme-generation", entry_points=points, modules=modules)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConformanceError, match=r"open\('tiny'\) gives 'tiny', which is not a GenerationEngine"):
        check_generation_backend("faulty", model="tiny")
