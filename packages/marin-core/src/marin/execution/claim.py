"""Gets a step for one attempt, or says who has it."""

import json
from dataclasses import dataclass

from marin import storage
from marin.execution.errors import ReusedPathError
from marin.execution.failures import Failure
from marin.execution.graph import Node
from marin.execution.lease import Lease
from marin.execution.records import read_step_info
from marin.execution.status import StatusLog, StepStatus, read_log
from marin.execution.watch import Watch
from marin.storage.conditional import ConflictError


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Somebody else runs the step."""

    owner: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SettledElsewhere:
    """Somebody else has run the step since the run was planned."""

    failure: Failure | None
    """How it failed; None if it succeeded."""


def claim(
    node: Node, log: StatusLog, planned: StatusLog, watch: Watch, lease_seconds: float
) -> Lease | Held | SettledElsewhere:
    """The lease of `node`, or why there is none to be had now.

    Args:
        node: the step.
        log: its status as it was read last.
        planned: its status when the run was planned: what had ended then, and was planned to run, runs again; what
            has ended since does not.
        watch: knows how long the owner has been silent.
        lease_seconds: how long the new owner may be silent.

    Raises:
        ReusedPathError: the output was made from another config.
        StorageError: the status cannot be read or written.
    """
    while True:
        if log.file_version != planned.file_version:
            if log.status == StepStatus.SUCCESS:
                check_version(node, log)
                return SettledElsewhere(failure=None)
            if log.status == StepStatus.FAILED:
                return SettledElsewhere(failure=_failure_elsewhere(log))
        owner = watch.owner(node.output_path, log)
        if owner is not None:
            return Held(owner=owner)
        try:
            return Lease.acquire(node.output_path, log, version=node.digest, seconds=lease_seconds)
        except ConflictError:
            log = read_log(node.output_path)


def check_version(node: Node, log: StatusLog) -> None:
    """Raise `ReusedPathError` if what `log` tells of was made from another config; old logs do not say."""
    if log.version in (None, node.digest):
        return
    raise ReusedPathError(
        f"step {node.name}: {node.output_path} was made from another config than the step has now; give the step "
        f"another name or override_output_path, delete the output, or take it as it is with --adopt '^{node.name}$'\n"
        f"  made from: {_recorded_version(node.output_path)}\n  now: {node.version_str}"
    )


def _recorded_version(output_path: str) -> str:
    try:
        return json.dumps(read_step_info(output_path)["version"], sort_keys=True, ensure_ascii=False)
    except (storage.StorageError, KeyError, TypeError) as error:
        return f"unknown ({error})"


def _failure_elsewhere(log: StatusLog) -> Failure:
    message = (log.last.message if log.last else None) or "no reason given"
    return Failure(
        type="FailedElsewhere",
        message=f"another run of the step, which this one waited for, failed: {message}",
        location=None,
        traceback=message,
    )
