"""The exit codes that commands end with."""

import pytest

from marin.cluster.errors import ClusterUnreachableError, JobTimeout, UnknownClusterError, UnschedulableError
from marin.errors import MarinError, MissingRequirementError, UsageError
from marin.plugins.errors import PluginRequirementError, UnknownPluginError
from marin.storage import StorageError


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (MarinError, 1),
        (StorageError, 1),
        (JobTimeout, 1),
        (UsageError, 2),
        (UnknownClusterError, 2),
        (UnknownPluginError, 2),
        (MissingRequirementError, 3),
        (PluginRequirementError, 3),
        (ClusterUnreachableError, 4),
        (UnschedulableError, 4),
    ],
)
def test_every_kind_of_error_has_its_documented_status(kind: type[MarinError], status: int):
    assert kind.exit_code == status
    assert issubclass(kind, MarinError)
