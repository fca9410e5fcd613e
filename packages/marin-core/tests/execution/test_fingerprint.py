import functools
import math
import subprocess
import sys
import uuid
from dataclasses import dataclass, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest

from marin.execution.executor import ExecutorStep, InputName, PlanError, output_path_of, versioned
from marin.execution.graph import Graph


@dataclass(frozen=True)
class C:
    a: Any = None
    b: Any = None


@dataclass(frozen=True)
class Adam:
    lr: Any


@dataclass(frozen=True)
class Sgd:
    lr: Any


class Color(Enum):
    RED = "red"


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int


class Words(str):
    pass


def step(config: Any, name: str = "a") -> ExecutorStep[Any]:
    return ExecutorStep(name, print, config)


def digest(config: Any, name: str = "a") -> str:
    return Graph("/p").add(step(config, name)).digest


def digest_of(value: Any) -> str:
    return digest(C(versioned(value)))


DIFFERENT_VALUES = {
    "one": 1,
    "one as a float": 1.0,
    "true": True,
    "one as text": "1",
    "member of an int enum": Level.LOW,
    "none": None,
    "none as text": "null",
    "nan": math.nan,
    "text": "red",
    "enum member": Color.RED,
    "member of another enum": Colour.RED,
    "path": Path("red"),
    "bytes": b"red",
    "bytes as text": "b'red'",
    "bytearray": bytearray(b"red"),
    "dict with a number as key": {1: "x"},
    "dict with text as key": {"1": "x"},
    "adam": Adam(1),
    "sgd": Sgd(1),
    "fields as dict": {"lr": 1},
    "time span": timedelta(days=1),
    "time span as dict": {"days": 1, "seconds": 0, "microseconds": 0},
    "date": date(2026, 5, 1),
    "datetime": datetime(2026, 5, 1, tzinfo=UTC),
    "datetime as text": "2026-05-01 00:00:00+00:00",
    "time": time(1),
    "uuid": uuid.UUID(int=1),
    "decimal": Decimal("1"),
    "decimal with more digits": Decimal("1.0"),
    "range": range(3),
    "range as list": [0, 1, 2],
    "named tuple": Point(1, 2),
    "list": [1, 2],
    "list in list": [[1], 2],
    "set": {1, 2},
    "frozenset": frozenset({1, 2}),
    "set as text": "{1, 2}",
    "class": int,
    "class as text": "<class 'int'>",
    "function": print,
    "function of a module": math.sqrt,
    "partial, base 2": functools.partial(int, base=2),
    "partial, base 16": functools.partial(int, base=16),
    "partial, argument": functools.partial(int, 2),
    "complex": 1j,
    "empty list": [],
    "empty dict": {},
    "empty text": "",
}


def test_all_these_values_are_told_apart() -> None:
    digests = {name: digest_of(value) for name, value in DIFFERENT_VALUES.items()}
    assert [(one, other) for one, other in combinations(digests, 2) if digests[one] == digests[other]] == []
    in_lists = {name: digest_of([value]) for name, value in DIFFERENT_VALUES.items()}
    assert len({*in_lists.values(), *digests.values()}) == 2 * len(digests)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, [2]], (1, (2,))),
        ({"x": 1, "y": 2}, {"y": 2, "x": 1}),
        ({1, 2, 3}, {3, 2, 1}),
        (Path("x"), PurePosixPath("x")),
        (math.nan, float("nan")),
        ("red", Words("red")),
        (functools.partial(int, base=2), functools.partial(int, base=2)),
    ],
)
def test_these_values_are_the_same(one: Any, other: Any) -> None:
    assert digest_of(one) == digest_of(other)


def test_a_class_is_known_by_its_name_without_the_module() -> None:
    moved = make_dataclass("Adam", ["lr"], frozen=True, module="__main__")
    assert digest_of(Adam(1)) == digest_of(moved(1))


def test_fields_may_change_their_order() -> None:
    before, after = make_dataclass("Config", ["x", "y"]), make_dataclass("Config", ["y", "x"])
    digests = {
        digest(config(x=versioned(1), y=versioned(config(x="a", y=[versioned(2)])))) for config in (before, after)
    }
    assert len(digests) == 1


def test_what_is_not_versioned_does_not_count() -> None:
    assert digest(C(1)) == digest(C(2)) == digest(None)
    assert digest(C(1)) != digest(C(1), name="b")


def test_kinds_of_references_are_told_apart() -> None:
    up, other = step(None, "up"), step(None, "other")
    configs = [
        C(up),
        C(other),
        C(up / "x"),
        C(output_path_of(up).nonblocking()),
        C(InputName.hardcoded("DEP[0]")),
        C(versioned("DEP[0]")),
        C([up]),
        C(b=up),
        C(up, other),
        C(other, up),
        C(up, output_path_of(other).nonblocking()),
        C(output_path_of(up).nonblocking(), other),
        C(up, up),
    ]
    assert len({digest(config) for config in configs}) == len(configs)


def test_a_change_far_below_changes_the_digest() -> None:
    def top_of_chain(value: Any) -> str:
        last = step(C(versioned(value)), "s0")
        for level in range(1, 10):
            last = step(C(last), f"s{level}")
        return Graph("/p").add(last).digest

    assert top_of_chain(1) != top_of_chain(1.0)
    assert top_of_chain(1) == top_of_chain(1)


def test_digests_do_not_depend_on_the_hash_seed() -> None:
    program = """
import functools
from marin.execution.executor import ExecutorStep, versioned
from marin.execution.graph import Graph
steps = [ExecutorStep(name, print, None) for name in "abcdefgh"]
config = {
    "steps": set(steps), "names": versioned({"p", "q", "r", "s"}), "mixed": versioned({"x", ("y", 1), frozenset("zw")}),
    "partial": versioned([functools.partial(print, sep="x", end="y")]),
}
print(Graph("/p").add(ExecutorStep("top", print, config)).digest)
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ["0", "1", "2", "3"]
    }
    assert len(outputs) == 1


class Plain:
    pass


class FakeArray:
    ndim = 1

    def __repr__(self) -> str:
        return "array([0, ..., 9])"


ENDLESS: list[Any] = []
ENDLESS.append(functools.partial(print, ENDLESS))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{"f": lambda: 1}], r"step a: config field 'a\.\[0\]\.f': .*memory address"),
        ({"x": functools.partial(print, Plain())}, r"config field 'a\.x': .*memory address"),
        ({"x": functools.partial(print, FakeArray())}, r"config field 'a\.x\.args\.\[0\]': the text of a FakeArray"),
        ({step(None).as_input_name()}, r"config field 'a\.\[0\]': a reference to a step's output is inside"),
        (Plain().__init__, "config field 'a': .*memory address"),
        (ENDLESS, "holds itself"),
    ],
)
def test_what_has_no_canonical_text_is_refused_with_its_path(value: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        digest_of(value)


def test_values_may_be_nested_as_deep_as_configs() -> None:
    value: Any = 1
    for _ in range(60):
        value = [{"x": C(value)}]
    assert digest_of(value) == digest_of(value)
