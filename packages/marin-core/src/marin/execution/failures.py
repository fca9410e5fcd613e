"""What is known of the failure of a step, in a form that crosses processes and fits on one line."""

import dataclasses
import sysconfig
import traceback
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """How the body of a step failed."""

    type: str
    """Name of the exception's class."""
    message: str
    """Text of the exception."""
    location: str | None
    """`file:line` of the deepest frame in the user's own code; None where there is none."""
    traceback: str
    """The whole traceback."""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """The failure that `error` stands for."""
        return cls(
            type=type(error).__name__,
            message=str(error),
            location=_user_location(error),
            traceback="".join(traceback.format_exception(error)),
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The failure that `to_json` has written; fields it does not know are left out."""
        return cls(**{field.name: value[field.name] for field in dataclasses.fields(cls)})

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    def error_line(self) -> str:
        """`Type: message`, or the type alone where there is no message."""
        return f"{self.type}: {self.message}" if self.message else self.type

    def summary(self) -> str:
        """The error and where it was raised."""
        return f"{self.error_line()} ({self.location})" if self.location else self.error_line()


def _user_location(error: BaseException) -> str | None:
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_users(frame)]
    if not frames:
        return None
    frame, line = frames[-1]
    return f"{frame.f_code.co_filename}:{line}"


def _is_users(frame: FrameType) -> bool:
    # By module name and not by path alone: our own packages may be installed in place, outside site-packages.
    module = str(frame.f_globals.get("__name__", ""))
    return not module.startswith("marin.") and not frame.f_code.co_filename.startswith(("<", *_INSTALLED))
