import dataclasses
import hashlib
import json
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from marin.execution.executor import (
    THIS_OUTPUT_PATH,
    Executor,
    ExecutorStep,
    InputName,
    PlanError,
    output_path_of,
    this_output_path,
    versioned,
)

GOLDEN = json.loads((Path(__file__).parent / "executor_golden.json").read_text(encoding="utf-8"))["cases"]


@dataclass(frozen=True)
class C:
    a: Any = None
    b: Any = None
    c: Any = None


class E(Enum):
    X = "x"


def step(config: Any, name: str = "a", **options: Any) -> ExecutorStep[Any]:
    return ExecutorStep(name, print, config, **options)


def path_and_version(some_step: ExecutorStep[Any], prefix: str = "/p") -> tuple[str, dict[str, Any]]:
    executor = Executor(prefix)
    executor.compute_version(some_step)
    return executor.output_paths[some_step], json.loads(executor.version_strs[some_step])


def version_of(value: Any) -> Any:
    """What a versioned value becomes."""
    return path_and_version(step(C(versioned(value))))[1]["config"]["a"]


def resolved(config: Any) -> Any:
    executor = Executor("/p")
    some_step = step(config)
    executor.compute_version(some_step)
    return executor.configs[some_step]


@pytest.mark.parametrize("case", GOLDEN)
def test_paths_and_versions_are_those_of_marin(case: str) -> None:
    up = ExecutorStep("raw/up", print, C(versioned(1)))
    names = {
        "S": ExecutorStep,
        "C": C,
        "E": E,
        "Path": Path,
        "InputName": InputName,
        "v": versioned,
        "o": output_path_of,
        "out": this_output_path,
        "f": print,
        "up": up,
        "up2": ExecutorStep("raw/up2", print, None),
    }
    path, version = path_and_version(eval(GOLDEN[case]["step"], names))
    assert path == GOLDEN[case]["path"]
    assert version == GOLDEN[case]["version"]


def test_a_dependency_with_more_than_four_levels_below_enters_by_name_and_hash() -> None:
    current = step(C(versioned(1)), "s0")
    for level in range(1, 7):
        current = step(C(current), f"s{level}")
    _, version = path_and_version(current)
    deep, depth = version["dependencies"][0], 0
    assert isinstance(deep, str)
    assert deep.startswith("s5-")

    shallow = path_and_version(current.config.a)[1]["dependencies"][0]
    while shallow["dependencies"]:
        shallow, depth = shallow["dependencies"][0], depth + 1
    assert depth == 4
    assert shallow["name"] == "s0"


def test_the_hashed_text_is_the_json_of_the_version() -> None:
    left, right = step(C(versioned("é")), "left"), step(C(versioned({"k": [1, None]})), "right")
    top = step(C(left, output_path_of(right).nonblocking(), step(C(left), "again")), "top")
    executor = Executor("/p")
    executor.compute_version(top)
    text = json.dumps(executor.versions[top], sort_keys=True)
    assert executor.version_strs[top] == text
    assert executor.output_paths[top] == f"/p/top-{hashlib.md5(text.encode()).hexdigest()[:6]}"


def test_pseudo_dependencies_share_the_numbering_and_stand_apart() -> None:
    first, second = step(None, "first"), step(None, "second")
    _, version = path_and_version(step(C(output_path_of(first, "x").nonblocking(), second)))
    assert version["config"] == {"a": "DEP[0]/x", "b": "DEP[1]"}
    assert [dependency["name"] for dependency in version["dependencies"]] == ["second"]
    assert [dependency["name"] for dependency in version["pseudo_dependencies"]] == ["first"]


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ((1, "x"), [1, "x"]),
        (Point(1, 2), [1, 2]),
        (timedelta(days=1, seconds=2), {"days": 1, "seconds": 2, "microseconds": 0}),
        (C(1, C(2)), {"a": 1, "b": {"a": 2, "b": None, "c": None}, "c": None}),
        ({"k": {3, 1, 2}}, {"k": "{1, 2, 3}"}),
        ({"b", "a"}, "{'a', 'b'}"),
        (frozenset({"a"}), "frozenset({'a'})"),
        (set(), "set()"),
        ({10: "x", 9: "y"}, {"10": "x", "9": "y"}),
        ([E.X, Path("/x")], ["x", "/x"]),
        (b"raw", "b'raw'"),
        (int, "<class 'int'>"),
        (print, "<built-in function print>"),
        ([versioned(1)], [{"value": 1}]),
    ],
)
def test_values_are_encoded_as_marin_does(value: Any, encoded: Any) -> None:
    assert version_of(value) == encoded


class Plain:
    pass


