"""Checks of config values, for configs that are also written with an executor's placeholders in them."""

from collections.abc import Callable

from marin.errors import UsageError
from marin.execution.steps import ExecutorStep, InputName, OutputName, VersionedValue

_PLACEHOLDERS = (ExecutorStep, InputName, OutputName, VersionedValue)


def check[T](name: str, value: T, test: Callable[[T], bool], wanted: str) -> None:
    """Refuse `value` unless `test` accepts it.

    A placeholder passes: the executor builds the config anew with the value it stands for, and that one is tested.

    Raises:
        UsageError: "`name` must be `wanted`, got ...".
    """
    if isinstance(value, _PLACEHOLDERS):
        return
    try:
        accepted = test(value)
    except TypeError:
        accepted = False
    if not accepted:
        raise UsageError(f"{name} must be {wanted}, got {value!r}")
