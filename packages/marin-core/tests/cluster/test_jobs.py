"""Job specifications, and which replica runs."""

import re

import pytest
from fray.types import Entrypoint

from marin.cluster.environment import Environment
from marin.cluster.jobs import JobSpec, Replica, current_replica
from marin.errors import UsageError
from marin.resources.config import ResourceConfig

PRINT = Entrypoint.from_callable(print)


def test_both_retry_counters_of_fray_are_set():
    request = JobSpec(name="x", entrypoint=PRINT, replicas=3, max_retries_failure=2).to_fray("x-1")
    assert (request.replicas, request.max_retries_failure, request.max_task_failures) == (3, 2, 6)


def test_a_slice_keeps_its_number_of_hosts():
    spec = JobSpec(name="x", entrypoint=PRINT, resources=ResourceConfig(accelerator="v5litepod-16"))
    assert spec.to_fray("x-1").replicas == 4


@pytest.mark.parametrize("name", ["train model", "a/b", "42", "日本", "x" * 300])
def test_names_are_cleaned_and_unique(name: str):
    spec = JobSpec(name=name, entrypoint=PRINT)
    first, second = spec.unique_name(), spec.unique_name()
    assert re.fullmatch(r"[a-z0-9-]{1,60}", first)
    assert first != second
    assert not first.isdigit()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": " "}, "name of a job must not be empty"),
        ({"replicas": 0}, "replicas must be at least 1"),
        ({"max_retries_failure": -1}, "retries must not be negative"),
        ({"timeout": 0}, "timeout must be above 0 s"),
        ({"entrypoint": Entrypoint()}, "either a callable or a command"),
    ],
)
def test_bad_specifications_are_named(options: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        JobSpec(**{"name": "x", "entrypoint": PRINT, **options})


@pytest.mark.parametrize(
    ("variables", "message"), [({"A=B": "1"}, "'A=B'"), ({"": "1"}, "''"), ({"A": 1}, "A must be")]
)
def test_bad_variables_are_named(variables: dict[str, str], message: str):
    with pytest.raises(UsageError, match=message):
        Environment(env_vars=variables)


def test_outside_a_job_there_is_one_replica():
    assert current_replica() == Replica(index=0, count=1)


def test_the_replica_of_an_iris_task(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IRIS_TASK_ID", "/user/parent/child/3:1")
    monkeypatch.setenv("IRIS_NUM_TASKS", "8")
    assert current_replica() == Replica(index=3, count=8)
