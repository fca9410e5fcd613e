import pytest

from marin.plugins.testing import ConformanceError, write_distribution
from marin.rl.testing import check_environment

FAULTY = """
import itertools
from dataclasses import replace
from marin.rl.environments.arithmetic import ENVIRONMENT as GOOD

counter = itertools.count()

class Environment:
    def sample(self, count, seed):
        return {sample}

    def grade(self, example, response):
        return {grade}

ENVIRONMENT = Environment()
"""


def test_the_arithmetic_environment_conforms():
    check_environment("arithmetic")


@pytest.mark.parametrize(
    ("case", "sample", "grade", "message"),
    [
        ("few", "GOOD.sample(min(count, 3), seed)", "0", "20 tasks were asked for, 3 came"),
        ("at_least_one", "GOOD.sample(max(count, 1), seed)", "0", "no tasks were asked for, but some came"),
        ("restless", "GOOD.sample(count, next(counter))", "0", "the same seed gives other tasks"),
        ("seedless", "GOOD.sample(count, 0)", "0", "another seed gives the same tasks"),
        (
            "nameless",
            "[replace(e, id='') for e in GOOD.sample(count, seed)]",
            "0",
            "two different tasks have the id ''",
        ),
        ("stingy", "GOOD.sample(count, seed)", "0.0", "has the reward 0.0, not 1"),
        ("generous", "GOOD.sample(count, seed)", "1.0", r"every response has the reward 1\.0"),
        (
            "unbounded",
            "GOOD.sample(count, seed)",
            "1.0 if response == example.answer else -float(len(response))",
            "not in 0 to 1",
        ),
        (
            "nan",
            "GOOD.sample(count, seed)",
            "GOOD.grade(example, response) or float('nan')",
            "has the reward nan, not in 0 to 1",
        ),
        (
            "moody",
            "GOOD.sample(count, seed)",
            "GOOD.grade(example, response) or next(counter) % 2",
            "graded twice, rewards differ",
        ),
    ],
)
def test_a_faulty_environment_is_found_out(tmp_path, monkeypatch, case, sample, grade, message):
    module = f"acme_environment_{case}"
    points = {"marin.rl.environments": {"faulty": f"{module}:ENVIRONMENT"}}
    source = FAULTY.format(sample=sample, grade=grade)
    write_distribution(tmp_path, "acme-environment", entry_points=points, modules={f"{module}.py": source})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConformanceError, match=message):
        check_environment("faulty")
