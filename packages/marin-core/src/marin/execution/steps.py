"""Steps of an experiment, and the placeholders that their configs hold until the executor knows the paths."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from marin.execution.errors import PlanError
from marin.resources.config import ResourceConfig


@dataclass(frozen=True, eq=False)
class ExecutorStep[ConfigT]:
    """One step of an experiment: `fn(config)` is called once, and what it wrote under its output path is kept.

    Two steps are the same object or different steps; what identifies the *output* of a step is its name, the
    `versioned` values in its config, and the steps that the config refers to.
    """

    name: str
    """Where the output lies under the prefix, such as `documents/wiki`; part of the identity."""
    fn: Callable[[ConfigT], Any] | None
    """What runs; not part of the identity. A step without `fn` only stands for its output path."""
    config: ConfigT
    """The one argument of `fn`, usually a dataclass; placeholders inside it are replaced by paths and values."""
    description: str | None = None
    """For readers of the records; not part of the identity."""
    override_output_path: str | None = None
    """Where the output lies instead; a relative path is taken under the prefix."""
    pip_dependency_groups: Sequence[str] | None = None
    """Extras of the project, or requirements such as `lm-eval==0.4`, that the step's job needs installed."""
    resources: ResourceConfig | None = None
    """What the step's job asks of the cluster; None runs the step in a thread of this process."""
    env_vars: dict[str, str] | None = None
    """Environment variables of the step's job."""
    outputs: Sequence[str] = ()
    """Files, folders or patterns below the output that must be there when the step has succeeded, and on every hit."""
    staged: bool = False
    """Whether the step writes into a folder of its own attempt, whose content is moved to the output in the end."""
    max_retries_failure: int = 0
    """How often the body is tried again after it failed, before the step counts as failed."""
    max_retries_preemption: int = 100
    """How often the step's job is run again after its machine was taken away."""

    def __post_init__(self) -> None:
        if self.max_retries_failure < 0 or self.max_retries_preemption < 0:
            raise PlanError(f"step {self.name}: retries must not be negative")
        if self.resources is not None and not isinstance(self.resources, ResourceConfig):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers are not all typed
            raise PlanError(
                f"step {self.name}: resources must be a marin.resources.config.ResourceConfig, got {self.resources!r}"
            )
        for output in self.outputs:
            if not output or output.startswith("/") or ".." in output.split("/"):
                raise PlanError(f"step {self.name}: the output {output!r} must be a path below the step's output")

    def cd(self, name: str) -> "InputName":
        """The file or folder `name` in the output of this step."""
        return InputName(self, name)

    def __truediv__(self, name: str) -> "InputName":
        """The same as `cd`."""
        return self.cd(name)

    def with_output_path(self, output_path: str) -> "ExecutorStep[ConfigT]":
        """A copy of this step whose output lies at `output_path`."""
        return dataclasses.replace(self, override_output_path=output_path)

    def as_input_name(self) -> "InputName":
        """The output folder of this step."""
        return InputName(self, None)

    @property
    def needs_job(self) -> bool:
        """Whether the step runs as a job of the cluster, and not in a thread of this process."""
        return bool(self.resources is not None or self.pip_dependency_groups or self.env_vars)


@dataclass(frozen=True)
class InputName:
    """A path in the output of a step, or under the prefix; a string once the config reaches `fn`."""

    step: ExecutorStep[Any] | None
    """Whose output; None means that `name` is a path under the prefix."""
    name: str | None
    """Path below the output; None is the output folder itself."""
    block_on_step: bool = True
    """False: `step` enters the identity, but is neither run nor waited for."""

    def cd(self, name: str) -> "InputName":
        """The path `name` below this one."""
        return dataclasses.replace(self, name=os.path.join(self.name, name) if self.name else name)

    def __truediv__(self, name: str) -> "InputName":
        """The same as `cd`."""
        return self.cd(name)

    @staticmethod
    def hardcoded(path: str) -> "InputName":
        """`path` under the prefix, which no step makes."""
        return InputName(None, path)

    def nonblocking(self) -> "InputName":
        """The same path without waiting for the step, such as a checkpoint of a training that still runs."""
        return dataclasses.replace(self, block_on_step=False)


if TYPE_CHECKING:
    # Configs declare paths as `str`, and `THIS_OUTPUT_PATH` is meant as a default of such fields.
    class OutputName(str):
        """A path in the output of the step that holds it."""

        name: str | None

        def __new__(cls, name: str | None) -> "OutputName":  # noqa: D102  # seen by type checkers alone
            ...