class FakeArray:
    ndim = 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (C(a=[{"fn": versioned(lambda: 1)}]), r"step a: config field 'a\.\[0\]\.fn': .*memory address"),
        (C(b=versioned(C(Plain()))), r"config field 'b\.a': .*Plain object at"),
        (C(versioned({"x": Plain().__init__})), r"config field 'a\.x': .*memory address"),
        (C(versioned({Plain()})), "config field 'a': .*memory address"),
        (C(versioned([step(None)])), r"config field 'a\.\[0\]': a reference to a step's output is inside versioned"),
        (C(versioned([this_output_path("x")])), r"config field 'a\.\[0\]': a reference"),
        (C(versioned({(1, 2): "x"})), r"config field 'a': \(1, 2\) cannot be a key"),
        (C(versioned({1: "x", "y": 2})), "config field 'a': keys of different types"),
        (C(versioned([FakeArray()])), r"config field 'a\.\[0\]': the text of a FakeArray leaves data out"),
        (C({1: versioned(2)}), "config field 'a': keys of a dict must be strings, got 1"),
        ({"a.b": versioned(1), "a": {"b": versioned(2)}}, r"config field 'a\.b' exists twice"),
        (C({step(None, "x"), step(C(versioned(1)), "x")}), "config field 'a': two elements of the set"),
    ],
)
def test_what_has_no_stable_form_is_refused_with_its_path(config: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        path_and_version(step(config))


def test_a_config_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(PlanError, match="holds itself"):
        path_and_version(step(C(endless)))
    with pytest.raises(PlanError, match="holds itself"):
        path_and_version(step(C(versioned(endless))))


def test_a_field_that_is_not_versioned_may_hold_anything() -> None:
    endless_set = {1, "x"}
    assert path_and_version(step(C(lambda: 1, Plain(), endless_set)))[0] == path_and_version(step(None))[0]


def test_paths_do_not_depend_on_the_hash_seed() -> None:
    program = """
from marin.execution.executor import Executor, ExecutorStep, versioned
steps = [ExecutorStep(f"raw/{name}", print, None) for name in "abcdefgh"]
top = ExecutorStep("top", print, {
    "steps": set(steps), "names": versioned({"p", "q", "r", "s"}), "mixed": {versioned(x) for x in ["u", "v", "w"]},
    "frozen": versioned([frozenset({("x", frozenset({"y", "z"})), ("w", frozenset())})]),
})
executor = Executor("/p")
executor.compute_version(top)
print(executor.version_strs[top], executor.output_paths[top])
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ["0", "1", "2", "3"]
    }
    assert len(outputs) == 1
    assert "DEP[7]" in outputs.pop()


def test_placeholders_are_replaced_wherever_they_are() -> None:
    up = step(None, "raw/up")
    executor = Executor("/p")
    executor.compute_version(up)
    up_path = executor.output_paths[up]
    config = resolved(
        C(
            a={"list": [up / "x" / "y", (this_output_path("z"),)], "point": Point(versioned(1), 2)},  # type: ignore[arg-type]
            b={up.cd("s")},
            c=C(InputName.hardcoded("raw/h"), InputName.hardcoded("gs://b/h"), this_output_path()),
        )
    )
    own_path = config.c.c
    assert own_path.startswith("/p/a-")
    assert config == C(
        a={"list": [f"{up_path}/x/y", (f"{own_path}/z",)], "point": Point(1, 2)},
        b={f"{up_path}/s"},
        c=C("/p/raw/h", "gs://b/h", own_path),
    )


def test_parts_without_placeholders_are_passed_on_as_they_are() -> None:
    plain = [C(1), {"x": {2}}]
    assert resolved(C(plain, versioned(1))).a is plain


def test_a_config_that_refuses_its_paths_is_named() -> None:
    @dataclass(frozen=True)
    class Picky:
        path: Any = THIS_OUTPUT_PATH

        def __post_init__(self) -> None:
            if isinstance(self.path, str):
                raise ValueError("I want a Path")

    with pytest.raises(PlanError, match=r"step a: its config Picky cannot be built .*: I want a Path"):
        resolved(Picky())


def test_computed_fields_of_a_config_are_computed_from_paths() -> None:
    @dataclass
    class Derived:
        path: Any = THIS_OUTPUT_PATH
        length: int = dataclasses.field(init=False)

        def __post_init__(self) -> None:
            self.length = len(self.path) if isinstance(self.path, str) else -1

    config = resolved(Derived())
    assert config.length == len(config.path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("/etc/x", "must be relative"),
        ("gs://bucket/x", "must be relative"),
        ("../../escape", r"must not hold '\.\.'"),
        ("a/../b", r"must not hold '\.\.'"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
        ("a\ud800b", "control character"),
        ("raw/" + "x" * 249, "a part of 256 bytes"),
        ("é" * 128 + "/x", "a part of 256 bytes"),
    ],
)
def test_names_that_no_path_can_hold_are_value_errors(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        path_and_version(step(None, name))
    assert isinstance(caught.value, PlanError)


@pytest.mark.parametrize("override", ["", "/", "../x", "a/../../x", "a\tb"])
def test_override_paths_are_checked(override: str) -> None:
    with pytest.raises(PlanError, match="override_output_path"):
        path_and_version(step(None, override_output_path=override))


def test_names_are_compared_in_unicode_normal_form_c() -> None:
    composed, decomposed = "docs/é", unicodedata.normalize("NFD", "docs/é")
    assert composed != decomposed
    assert path_and_version(step(None, decomposed)) == path_and_version(step(None, composed))


def test_the_longest_name_that_fits_is_accepted() -> None:
    path, _ = path_and_version(step(None, "x" * 248))
    assert len(path.rsplit("/", 1)[-1]) == 255


def test_a_url_prefix_is_kept() -> None:
    assert path_and_version(step(None), "gs://bucket/sub/")[0] == "gs://bucket/sub/a-d85366"
