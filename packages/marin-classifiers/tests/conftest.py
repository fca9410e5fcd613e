"""Documents, a small model and clusters that the tests share."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.datasets import DatasetConfig
from marin.classifiers.protocol import TrainingConfig
from marin.classifiers.training import train_classifier
from marin.cluster.connect import Cluster, connect, use_cluster

WriteRows = Callable[[str, list[dict[str, Any]]], Path]


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Writes JSON lines to a path below the test's folder; `.gz` is compressed."""

    def write(relative: str, rows: list[dict[str, Any]]) -> Path:
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path

    return write


@pytest.fixture
def local_cluster() -> Iterator[Cluster]:
    with connect("local") as cluster, use_cluster(cluster):
        yield cluster


@pytest.fixture(scope="session")
def iris_cluster() -> Iterator[Cluster]:
    with connect("iris-local") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def length_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder of the back end `length` with the labels long and short."""
    folder = tmp_path_factory.mktemp("length")
    rows = [
        {"id": f"{label}-{index}", "text": "x" * (size + index), "label": label}
        for label, size in (("long", 1000), ("short", 10))
        for index in range(40)
    ]
    (folder / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = DatasetConfig(input_path=str(folder / "labelled.jsonl"), validation_fraction=0.25)
    config = TrainingConfig(backend="length", dataset=dataset, output_path=str(folder / "model"), positive_label="long")
    train_classifier(config)
    return config.output_path
