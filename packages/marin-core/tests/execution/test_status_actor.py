"""The actor that knows who runs what: its methods, and an executor that tells it."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fray.local_backend import LocalClient

from marin.execution.executor import Executor, ExecutorStep
from marin.execution.status import StepStatus, read_log
from marin.execution.status_actor import StatusActor


@pytest.fixture
def client() -> Iterator[LocalClient]:
    client = LocalClient()
    yield client
    client.shutdown()


def test_an_owner_is_replaced_by_whoever_knows_it() -> None:
    actor = StatusActor()
    assert actor.get_task_id_with_lock("out") is None
    assert actor.get_lock_by_replacing_task_id("out", "a", None)
    assert not actor.get_lock_by_replacing_task_id("out", "b", None)
    assert actor.get_lock_by_replacing_task_id("out", "b", "a")
    assert not actor.get_lock_by_replacing_task_id("out", None, "a")
    assert actor.get_task_id_with_lock("out") == "b"
    assert actor.get_task_id_locks() == {"out": "b"}
    assert actor.get_lock_by_replacing_task_id("out", None, "b")
    assert actor.get_task_id_locks() == {}


def test_an_executor_tells_what_it_runs(client: LocalClient, tmp_path: Path) -> None:
    actor: Any = client.create_actor(StatusActor, name="status")
    seen: list[dict[str, str]] = []
    step = ExecutorStep("step", lambda config: seen.append(actor.get_task_id_locks()), None)
    output = Executor(str(tmp_path / "prefix"), status_actor=actor).run([step])[step]
    last = read_log(output).last
    assert last is not None
    assert seen == [{output: last.task_id}]
    assert actor.get_task_id_locks() == {}


class Gone(StatusActor):
    """An actor whose host has died."""

    def get_task_id_with_lock(self, output_path: str) -> str | None:
        raise ConnectionError("the host is gone")


def test_an_actor_that_is_gone_is_dropped_with_one_warning(
    client: LocalClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    actor: Any = client.create_actor(Gone, name="status")
    steps = [ExecutorStep(f"step{index}", None, None) for index in range(3)]
    with caplog.at_level(logging.WARNING):
        outputs = Executor(str(tmp_path / "prefix"), status_actor=actor).run(steps, max_concurrent=1)
    warnings = [record.message for record in caplog.records if "status actor" in record.message]
    assert warnings == ["the status actor does not answer, and is not asked any more: the host is gone"]
    assert {read_log(path).status for path in outputs.values()} == {StepStatus.SUCCESS}
