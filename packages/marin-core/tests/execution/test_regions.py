from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from marin.execution.executor import THIS_OUTPUT_PATH, ExecutorStep, InputName, PlanError, versioned
from marin.execution.graph import Graph, Node
from marin.execution.regions import RegionOverride, check_plan_regions, check_regions
from marin.resources.config import ResourceConfig

BUCKETS = {"central": "us-central1", "east": "us-east1", "us": "us", "eu": "EU", "asia": "asia", "west": "europe-west4"}


@dataclass(frozen=True)
class C:
    a: Any = None
    b: Any = None


def node(config: Any, resources: ResourceConfig | None = None, prefix: str = "/p") -> Node:
    return Graph(prefix).add(ExecutorStep("train", print, config, resources=resources))


def check(
    nodes: Sequence[Node],
    here: str | None = "us-central1",
    allowed: Sequence[str] = (),
    buckets: Mapping[str, str] = BUCKETS,
) -> list[RegionOverride]:
    return check_regions(nodes, region_of_bucket=buckets.get, here=here, allowed=allowed)


@pytest.mark.parametrize(
    ("path", "here"),
    [
        ("gs://central/x", "us-central1"),
        ("gs://central", "US-Central1"),
        ("gs://us/x", "us-east5"),
        ("s3://eu/x", "europe-west4"),
        ("s3://eu/x", "eu-west-1"),
        ("gs://asia/x", "asia-northeast1"),
        ("gs://nobody-knows/x", "us-central1"),
        ("gs://east/x", None),
        ("/local/x", "us-central1"),
        ("https://east/x", "us-central1"),
        ("about s3://", "us-central1"),
    ],
)
def test_paths_in_reach_are_accepted(path: str, here: str | None) -> None:
    assert check([node(C(path))], here) == []


@pytest.mark.parametrize(
    ("path", "here", "region"),
    [
        ("gs://east/x", "us-central1", "us-east1"),
        ("s3://east", "us-central1", "us-east1"),
        ("simplecache::gs://east/x", "us-central1", "us-east1"),
        ("gs://us/x", "europe-west4", "us"),
        ("gs://eu/x", "us-east1", "eu"),
        ("gs://asia/x", "us-east1", "asia"),
    ],
)
def test_paths_in_other_regions_are_refused(path: str, here: str, region: str) -> None:
    with pytest.raises(PlanError, match=f"step train runs in {here}, but a = .* is in {region};"):
        check([node(C(path))], here)


def test_a_refusal_names_every_path_with_its_key_and_how_to_allow_it() -> None:
    config = C({"urls": ["gs://central/a", "gs://east/b"]}, versioned((C("s3://eu/c/d"),)))
    with pytest.raises(PlanError) as caught:
        check([node(config), node("gs://east")])
    assert str(caught.value) == (
        "paths are in another region than the steps that use them:\n"
        "  step train runs in us-central1, but a.urls.[1] = gs://east/b is in us-east1; "
        "to allow it: --allow_out_of_region gs://east\n"
        "  step train runs in us-central1, but b.[0].a = s3://eu/c/d is in eu; "
        "to allow it: --allow_out_of_region s3://eu\n"
        "  step train runs in us-central1, but its config = gs://east is in us-east1; "
        "to allow it: --allow_out_of_region gs://east"
    )


@pytest.mark.parametrize(
    ("resources", "region"),
    [
        (ResourceConfig(regions=("us-central1",)), "us-central1"),
        (ResourceConfig(zone="us-central1-a"), "us-central1"),
        (ResourceConfig(zone="us-central1-a", regions=("us-east1",)), "us-central1"),
        (ResourceConfig(zone="us-west-2b"), "us-west-2"),
        (ResourceConfig(regions=("us-east1", "us-central1")), "us-east1 or us-central1"),
    ],
)
def test_a_step_runs_where_its_resources_say(resources: ResourceConfig, region: str) -> None:
    with pytest.raises(PlanError, match=f"step train runs in {region}, but"):
        check([node(C("gs://east/x"), resources)], here="us-east1")


def test_a_step_in_several_regions_needs_a_bucket_that_is_in_all_of_them() -> None:
    resources = ResourceConfig(regions=("us-east1", "us-central1"))
    assert check([node(C("gs://us/x"), resources)], here=None) == []


def test_paths_that_a_step_gets_from_the_prefix_and_from_other_steps_are_checked() -> None:
    up = ExecutorStep[Any]("up", print, None, override_output_path="gs://east/up")
    with pytest.raises(PlanError, match=r"a = gs://east/up/x is in us-east1"):
        check([node(C(up / "x"))])
    with pytest.raises(PlanError, match=r"b = gs://east/p/train-"):
        check([node(C(b=THIS_OUTPUT_PATH), prefix="gs://east/p")])
    with pytest.raises(PlanError, match=r"a = gs://east/h"):
        check([node(C(InputName.hardcoded("gs://east/h")))])


@pytest.mark.parametrize("allowed", ["gs://east", "gs://east/", "gs://east/x", "gs://east/x/y"])
def test_allowed_paths_are_returned(allowed: str) -> None:
    (override,) = check([node(C(a={"b": "gs://east/x/y"}))], allowed=["s3://other", allowed])
    assert override.to_json() == {
        "step": "train",
        "key": "a.b",
        "path": "gs://east/x/y",
        "path_region": "us-east1",
        "step_regions": ["us-central1"],
        "allowed_by": allowed,
    }


@pytest.mark.parametrize("allowed", ["gs://eas", "gs://east/other", "s3://east"])
def test_what_is_allowed_does_not_reach_beside_it(allowed: str) -> None:
    with pytest.raises(PlanError, match="runs in us-central1"):
        check([node(C("gs://east/x"))], allowed=[allowed])


def test_a_bucket_is_looked_up_once() -> None:
    asked: list[str] = []

    def region_of_bucket(bucket: str) -> None:
        asked.append(bucket)

    nodes = [node(C("gs://b/x", "gs://c/y")), node(C("gs://b/z"))]
    check_regions(nodes, region_of_bucket=region_of_bucket, here="us-east1", allowed=())
    assert asked == ["b", "c"]


def test_the_environment_knows_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARIN_BUCKET_REGIONS", " my-bucket=us-central1, other=eu ,")
    monkeypatch.setenv("MARIN_REGION", "us-east1")
    with pytest.raises(PlanError, match="runs in us-east1, but a = s3://my-bucket/x is in us-central1"):
        check_plan_regions([node(C("s3://my-bucket/x"))])
    assert len(check_plan_regions([node(C("s3://my-bucket/x", "s3://other"))], ["s3://my-bucket", "s3://other"])) == 2
    assert check_plan_regions([node(C("s3://third/x"))]) == []


@pytest.mark.parametrize("value", ["my-bucket", "=us", "a=us;b=eu,c", "a="])
def test_a_malformed_environment_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARIN_BUCKET_REGIONS", value)
    with pytest.raises(PlanError, match="MARIN_BUCKET_REGIONS must be pairs bucket=region"):
        check_plan_regions([node(C("s3://my-bucket/x"))])


def test_without_paths_in_buckets_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARIN_BUCKET_REGIONS", "malformed")
    assert check_plan_regions([node(C("/local", THIS_OUTPUT_PATH))]) == []
