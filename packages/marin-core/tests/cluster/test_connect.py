"""Which cluster a process works with."""

import socket
import threading

import pytest

from marin.cluster import connect as module
from marin.cluster.connect import Cluster, connect, current_cluster, use_cluster
from marin.cluster.errors import ClusterUnreachableError, UnknownClusterError


@pytest.fixture(autouse=True)
def no_default(monkeypatch: pytest.MonkeyPatch):
    """A process that has not chosen a cluster yet."""
    monkeypatch.delenv("MARIN_CLUSTER", raising=False)
    monkeypatch.setattr(module, "_default", None)


def test_the_default_is_local_and_one_per_process():
    assert current_cluster().url == "local"
    assert current_cluster() is current_cluster()


def test_the_environment_names_a_cluster(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MARIN_CLUSTER", "nowhere://x")
    with pytest.raises(UnknownClusterError, match="nowhere"):
        current_cluster()


def test_use_cluster_holds_in_threads_and_ends_with_its_block():
    seen: list[Cluster] = []
    with connect("local") as cluster, use_cluster(cluster):
        thread = threading.Thread(target=lambda: seen.append(current_cluster()))
        thread.start()
        thread.join()
        assert current_cluster() is cluster
    assert seen == [cluster]
    assert current_cluster() is not cluster


def test_an_unknown_scheme_names_the_installed_ones():
    with pytest.raises(UnknownClusterError, match=r"'slurm'.*iris-local.*local") as caught:
        connect("slurm://head")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("url", ["local://host", "local?threads=2", "iris", "iris-local://host", "iris-task"])
def test_malformed_addresses_are_refused(url: str):
    with pytest.raises(UnknownClusterError):
        connect(url)


def test_an_unreachable_controller_is_reported_at_once():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"iris://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(ClusterUnreachableError, match=f"no Iris controller answers at {url}") as caught:
            connect(url)
    assert caught.value.exit_code == 4
