"""Runs a plan: a step starts the moment its last dependency has succeeded. Nothing here polls.

Only what other processes run has to be looked at again and again, which `waiting` does in a thread of its own.
"""

import logging
import queue
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from marin import storage
from marin.execution.attempts import Attempt, AttemptSettings, Ending
from marin.execution.errors import ExperimentFailed, PlanError, StepFailed
from marin.execution.failures import Failure
from marin.execution.graph import Node
from marin.execution.plan import Plan
from marin.execution.status import StatusEvent, StatusLog, StepStatus, for_each, read_log, write_event
from marin.execution.threads import DaemonThreads
from marin.execution.waiting import WaitingRoom
from marin.storage.conditional import ConflictError

logger = logging.getLogger(__name__)

DEFAULT_THREADS = 32
"""Steps that run in threads of this process at a time, where `max_concurrent` does not say; jobs are not limited."""

QUICK_SECONDS = 0.005
"""Steps that take less run one after the other: their threads would only get in each other's way. Once a step takes
longer while others wait, there are twice as many threads."""

SIGNAL_SECONDS = 0.5
"""Longest wait for an event: Python sees a Ctrl-C that arrives just before a wait only after it."""


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

    def step_waits(self, node: Node, owner: str) -> None:
        """A step is not run here, because `owner` runs it; its end is waited for."""
        ...

    def step_succeeded(self, node: Node, seconds: float) -> None:
        """A step has succeeded."""
        ...

    def step_reused(self, node: Node) -> None:
        """A step was to run, and another process has brought it to its result."""
        ...

    def step_failed(self, node: Node, error: StepFailed, seconds: float) -> None:
        """A step has failed; those in `error.dependents` cannot run."""
        ...


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What a run did."""

    succeeded: dict[Node, float] = field(default_factory=dict[Node, float])
    """Steps that ran, with their seconds."""
    reused: list[Node] = field(default_factory=list[Node])
    """Steps that another process has run meanwhile."""
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
        self,
        plan: Plan,
        observer: Observer,
        settings: AttemptSettings,
        *,
        max_concurrent: int | None = None,
        fail_fast: bool = False,
    ) -> None:
        """A scheduler that has started nothing.

        Args:
            plan: what runs.
            observer: is told of everything that happens.
            settings: what the attempts share.
            max_concurrent: steps that run at a time; None: `DEFAULT_THREADS` in this process, jobs without limit.
            fail_fast: start nothing more once a step has failed; those that run are waited for.

        Raises:
            PlanError: `max_concurrent` is below 1.
        """
        if max_concurrent is not None and max_concurrent < 1:
            raise PlanError(f"max_concurrent must be at least 1, got {max_concurrent}")
        self._observer = observer
        self._settings = settings
        self._max_concurrent = max_concurrent
        self._fail_fast = fail_fast
        self.outcome = Outcome()
        """What the run has done so far."""
        self._events: queue.SimpleQueue[Attempt | tuple[Node, StatusLog]] = queue.SimpleQueue()
        self._threads = DaemonThreads()
        self._waiting = WaitingRoom(settings.watch, lambda node, log: self._events.put((node, log)), settings.ownership)
        self._running: dict[Node, Attempt] = {}
        self._running_here = 0
        self._width = 1
        self._held: set[Node] = set()
        self._planned = {step.node: step.log for step in plan.steps}
        self._latest: dict[Node, StatusLog] = {}
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
            self._loop()
        except KeyboardInterrupt:
            for attempt in self._running.values():
                attempt.cancel()
            raise
        finally:
            self._waiting.close()
            self._threads.close()
        self.outcome.not_started = [*self._ready_jobs, *self._ready_threads, *self._never_ready()]
        return self.outcome

    def _loop(self) -> None:
        while True:
            for node in self._startable():
                self._start(node)
            if not self._running and (self._is_stopping or not self._held):
                return
            event = self._next_event()
            if event is None or (isinstance(event, Attempt) and event.seconds > QUICK_SECONDS):
                self._width = min(2 * self._width, DEFAULT_THREADS)
            if event is None:
                continue
            if isinstance(event, Attempt):
                self._finish(event)
            else:
                node, log = event
                self._held.discard(node)
                self._latest[node] = log
                self._make_ready(node)

    def _next_event(self) -> "Attempt | tuple[Node, StatusLog] | None":
        """The next event; None if steps wait for a thread and those that run take longer than a moment."""
        may_widen = self._ready_threads and self._width < DEFAULT_THREADS and self._running_here >= self._width
        while True:
            try:
                return self._events.get(timeout=QUICK_SECONDS if may_widen else SIGNAL_SECONDS)
            except queue.Empty:
                if may_widen:
                    return None

    @property
    def _is_stopping(self) -> bool:
        return self._fail_fast and bool(self.outcome.failed)

    def _make_ready(self, node: Node) -> None:
        (self._ready_jobs if node.step.needs_job else self._ready_threads).append(node)

    def _startable(self) -> Iterator[Node]:
        for ready in (self._ready_jobs, self._ready_threads):
            while ready and self._has_room_for(ready[0]):
                yield ready.popleft()

    def _has_room_for(self, node: Node) -> bool:
        if self._is_stopping:
            return False
        if self._max_concurrent is not None and len(self._running) >= self._max_concurrent:
            return False
        if node.step.needs_job:
            return True
        return self._running_here < (self._width if self._max_concurrent is None else self._max_concurrent)

    def _start(self, node: Node) -> None:
        def on_progress(done: int, total: int | None, unit: str) -> None:
            self._observer.step_progress(node, done, total, unit)

        log = self._latest.pop(node, None)
        if log is None:
            self._observer.step_started(node)
        attempt = Attempt(node, self._planned[node], self._settings, on_progress=on_progress, log=log)
        self._running[node] = attempt
        self._running_here += not node.step.needs_job
        self._threads.submit(lambda: self._events.put(attempt.run()))

    def _finish(self, attempt: Attempt) -> None:
        node = attempt.node
        del self._running[node]
        self._running_here -= not node.step.needs_job
        if attempt.ending is Ending.INTERRUPTED:
            raise KeyboardInterrupt
        if attempt.ending is Ending.FAILED:
            assert attempt.failure is not None
            self._fail(node, attempt.failure, attempt.seconds)
        elif attempt.ending in (Ending.HELD, Ending.LOST):
            self._held.add(node)
            self._waiting.add(node)
            self._observer.step_waits(node, attempt.owner)
        else:
            self._succeed(node, attempt)

    def _succeed(self, node: Node, attempt: Attempt) -> None:
        if attempt.ending is Ending.ELSEWHERE:
            self.outcome.reused.append(node)
            self._observer.step_reused(node)
        else:
            self.outcome.succeeded[node] = attempt.seconds
            self._observer.step_succeeded(node, attempt.seconds)
        for dependent in self._dependents[node]:
            self._waits_for[dependent] -= 1
            if not self._waits_for[dependent]:
                self._make_ready(dependent)

    def _fail(self, node: Node, failure: Failure, seconds: float) -> None:
        blocked = self._block_dependents(node, f"needs step {node.name}, which failed: {failure.summary()}")
        error = StepFailed(node.name, node.output_path, failure, [dependent.name for dependent in blocked])
        self.outcome.failed[node] = error
        self._observer.step_failed(node, error, seconds)

    def _block_dependents(self, root: Node, message: str) -> list[Node]:
        """Record the failure of `root` in every step that needs it, directly or not; the newly blocked steps."""
        blocked: list[Node] = []
        stack = [root]
        while stack:
            for dependent in self._dependents[stack.pop()]:
                if dependent in self.outcome.blocked:
                    continue
                self.outcome.blocked[dependent] = root
                blocked.append(dependent)
                stack.append(dependent)
        event = StatusEvent.now(StepStatus.DEP_FAILED, message=message)
        for_each(
            lambda dependent: self._mark_blocked(dependent, event),
            blocked,
            at=[dependent.output_path for dependent in blocked],
        )
        return blocked

    def _mark_blocked(self, node: Node, event: StatusEvent) -> None:
        try:
            log = read_log(node.output_path)
            if log.status != StepStatus.SUCCESS and self._settings.watch.owner(node.output_path, log) is None:
                write_event(node.output_path, log, replace(event, version=node.digest, epoch=log.epoch or None))
        except ConflictError:
            logger.info("step %s is not marked as blocked: another process has begun to run it", node.name)
        except storage.StorageError as error:
            # Without the mark the step still counts as not run, which it has not.
            logger.warning("step %s could not be marked as blocked: %s", node.name, error)

    def _never_ready(self) -> list[Node]:
        outcome = self.outcome
        ended = {*outcome.succeeded, *outcome.reused, *outcome.failed, *outcome.blocked}
        return [node for node, count in self._waits_for.items() if (count or node in self._held) and node not in ended]
