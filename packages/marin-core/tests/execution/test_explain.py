"""Why a step runs: what differs from the nearest earlier step of its name."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from marin.execution.executor import Executor, ExecutorStep, output_path_of, versioned
from marin.execution.explain import explain
from marin.execution.plan_command import plan
from marin.execution.records import INFO_FILE
from marin.storage.testing import Faults, faulty_storage

RunScript = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Trained:
    corpus: str
    lr: Any


def do_nothing(config: object) -> None:
    pass


def step(config: Any, name: str = "train") -> ExecutorStep[Any]:
    return ExecutorStep(name, do_nothing, config)


def changes(executor: Executor, target: ExecutorStep[Any]) -> dict[str, tuple[str, ...]]:
    return {each.node.name: each.changes for each in explain(executor.plan([target])).steps}


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"lr": 0.1, "n": 1}, {"lr": 0.2, "n": 1}, ("lr: 0.1 -> 0.2",)),
        ({"n": 1}, {"n": 1, "lr": 0.2}, ("lr: (absent) -> 0.2",)),
        ({"n": 1, "lr": None}, {"n": 1}, ("lr: null -> (absent)",)),
        ({"a": 1, "b": 1}, {"b": 2, "a": 2}, ("a: 1 -> 2", "b: 1 -> 2")),
        ({"text": "ä" * 80}, {"text": "short"}, ('text: "' + "ä" * 56 + '... -> "short"',)),
    ],
)
def test_fields(executor: Executor, before: dict[str, Any], after: dict[str, Any], lines: tuple[str, ...]) -> None:
    executor.run([step({key: versioned(value) for key, value in before.items()})])
    assert changes(executor, step({key: versioned(value) for key, value in after.items()})) == {"train": lines}


def test_a_changed_dependency_is_named_with_its_field(executor: Executor) -> None:
    def train(language: str) -> ExecutorStep[Any]:
        corpus = step({"language": versioned(language)}, "corpus")
        return step(Trained(output_path_of(corpus), versioned(1)))

    executor.run([train("en")])
    assert changes(executor, train("de")) == {
        "corpus": ('language: "en" -> "de"',),
        "train": ('corpus / language: "en" -> "de"',),
    }


def test_another_dependency_is_named(executor: Executor) -> None:
    def train(corpus: str) -> ExecutorStep[Any]:
        return step(Trained(output_path_of(step(None, corpus)), versioned(1)))

    executor.run([train("wiki")])
    lines = changes(executor, train("news"))["train"]
    assert "dependency 0: wiki -> news" in lines


def test_the_nearest_of_several_records_counts(executor: Executor) -> None:
    for lr, n in [(1, 1), (2, 3), (1, 2)]:
        executor.run([step({"lr": versioned(lr), "n": versioned(n)})])
    assert changes(executor, step({"lr": versioned(9), "n": versioned(3)})) == {"train": ("lr: 2 -> 9",)}


def test_without_an_earlier_record_there_is_nothing_to_say(executor: Executor) -> None:
    executor.run([step({"lr": versioned(1)}, "other")])
    assert changes(executor, step({"lr": versioned(2)}))["train"] == ()


def test_a_cached_step_has_no_changes(executor: Executor) -> None:
    executor.run([step({"lr": versioned(1)}), step({"lr": versioned(2)})])
    assert changes(executor, step({"lr": versioned(2)})) == {"train": ()}


@pytest.mark.parametrize("damage", ["", "{half", "[]", '{"version": 1}', "{}"])
def test_an_unreadable_record_is_passed_over(executor: Executor, damage: str) -> None:
    earlier = step({"lr": versioned(1)})
    output = executor.run([earlier])[earlier]
    Path(output, INFO_FILE).write_text(damage)
    assert changes(executor, step({"lr": versioned(2)})) == {"train": ()}


def test_a_folder_is_listed_once(tmp_path: Path) -> None:
    faults = Faults()
    with faulty_storage(faults) as scheme:
        executor = Executor(f"{scheme}://{tmp_path}/prefix")
        executor.run([step({"lr": versioned(1)}, f"train{index}") for index in range(5)])
        planned = executor.plan([step({"lr": versioned(2)}, f"train{index}") for index in range(5)])
        faults.operations.clear()
        explained = explain(planned)
    assert [each.changes for each in explained.steps if each.node in planned.to_run] == [("lr: 1 -> 2",)] * 5
    assert faults.operations == {"list": 1, "read": 5}


SCRIPT = "executor_main(steps=[ExecutorStep('train', write, Config(versioned({})))])\n"


def test_a_dry_run_and_marin_plan_show_changes(
    run_script: RunScript, write_script: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARIN_PREFIX", raising=False)
    assert run_script(SCRIPT.format(1)).returncode == 0
    [dry] = json.loads(run_script(SCRIPT.format(2), "--dry_run", "--json").stdout)
    assert dry["changes"] == ["value: 1 -> 2"]
    script = str(write_script(SCRIPT.format(2)))
    [planned] = json.loads(CliRunner().invoke(plan, ["--json", script]).stdout)
    assert planned == dry
    assert "value: 1 -> 2" in CliRunner().invoke(plan, [script]).stdout
