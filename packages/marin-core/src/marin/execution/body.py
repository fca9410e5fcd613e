"""What an attempt does between getting its lease and committing: call the function, and see to its output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from marin import storage
from marin.execution.errors import MissingOutputError

OWN_PREFIX = ".executor"
"""Begins the names of the executor's own files in an output folder."""

STAGING_FOLDER = f"{OWN_PREFIX}_staging"
"""In the output of a step with `staged=True`: where an attempt writes until it has succeeded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """The body of one attempt; it can be sent to a job."""

    function: Callable[[Any], Any]
    config: Any
    """With paths and values in place of placeholders; of a staged step, with the staging folder for the output."""
    output_path: str
    staging_path: str | None
    """Where a staged step writes; None for others."""
    outputs: Sequence[str]
    """Names or patterns, below the output, of what must be there at the end."""

    def run(self, still_owned: Callable[[], None]) -> None:
        """Call the function; then check what it was to write, and put staged output in its place.

        Args:
            still_owned: raises if the attempt does not own its step any more; called before staged output is moved.

        Raises:
            MissingOutputError: a declared output is not there.
            StorageError: staged output cannot be moved.
            BaseException: what the function raises.
        """
        if self.staging_path is not None:
            _remove_leftovers(self.output_path)
            storage.make_directory(self.staging_path)
        self.function(self.config)
        missing = missing_outputs(self.staging_path or self.output_path, self.outputs)
        if missing:
            raise MissingOutputError(
                f"the step ended without its declared outputs {', '.join(missing)}; it was to write them below "
                f"{self.staging_path or self.output_path}"
            )
        if self.staging_path is not None:
            still_owned()
            storage.move_children(self.staging_path, self.output_path)
            storage.remove(storage.join(self.output_path, STAGING_FOLDER))


def staging_path(output_path: str, attempt_id: str) -> str:
    """Where an attempt of a staged step writes."""
    return storage.join(output_path, STAGING_FOLDER, attempt_id)


def missing_outputs(folder: str, outputs: Sequence[str]) -> list[str]:
    """Those of `outputs` (names or patterns) that match nothing below `folder`."""
    return [output for output in outputs if not storage.matches(storage.join(folder, output))]


def _remove_leftovers(output_path: str) -> None:
    # An attempt that was killed while it moved its files has left some of them where only whole outputs may be.
    for name in storage.children(output_path):
        if not name.startswith(OWN_PREFIX) or name == STAGING_FOLDER:
            storage.remove(storage.join(output_path, name))
