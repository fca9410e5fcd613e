"""Requests for resources: validation and their form in Fray."""

import pytest

from marin.errors import UsageError
from marin.resources.config import ResourceConfig, head_resources


def test_defaults_are_one_core_without_an_accelerator():
    fray = ResourceConfig().to_fray()
    assert (fray.cpu, fray.ram, fray.device.kind, fray.preemptible) == (1, "4g", "cpu", True)


def test_gpu_request():
    request = ResourceConfig(cpu=8, ram="64g", accelerator="H100", accelerator_count=4, regions=("us-west4",))
    fray = request.to_fray()
    assert (fray.device.kind, fray.device.variant, fray.device.count) == ("gpu", "H100", 4)
    assert (fray.cpu, fray.ram, fray.regions) == (8, "64g", ["us-west4"])
    assert request.accelerator_descriptor() == "4xH100"


def test_tpu_slice_brings_its_hosts_and_half_of_their_memory():
    fray = ResourceConfig(accelerator="v5litepod-16").to_fray()
    assert (fray.device.kind, fray.replicas) == ("tpu", 4)
    assert fray.cpu > 1
    assert ResourceConfig(accelerator="v5litepod-16").accelerator_descriptor() == "v5litepod-16"


def test_head_resources_stay_where_they_are():
    assert head_resources().to_fray().preemptible is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpu": 0}, "cpu must be above 0, got 0"),
        ({"ram": "lots"}, "ram must be a size such as 512m or 16g, got 'lots'"),
        ({"disk": "0g"}, "disk must be above 0"),
        ({"accelerator": "h100"}, "did you mean H100"),
        ({"accelerator": "abacus"}, "Known GPUs: A10"),
        ({"accelerator": "v5litepod-16", "accelerator_count": 2}, "must be 1 for the TPU slice v5litepod-16"),
        ({"accelerator": "H100", "accelerator_count": 0}, "accelerator_count must be at least 1"),
    ],
)
def test_bad_values_are_named(options: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        ResourceConfig(**options)
