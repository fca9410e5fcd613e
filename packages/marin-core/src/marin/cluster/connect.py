"""Connections to clusters, and the one that this process works with."""

import contextlib
import os
import threading
from collections.abc import Generator
from types import TracebackType

from fray.client import Client
from fray.current_client import set_current_client

from marin.cluster.backend import BACKEND_GROUP, ClusterBackend, ClusterConnection, ClusterUrl
from marin.cluster.errors import UnknownClusterError
from marin.cluster.jobs import IRIS_TASK_VARIABLE, Job, JobSpec
from marin.cluster.nodes import Node
from marin.plugins.errors import UnknownPluginError
from marin.plugins.registry import load_plugin

CLUSTER_VARIABLE = "MARIN_CLUSTER"
"""Environment variable with the URL of the cluster to work with."""


class Cluster:
    """A connection to a cluster; close it, or use it as a context manager.

    Example:
        >>> from fray.types import Entrypoint
        >>> with connect("local") as cluster:
        ...     job = cluster.submit(JobSpec(name="greet", entrypoint=Entrypoint.from_callable(print, ["hello"])))
        ...     job.wait()
        hello
    """

    def __init__(self, url: str, connection: ClusterConnection) -> None:
        self.url = url
        self._connection = connection

    def __repr__(self) -> str:
        return f"Cluster({self.url!r})"

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """URL under which other processes can connect to the same cluster; empty for `local`."""
        return self._connection.address

    @property
    def client(self) -> Client:
        """The Fray client of the cluster, for libraries on Fray such as Zephyr."""
        return self._connection.client

    def submit(self, spec: JobSpec) -> Job:
        """Submit a job and return at once.

        Raises:
            UnschedulableError: no machine of the cluster can ever hold it.
            UnsupportedRequestError: this back end cannot honour a part of the request.
            ClusterUnreachableError: the cluster does not answer.
            UsageError: the callable or its arguments cannot be sent to a worker.
        """
        return Job(spec.name, self._connection.submit(spec))

    def check(self, spec: JobSpec) -> None:
        """Find out whether a job could be submitted as it is, without submitting it.

        Whether a machine of the cluster can hold it is only known when it is submitted.

        Raises:
            UnsupportedRequestError: this back end cannot honour a part of the request.
            UsageError: the callable or its arguments cannot be sent to a worker; the message names the part of them.
        """
        self._connection.check(spec)

    def nodes(self) -> list[Node]:
        """The machines of the cluster, ordered by id; those that it can add on demand are not among them."""
        return self._connection.nodes()

    def close(self) -> None:
        """Release the connection; a cluster that `connect` started ends, with its jobs. Closing twice is harmless."""
        self._connection.close()


def connect(url: str) -> Cluster:
    """Connect to the cluster at `url`.

    Args:
        url: `local` (threads of this process), `iris-local` (a real Iris cluster inside this process, with worker
            processes; `iris-local?workers=2` bounds them), `iris://HOST:PORT` (a running Iris controller), or a
            scheme that a plug-in of the group `marin.cluster_backends` serves.

    Raises:
        UnknownClusterError: no back end serves the URL, or it is malformed.
        ClusterUnreachableError: nothing answers at the address.
        PluginRequirementError: the back end needs a package that is not installed; the message says how to get it.
    """
    parsed = ClusterUrl.parse(url)
    try:
        backend = load_plugin(BACKEND_GROUP, parsed.scheme, kind=ClusterBackend)
    except UnknownPluginError as error:
        raise UnknownClusterError(f"no cluster back end serves {url!r}: {error}") from error
    return Cluster(str(parsed), backend.connect(parsed))


_lock = threading.Lock()
_explicit: list[Cluster] = []
_default: Cluster | None = None


def current_cluster() -> Cluster:
    """The cluster that this process works with.

    The innermost `use_cluster`; else the one that the environment variable `MARIN_CLUSTER` names; else, inside a task
    of an Iris job, the cluster that runs it; else `local`. The choice is made once per process.

    Raises:
        ClusterError: the cluster that was named cannot be connected to.
    """
    global _default
    with _lock:
        if _explicit:
            return _explicit[-1]
        if _default is None:
            _default = connect(_default_url())
        return _default


def _default_url() -> str:
    url = os.environ.get(CLUSTER_VARIABLE)
    if url:
        return url
    return "iris-task" if IRIS_TASK_VARIABLE in os.environ else "local"


@contextlib.contextmanager
def use_cluster(cluster: Cluster) -> Generator[Cluster]:
    """Make `cluster` the current one, for all threads of this process, until the block ends.

    It holds for the process and not for the context, because a plain thread starts with an empty context and would
    silently work with another cluster. Fray's own current client, which is a context variable, is set too.
    """
    with _lock:
        _explicit.append(cluster)
    try:
        with set_current_client(cluster.client):
            yield cluster
    finally:
        with _lock:
            _explicit.remove(cluster)