else:

    @dataclass(frozen=True)
    class OutputName:
        """A path in the output of the step that holds it; a string once the config reaches `fn`."""

        name: str | None
        """Path below the output; None is the output folder itself."""


def this_output_path(name: str | None = None) -> OutputName:
    """The path `name` in the output of the step whose config holds it; its output folder without `name`."""
    return OutputName(name)


THIS_OUTPUT_PATH = OutputName(None)
"""The output folder of the step whose config holds it, for defaults of dataclass fields."""


@dataclass(frozen=True)
class VersionedValue[T]:
    """A value of a config that is part of the step's identity."""

    value: T


def versioned[T](value: T) -> VersionedValue[T]:
    """Make `value` part of the identity of the step whose config holds it.

    Raises:
        PlanError: it is versioned already, or refers to a step, which is always part of the identity.
    """
    if isinstance(value, VersionedValue):
        raise PlanError("versioned(versioned(...)) is nested: wrap the value once")
    if isinstance(value, InputName | ExecutorStep):
        raise PlanError(
            "versioned(...) wraps a step or a path in its output, which are part of the version as they are"
        )
    return VersionedValue(value)


def ensure_versioned[T](value: "VersionedValue[T] | T") -> VersionedValue[T]:
    """`value` as a versioned value, whether or not it is one already."""
    return cast("VersionedValue[T]", value) if isinstance(value, VersionedValue) else VersionedValue(value)


def unwrap_versioned_value[T](value: "VersionedValue[T] | T") -> T:
    """`value` with every versioned value inside (in dataclasses, dicts, lists and tuples) replaced by what it wraps.

    Raises:
        PlanError: a placeholder is inside, whose path only the executor knows.
    """
    return _unwrap(value)


def _unwrap(value: Any) -> Any:
    if isinstance(value, VersionedValue):
        return _unwrap(cast("VersionedValue[Any]", value).value)
    if isinstance(value, OutputName | InputName | ExecutorStep):
        kind = type(cast("Any", value)).__name__
        raise PlanError(f"{kind} inside a value cannot be unwrapped: only the executor knows its path")
    return map_children(value, _unwrap)


ATOM_TYPES = frozenset({str, int, float, bool, type(None)})
"""Types of which most values in configs are, and which hold nothing to look into."""


@functools.lru_cache(maxsize=4096)
def field_names(kind: type[Any]) -> tuple[str, ...] | None:
    """The names of the fields of the dataclass `kind`, in their order; None where it is none."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


def map_children(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with `change` applied to what it directly holds; the same object where nothing changed.

    Looks into dataclasses, dicts, lists, tuples, named tuples and sets. Fields that a dataclass computes itself
    (`init=False`) are computed again by the copy.
    """
    names = field_names(value.__class__)
    if names is not None:
        return _map_fields(value, names, change)
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        changed = {key: change(item) for key, item in items.items()}
        return changed if any(changed[key] is not items[key] for key in items) else items
    if isinstance(value, list | tuple | set | frozenset):
        elements = list(cast("Iterable[Any]", value))
        new_elements = [change(element) for element in elements]
        if all(new is old for new, old in zip(new_elements, elements, strict=True)):
            return cast("Any", value)
        kind = cast("Any", type(cast("Any", value)))
        return kind(*new_elements) if hasattr(kind, "_fields") else kind(new_elements)
    return value


def _map_fields(value: Any, names: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    changes: dict[str, Any] = {}
    for name in names:
        old = getattr(value, name)
        if type(old) in ATOM_TYPES:
            continue
        new = change(old)
        if new is not old and name not in _computed_fields(value.__class__):
            changes[name] = new
    return dataclasses.replace(value, **changes) if changes else value


@functools.lru_cache(maxsize=4096)
def _computed_fields(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind) if not field.init)


def output_path_of(step: ExecutorStep[Any], name: str | None = None) -> InputName:
    """The output folder of `step`, or the path `name` in it."""
    return InputName(step, name)


def get_executor_step(run: "ExecutorStep[Any] | InputName") -> ExecutorStep[Any]:
    """The step that `run` is, or refers to.

    Raises:
        PlanError: it is a path that no step makes.
    """
    step = run.step if isinstance(run, InputName) else run
    if not isinstance(step, ExecutorStep):
        what = f"the hardcoded path {run.name}" if isinstance(run, InputName) else f"{run!r}"
        raise PlanError(f"{what} is not a step of the experiment")
    return step
