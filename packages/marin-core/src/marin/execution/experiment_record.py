"""The record of one run of an experiment, as JSON: written when it starts, and again when it ends."""

import logging
from collections.abc import Sequence
from typing import Any

from marin import storage
from marin.execution.graph import Node
from marin.execution.plan import Plan, PlanState
from marin.execution.records import experiment_path, experiment_record
from marin.execution.scheduler import Outcome
from marin.execution.status import timestamp

logger = logging.getLogger(__name__)


class ExperimentRecord:
    """Writes what is recorded of a run, when it starts and when it ends."""

    def __init__(self, nodes: Sequence[Node], plan: Plan, *, prefix: str, base: str, description: str | None) -> None:
        self._nodes = nodes
        self._plan = plan
        self._prefix = prefix
        self._description = description
        self._record: dict[str, Any] | None = None
        self.path = experiment_path(nodes, base)
        """The record; the same for the same steps and script."""

    def write(self) -> None:
        """Write the record of a run that starts.

        Raises:
            StorageError: it cannot be written.
        """
        record = self._record = {
            **experiment_record(self._nodes, prefix=self._prefix, description=self._description),
            "adopted": [step.node.name for step in self._plan.steps if step.is_adopted],
            "region_overrides": [override.to_json() for override in self._plan.region_overrides],
            "ended_date": None,
        }
        cached = {node.output_path for node in self._plan.in_state(PlanState.CACHED)}
        for step in record["steps"]:
            step["cached"] = step["output_path"] in cached
        storage.write_json(self.path, record)

    def write_if_missing(self) -> None:
        """Write the record of a run that has nothing to do, where no earlier run has left one."""
        if not storage.exists(self.path):
            self.write()

    def write_end(self, outcome: Outcome) -> None:
        """Add to the record how the run ended; what cannot be written is only logged, for the results are there."""
        assert self._record is not None, "it has started"
        seconds = {node.output_path: round(took, 3) for node, took in outcome.succeeded.items()}
        errors = {node.output_path: error.failure.summary() for node, error in outcome.failed.items()}
        blocked = {node.output_path: root.name for node, root in outcome.blocked.items()}
        for step in self._record["steps"]:
            path = step["output_path"]
            step["seconds"] = seconds.get(path)
            step["error"] = errors.get(path)
            step["blocked_by"] = blocked.get(path)
        self._record["ended_date"] = timestamp()
        try:
            storage.write_json(self.path, self._record)
        except storage.StorageError as error:
            logger.warning("the end of the run could not be recorded: %s", error)
