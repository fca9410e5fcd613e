"""An actor that knows which attempt runs which step: a fast path beside the status files, which stay the truth.

Ray-era Marin kept all ownership in such an actor. Here a run that waits for another one's step on remote storage asks
the actor, which costs a message, in place of the storage, which costs a request; without the actor, or when it is
gone, everything works as well and a little later.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger(__name__)

_ASK_SECONDS = 0.1


class StatusActor:
    """Maps output paths to the attempts that run them; host it as a Fray actor, `client.create_actor(StatusActor)`.

    What it is told is not kept over a restart, and need not be.
    """

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._lock = threading.Lock()

    def get_task_id_with_lock(self, output_path: str) -> str | None:
        """The attempt that runs the step; None if there is none."""
        return self._owners.get(output_path)

    def get_lock_by_replacing_task_id(
        self, output_path: str, task_id: str | None, current_owner_task_id: str | None
    ) -> bool:
        """Make `task_id` the owner if `current_owner_task_id` is; whether it was.

        Args:
            output_path: the step's output.
            task_id: the new owner; None leaves the step without one.
            current_owner_task_id: the owner that is replaced; None if there is to be none.
        """
        with self._lock:
            if self._owners.get(output_path) != current_owner_task_id:
                return False
            if task_id is None:
                self._owners.pop(output_path, None)
            else:
                self._owners[output_path] = task_id
            return True

    def get_task_id_locks(self) -> dict[str, str]:
        """Every owner by output path."""
        with self._lock:
            return dict(self._owners)


class Ownership:
    """What an executor tells a `StatusActor` and asks it; an actor that fails is not asked again."""

    def __init__(self, actor: Any) -> None:
        """Talk to `actor`, a handle of a hosted `StatusActor`."""
        self._actor = actor

    def take(self, output_path: str, attempt_id: str) -> None:
        """Say that `attempt_id` has the lease: whoever the actor knew has lost it."""
        if self._actor is not None:
            current = self._call("get_task_id_with_lock", output_path)
            self._call("get_lock_by_replacing_task_id", output_path, attempt_id, current)

    def give_back(self, output_path: str, attempt_id: str) -> None:
        """Say that the attempt has ended."""
        self._call("get_lock_by_replacing_task_id", output_path, None, attempt_id)

    def wait_for_change(self, output_paths: Sequence[str], seconds: float) -> bool:
        """Wait until another attempt or none runs one of the steps, at most `seconds`; False if the actor is gone."""
        known = self._owners_of(output_paths)
        elapsed = threading.Event()
        for _ in range(int(seconds / _ASK_SECONDS)):
            elapsed.wait(_ASK_SECONDS)
            if self._actor is None:
                return False
            if self._owners_of(output_paths) != known:
                break
        return True

    def _owners_of(self, output_paths: Sequence[str]) -> dict[str, str]:
        owners: dict[str, str] = self._call("get_task_id_locks") or {}
        return {path: owners[path] for path in output_paths if path in owners}

    def _call(self, method: str, *args: Any) -> Any:
        if self._actor is None:
            return None
        try:
            return getattr(self._actor, method)(*args)
        except Exception as error:  # noqa: BLE001  # any back end's error: the files say the same, a little later
            logger.warning("the status actor does not answer, and is not asked any more: %s", error)
            self._actor = None
            return None
