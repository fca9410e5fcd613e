"""Object storage of the S3 kind, through Rigging, s3fs and botocore, against a server on this machine."""

import threading
from collections.abc import Callable, Iterator

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from marin import storage
from marin.execution.executor import THIS_OUTPUT_PATH, Executor, ExecutorStep, versioned
from marin.execution.status import StepStatus, read_log
from marin.storage import StorageError
from marin.storage.conditional import ConflictError, read_versioned, write_versioned

BUCKET = "marin-test"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def use_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Points `s3://` to an endpoint."""

    def use(endpoint: str) -> None:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        s3fs.S3FileSystem.clear_instance_cache()

    yield use
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(server: str, use_endpoint: Callable[[str], None]) -> Iterator[str]:
    """An empty bucket."""
    use_endpoint(server)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}"
    objects = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for each in objects:
        client.delete_object(Bucket=BUCKET, Key=each["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.close()


def test_an_object_is_created_once(bucket: str) -> None:
    path = f"{bucket}/folder/file"
    assert read_versioned(path) is None
    version = write_versioned(path, b"first", expected=None)
    with pytest.raises(ConflictError, match="written by somebody else"):
        write_versioned(path, b"second", expected=None)
    assert read_versioned(path) == (b"first", version)


def test_an_object_is_replaced_if_it_is_as_it_was_read(bucket: str) -> None:
    path = f"{bucket}/file"
    first = write_versioned(path, b"first", expected=None)
    second = write_versioned(path, b"second", expected=first)
    with pytest.raises(ConflictError):
        write_versioned(path, b"third", expected=first)
    assert read_versioned(path) == (b"second", second)


def test_a_missing_object(bucket: str) -> None:
    assert read_versioned(f"{bucket}/nothing") is None
    assert not storage.exists(f"{bucket}/nothing")
    with pytest.raises(StorageError, match="nothing"):
        storage.read_text(f"{bucket}/nothing")


def test_a_missing_bucket_is_a_storage_error(bucket: str) -> None:
    with pytest.raises(StorageError, match="s3://marin-nowhere/file"):
        write_versioned("s3://marin-nowhere/file", b"", expected=None)


def write(config: dict[str, str]) -> None:
    storage.write_text(f"{config['out']}/out.txt", "written")


def steps() -> list[ExecutorStep[dict[str, object]]]:
    first = ExecutorStep("first", write, {"v": versioned(1), "out": THIS_OUTPUT_PATH})
    return [ExecutorStep("second", write, {"input": first, "out": THIS_OUTPUT_PATH}, staged=True)]


def test_an_experiment_runs_once(bucket: str) -> None:
    outputs = Executor(f"{bucket}/prefix").run(steps())
    assert [storage.read_text(f"{path}/out.txt") for path in outputs.values()] == ["written", "written"]
    second = Executor(f"{bucket}/prefix")
    assert {planned.state for planned in second.plan(steps()).steps} == {"cached"}
    second.run(steps())
    assert [[event.status for event in read_log(path).events] for path in outputs.values()] == [
        ["RUNNING", "SUCCESS"]
    ] * 2


def test_of_two_executors_one_runs_a_step(bucket: str) -> None:
    ran: list[int] = []
    both_planned = threading.Barrier(2)
    outputs: list[str] = []

    def run(number: int) -> None:
        step = ExecutorStep("step", lambda config: ran.append(number), {"v": versioned(1)})
        executor = Executor(f"{bucket}/race")
        plan = executor.plan([step])
        both_planned.wait()
        executor.execute(plan).outcome.raise_failures()
        outputs.append(executor.output_paths[step])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 1
    assert len(set(outputs)) == 1
    log = read_log(outputs[0])
    assert (log.status, log.epoch, len(log.events)) == (StepStatus.SUCCESS, 1, 2)
