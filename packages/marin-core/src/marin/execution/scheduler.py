"""Runs a plan: a step starts the moment its last dependency has succeeded. Nothing here polls."""

import logging
import queue
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from marin import storage
from marin.execution.attempts import Attempt
from marin.execution.errors import ExperimentFailed, PlanError, StepFailed
from marin.execution.graph import Node
from marin.execution.plan import Plan
from marin.execution.status import StepStatus, write_status

logger = logging.getLogger(__name__)

DEFAULT_THREADS = 32
"""Steps that run in threads of this process at a time, where `max_concurrent` does not say; jobs are not limited."""


class Observer(Protocol):
    """Is told what happens in a run; `step_progress` is called in threads of steps, the others in the scheduler's."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""
        ...

    def step_started(self, node: Node) -> None:
        """A step starts."""
        ...

    def step_progress(self, node: Node, done: int, total: int | None, unit: str) -> None:
        """A running step has reported progress."""
        ...

    def step_succeeded(self, node: Node, seconds: float) -> None:
        """A step has succeeded."""
        ...

    def step_failed(self, node: Node, error: StepFailed, seconds: float) -> None:
        """A step has failed; those in `error.dependents` cannot run."""
        ...


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What a run did."""

    succeeded: dict[Node, float] = field(default_factory=dict[Node, float])
    """Steps that ran, with their seconds."""
    failed: dict[Node, StepFailed] = field(default_factory=dict[Node, StepFailed])
    """Steps that failed, in that order."""
    blocked: dict[Node, Node] = field(default_factory=dict[Node, Node])
    """Steps that could not run, with the step whose failure is the cause."""
    not_started: list[Node] = field(default_factory=list[Node])
    """Steps that could have run and were not started, because the run stopped at a failure."""

    def raise_failures(self) -> None:
        """Raise `ExperimentFailed` with every failure, if there is one."""
        if self.failed:
            ran = len(self.succeeded) + len(self.failed)
            errors = list(self.failed.values())
            lines = [f"{len(errors)} of {ran} steps that ran failed:", *(f"  {error}" for error in errors)]
            raise ExperimentFailed("\n".join(lines), errors)


class Scheduler:
    """Runs the steps of one plan."""

    def __init__(
        self, plan: Plan, observer: Observer, *, max_concurrent: int | None = None, fail_fast: bool = False
    ) -> None:
        """A scheduler that has started nothing.

        Args:
            plan: what runs.
            observer: is told of everything that happens.
            max_concurrent: steps that run at a time; None: `DEFAULT_THREADS` in this process, jobs without limit.
            fail_fast: start nothing more once a step has failed; those that run are waited for.

        Raises:
            PlanError: `max_concurrent` is below 1.
        """
        if max_concurrent is not None and max_concurrent < 1:
            raise PlanError(f"max_concurrent must be at least 1, got {max_concurrent}")
        self._observer = observer
        self._max_concurrent = max_concurrent
        self._fail_fast = fail_fast
        self._outcome = Outcome()
        self._ended: queue.SimpleQueue[Attempt] = queue.SimpleQueue()
        self._running: dict[Node, Attempt] = {}
        to_run = plan.to_run
        chosen = set(to_run)
        self._waits_for = {node: sum(dependency in chosen for dependency in node.dependencies) for node in to_run}
        self._dependents: dict[Node, list[Node]] = {node: [] for node in to_run}
        for node in to_run:
            for dependency in node.dependencies:
                if dependency in chosen:
                    self._dependents[dependency].append(node)
        self._ready_jobs: deque[Node] = deque()
        self._ready_threads: deque[Node] = deque()

    def run(self) -> Outcome:
        """Run all steps of the plan; what became of each.

        Raises:
            KeyboardInterrupt: the run was interrupted; steps that were running are recorded as cancelled.
        """
        for node, count in self._waits_for.items():
            if not count:
                self._make_ready(node)
        try:
            while True:
                for node in self._startable():
                    self._start(node)
                if not self._running:
                    break
                self._finish(self._ended.get())
        except KeyboardInterrupt:
            self._cancel()
            raise
        self._outcome.not_started = [*self._ready_jobs, *self._ready_threads, *self._never_ready()]
        return self._outcome

    def _make_ready(self, node: Node) -> None:
        (self._ready_jobs if node.step.needs_job else self._ready_threads).append(node)

    def _startable(self) -> Iterator[Node]:
        for ready in (self._ready_jobs, self._ready_threads):
            while ready and self._has_room_for(ready[0]):
                yield ready.popleft()

    def _has_room_for(self, node: Node) -> bool:
        if self._fail_fast and self._outcome.failed:
            return False
        if self._max_concurrent is not None:
            return len(self._running) < self._max_concurrent
        return node.step.needs_job or sum(not other.step.needs_job for other in self._running) < DEFAULT_THREADS

    def _start(self, node: Node) -> None:
        def on_progress(done: int, total: int | None, unit: str) -> None:
            self._observer.step_progress(node, done, total, unit)

        self._observer.step_started(node)
        attempt = Attempt(node, on_progress=on_progress, on_end=self._ended.put)
        self._running[node] = attempt
        attempt.start()

    def _finish(self, attempt: Attempt) -> None:
        node = attempt.node
        del self._running[node]
        if attempt.interrupted:
            raise KeyboardInterrupt
        if attempt.failure is not None:
            blocked = self._block_dependents(node, f"needs step {node.name}, which failed: {attempt.failure.summary()}")
            error = StepFailed(node.name, node.output_path, attempt.failure, [dependent.name for dependent in blocked])
            self._outcome.failed[node] = error
            self._observer.step_failed(node, error, attempt.seconds)
            return
        self._outcome.succeeded[node] = attempt.seconds
        self._observer.step_succeeded(node, attempt.seconds)
        for dependent in self._dependents[node]:
            self._waits_for[dependent] -= 1
            if not self._waits_for[dependent]:
                self._make_ready(dependent)

    def _block_dependents(self, root: Node, message: str) -> list[Node]:
        """Record the failure of `root` in every step that needs it, directly or not; the newly blocked steps."""
        blocked: list[Node] = []
        stack = [root]
        while stack:
            for dependent in self._dependents[stack.pop()]:
                if dependent in self._outcome.blocked:
                    continue
                self._outcome.blocked[dependent] = root
                blocked.append(dependent)
                stack.append(dependent)
        for dependent in blocked:
            try:
                write_status(dependent.output_path, StepStatus.DEP_FAILED, message)
            except storage.StorageError as error:
                # Without the mark the step still counts as not run, which it has not.
                logger.warning("step %s could not be marked as blocked: %s", dependent.name, error)
        return blocked

    def _never_ready(self) -> list[Node]:
        ended = self._outcome.succeeded.keys() | self._outcome.failed.keys() | self._outcome.blocked.keys()
        return [node for node, count in self._waits_for.items() if count and node not in ended]

    def _cancel(self) -> None:
        for node, attempt in self._running.items():
            try:
                attempt.cancel()
            except storage.StorageError as error:
                logger.warning("step %s could not be marked as cancelled: %s", node.name, error)
