"""The contract of cluster back ends, over the back ends of marin-core."""

from collections.abc import Iterator

import pytest

from marin.cluster.connect import Cluster, connect
from marin.cluster.testing.contract import ClusterContract


class TestLocal(ClusterContract):
    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls) -> Iterator[Cluster]:
        with connect("local") as cluster:
            yield cluster


@pytest.mark.cluster
class TestIris(ClusterContract):
    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls) -> Iterator[Cluster]:
        with connect("iris-local") as cluster:
            yield cluster
