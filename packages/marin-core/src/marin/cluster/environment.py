"""`Environment`: what surrounds the process of a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from marin.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Environment variables and packages of a job.

    A back end honours every field or refuses the job; it never leaves one out silently.

    Raises:
        UsageError: an environment variable has an empty name, a `=` in its name, or a value that is no string.
    """

    env_vars: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables added to the environment of the job."""
    pip_packages: tuple[str, ...] = ()
    """Requirements installed beside the workspace, such as `lm-eval==0.4.13`."""
    extras: tuple[str, ...] = ()
    """Extras of the workspace that are installed, such as `vllm`."""

    def __post_init__(self) -> None:
        for name, value in self.env_vars.items():
            if not name or "=" in name:
                raise UsageError(f"{name!r} is not the name of an environment variable")
            if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers are not all typed
                raise UsageError(f"the environment variable {name} must be a string, got {value!r}")
