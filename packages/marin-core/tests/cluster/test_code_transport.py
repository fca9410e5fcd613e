"""Calls that cannot be sent to a worker are refused with the part that is to blame."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from marin.cluster.code_transport import check_can_be_sent
from marin.errors import UsageError

MODULE_LOCK = threading.Lock()


@dataclass(frozen=True)
class Schedule:
    lock: Any


@dataclass(frozen=True)
class Config:
    schedule: Schedule
    text: str = "fine"


def train(config: object) -> None:
    pass


def use_module_variable(config: object) -> None:
    with MODULE_LOCK:
        pass


def use_enclosing_variable() -> Callable[[object], None]:
    lock = threading.Lock()

    def inner(config: object) -> None:
        with lock:
            pass

    return inner


@pytest.mark.parametrize(
    ("config", "culprit"),
    [
        (Config(Schedule(threading.Lock())), "config.schedule.lock (lock)"),
        ({"a": [1, threading.Lock()]}, "config['a'][1] (lock)"),
        ((1, {"b": Schedule(threading.Lock())}), "config[1]['b'].lock (lock)"),
    ],
)
def test_the_part_of_an_argument_is_named(config: object, culprit: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_can_be_sent(train, {"config": config}, "job train")
    assert str(caught.value).startswith(f"job train: {culprit} cannot be sent to a worker: ")


@pytest.mark.parametrize(
    ("function", "variable"), [(use_module_variable, "MODULE_LOCK"), (use_enclosing_variable(), "lock")]
)
def test_the_variable_of_a_function_is_named(function: Callable[[object], None], variable: str) -> None:
    with pytest.raises(UsageError, match=rf"job train: .*, the variable '{variable}' that .* uses \(lock\)"):
        check_can_be_sent(function, {"config": None}, "job train")


def test_what_holds_itself_ends() -> None:
    config: list[Any] = [threading.Lock()]
    config.append(config)
    with pytest.raises(UsageError, match=r"config\[0\] \(lock\)"):
        check_can_be_sent(train, {"config": config}, "job train")


@pytest.mark.parametrize("config", [None, Config(Schedule(None)), {"a": [1, (2, "x")]}])
def test_what_can_be_sent(config: object) -> None:
    check_can_be_sent(train, {"config": config}, "job train")
