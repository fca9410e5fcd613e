"""`Executor`: plans and runs steps under one prefix."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from marin import storage
from marin.execution.attempts import AttemptSettings
from marin.execution.errors import PlanError, StepFailed
from marin.execution.experiment_record import ExperimentRecord
from marin.execution.graph import Graph, Node, collector_paused
from marin.execution.keeper import LeaseKeeper
from marin.execution.lease import DEFAULT_LEASE_SECONDS
from marin.execution.plan import Plan, make_plan
from marin.execution.records import step_info
from marin.execution.regions import check_plan_regions
from marin.execution.scheduler import Observer, Outcome, Scheduler
from marin.execution.status_actor import Ownership
from marin.execution.step_job import check_jobs
from marin.execution.steps import ExecutorStep, InputName
from marin.execution.watch import Watch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """A run that has ended."""

    plan: Plan
    """What was to be done."""
    outcome: Outcome
    """What was done."""


class Executor:
    """Plans and runs steps whose outputs lie under one prefix.

    The maps `configs`, `dependencies`, `versions`, `version_strs` and `output_paths` are keyed by step object.
    """

    def __init__(
        self,
        prefix: str,
        executor_info_base_path: str | None = None,
        description: str | None = None,
        *,
        observer: Observer | None = None,
        lease_seconds: float = DEFAULT_LEASE_SECONDS,
        status_actor: Any = None,
    ) -> None:
        """An executor that knows no steps yet.

        Args:
            prefix: folder or URL under which outputs lie; a relative one is taken from the working directory.
            executor_info_base_path: where records of runs lie; `<prefix>/experiments` by default.
            description: what the experiment is about, for its record.
            observer: is told what happens while steps run; by default it is logged.
            lease_seconds: how long this executor may be silent, cut off or paused, before another one on another
                machine may take over the steps that it runs; at least 1. On this machine its death is noticed at once.
            status_actor: handle of a hosted `StatusActor`, which other executors tell of this one's steps; optional.

        Raises:
            PlanError: `lease_seconds` is below 1.
        """
        if lease_seconds < 1:
            raise PlanError(f"lease_seconds must be at least 1, got {lease_seconds}")
        self.prefix = storage.absolute(prefix)
        self.executor_info_base_path = executor_info_base_path or storage.join(self.prefix, "experiments")
        self.description = description
        self.executor_info_path: str | None = None
        """The record of the last run; None before the first."""
        self._graph = Graph(self.prefix)
        self._observer: Observer = observer or LogObserver()
        self._lease_seconds = lease_seconds
        self._ownership = None if status_actor is None else Ownership(status_actor)
        self._watch = Watch()

    @property
    def steps(self) -> list[ExecutorStep[Any]]:
        """Every output's step once, dependencies before dependents."""
        return [node.step for node in self._graph.nodes]

    @property
    def configs(self) -> dict[ExecutorStep[Any], Any]:
        """Configs with paths and values in place of placeholders."""
        return {step: node.config for step, node in self._graph.node_of.items()}

    @property
    def dependencies(self) -> dict[ExecutorStep[Any], list[ExecutorStep[Any]]]:
        """The steps that each waits for."""
        return {step: [other.step for other in node.dependencies] for step, node in self._graph.node_of.items()}

    @property
    def versions(self) -> dict[ExecutorStep[Any], dict[str, Any]]:
        """What identifies each output, as JSON values."""
        return {step: node.version for step, node in self._graph.node_of.items()}

    @property
    def version_strs(self) -> dict[ExecutorStep[Any], str]:
        """What identifies each output, as the JSON text that is hashed."""
        return {step: node.version_str for step, node in self._graph.node_of.items()}

    @property
    def hashed_versions(self) -> dict[ExecutorStep[Any], str]:
        """The hex digits that end each default output path."""
        return {step: node.path_hash for step, node in self._graph.node_of.items()}

    @property
    def output_paths(self) -> dict[ExecutorStep[Any], str]:
        """Where each output lies."""
        return {step: node.output_path for step, node in self._graph.node_of.items()}

    @property
    def step_infos(self) -> list[dict[str, Any]]:
        """The record of every step, in the order of `steps`."""
        return [step_info(node) for node in self._graph.nodes]

    def compute_version(self, step: ExecutorStep[Any], is_pseudo_dep: bool = False) -> None:
        """Make `step` and all that it refers to known to the maps; touches no storage.

        Args:
            step: any step.
            is_pseudo_dep: accepted for existing callers; what is run follows from the targets of `run`.
        """
        self._graph.add(step)

    def plan(
        self,
        steps: Sequence[ExecutorStep[Any] | InputName],
        *,
        run_only: Sequence[str] | None = None,
        force_run_failed: bool = True,
        adopt: Sequence[str] = (),
        allow_out_of_region: Sequence[str] = (),
    ) -> Plan:
        """What `run` would do with each step; writes nothing.

        Raises:
            PlanError: the steps cannot be planned as they are given.
            ReusedPathError: an output was made from another config.
            StorageError: a status cannot be read.
        """
        with collector_paused():
            referred = [step.step if isinstance(step, InputName) else step for step in steps]
            targets = [self._graph.add(step) for step in referred if step is not None]
            plan = make_plan(
                self._graph.nodes,
                targets,
                run_only=run_only,
                force_run_failed=force_run_failed,
                adopt=adopt,
                watch=self._watch,
            )
            return replace(plan, region_overrides=tuple(check_plan_regions(plan.to_run, allow_out_of_region)))

    def run(
        self,
        steps: Sequence[ExecutorStep[Any] | InputName],
        *,
        dry_run: bool = False,
        run_only: Sequence[str] | None = None,
        force_run_failed: bool = True,
        max_concurrent: int | None = None,
        fail_fast: bool = False,
        adopt: Sequence[str] = (),
        allow_out_of_region: Sequence[str] = (),
    ) -> dict[ExecutorStep[Any], str]:
        """Run what has not succeeded yet of `steps` and of what they need; the output path of every step.

        Args:
            steps: whose outputs are wanted; a path in a step's output stands for the step.
            dry_run: only plan.
            run_only: regular expressions; only steps whose names match, and what they need, are run.
            force_run_failed: whether steps that failed in an earlier run are run again.
            max_concurrent: steps that run at a time; by default 32 in this process, and jobs without limit.
            fail_fast: start nothing more once a step has failed; otherwise steps that do not need it go on.
            adopt: regular expressions; steps whose names match take an output that was made from another config.
            allow_out_of_region: prefixes of URLs that a step may use from another region; it is recorded.

        Raises:
            PlanError: the steps cannot be planned as they are given; nothing has run.
            ReusedPathError: an output was made from another config; nothing has run.
            PreviousTaskFailedError: a step failed earlier and `force_run_failed` is off; nothing has run.
            StorageError: statuses cannot be read, or records cannot be written; nothing has run.
            ClusterError: the cluster that a step's job needs cannot be connected to; nothing has run.
            ExperimentFailed: steps failed; it holds all of them.
        """
        plan = self.plan(
            steps,
            run_only=run_only,
            force_run_failed=force_run_failed,
            adopt=adopt,
            allow_out_of_region=allow_out_of_region,
        )
        self._observer.planned(plan)
        if not dry_run:
            self.execute(plan, max_concurrent=max_concurrent, fail_fast=fail_fast).outcome.raise_failures()
        return self.output_paths

    def write_page(self) -> str:
        """Write the page of the last run beside its record, as one HTML file; its path.

        Raises:
            StorageError: the record or a status cannot be read, or the page cannot be written.
        """
        # Its code and the graph library in it are of no use to a run.
        from marin.execution.experiment_loader import ExperimentLoader
        from marin.execution.page.render import render_page

        assert self.executor_info_path is not None, "there has been a run"
        path = f"{self.executor_info_path.removesuffix('.json')}.html"
        storage.write_text(path, render_page(ExperimentLoader(self.executor_info_path).load()))
        return path

    def execute(self, plan: Plan, *, max_concurrent: int | None = None, fail_fast: bool = False) -> RunResult:
        """Do what `plan` says; the failures of steps are in the result.

        Raises:
            MarinError: as `run`, without `ExperimentFailed`.
        """
        plan.refuse_failed_before()
        record = ExperimentRecord(
            self._graph.nodes, plan, prefix=self.prefix, base=self.executor_info_base_path, description=self.description
        )
        self.executor_info_path = record.path
        keeper = LeaseKeeper(self._lease_seconds)
        settings = AttemptSettings(
            lease_seconds=self._lease_seconds,
            keeper=keeper,
            watch=self._watch,
            experiment=record.path,
            ownership=self._ownership,
        )
        scheduler = Scheduler(plan, self._observer, settings, max_concurrent=max_concurrent, fail_fast=fail_fast)
        to_run = plan.to_run
        if not to_run:
            record.write_if_missing()
            return RunResult(plan=plan, outcome=Outcome())
        check_jobs(to_run, self._lease_seconds)
        record.write()
        for node in to_run:
            if node.step.override_output_path is not None:
                # Other outputs lie beside the record, which could be written.
                storage.make_directory(node.output_path)
        try:
            return RunResult(plan=plan, outcome=scheduler.run())
        finally:
            keeper.close()
            record.write_end(scheduler.outcome)


class LogObserver:
    """Logs what happens in a run."""

    def planned(self, plan: Plan) -> None:
        """Log how much is to be done."""
        logger.info("%d steps, %d to run", len(plan.steps), len(plan.to_run))

    def step_started(self, node: Node) -> None:
        """Log that a step starts."""
        logger.info("step %s runs: %s", node.name, node.output_path)

    def step_progress(self, node: Node, done: int, total: int | None, unit: str) -> None:
        """Log nothing: progress comes too often for a log."""

    def step_waits(self, node: Node, owner: str) -> None:
        """Log who runs the step."""
        logger.info("step %s is waited for: %s runs it", node.name, owner)

    def step_reused(self, node: Node) -> None:
        """Log that another process has brought the step to its result."""
        logger.info("step %s has been run by another process", node.name)

    def step_succeeded(self, node: Node, seconds: float) -> None:
        """Log that a step has succeeded."""
        logger.info("step %s has succeeded in %.1f s", node.name, seconds)

    def step_failed(self, node: Node, error: StepFailed, seconds: float) -> None:
        """Log that a step has failed."""
        logger.error("%s", error)
