"""The same classification on worker processes."""

from pathlib import Path

import pytest

from marin.classifiers.errors import DocumentError
from marin.classifiers.fasttext.backend import BACKEND
from marin.classifiers.testing import toy_config
from marin.cluster.connect import connect, use_cluster
from marin.processing.classification.consolidate import ConsolidateConfig, ScoreFilter, consolidate
from marin.processing.classification.inference import run_classification

pytestmark = [pytest.mark.cluster, pytest.mark.model]


def test_worker_processes_write_the_same_bytes_and_load_the_model_once_each(
    configure, corpus, iris_cluster, list_files, tmp_path: Path
) -> None:
    toy = toy_config("fasttext", str(tmp_path / "toy"), {"dim": 8})
    BACKEND.train(toy)
    with connect("local") as local, use_cluster(local):
        run_classification(configure(model_path=toy.output_path))
    with use_cluster(iris_cluster):
        report = run_classification(configure(model_path=toy.output_path, output_path=str(tmp_path / "iris")))
        assert report.model_loads == report.workers
        assert 1 <= report.workers <= 2
        for name in corpus.names:
            assert (tmp_path / "iris" / name).read_bytes() == (tmp_path / "scores" / name).read_bytes()
        assert list_files(tmp_path / "iris") == sorted(["_report.json", *corpus.names])


def test_errors_of_workers_arrive_with_file_and_line(configure, corpus, iris_cluster, read_rows, tmp_path) -> None:
    corpus.write("a/1.jsonl", [*corpus.rows("a/1.jsonl")[:3], b'{"text": "no id"}'])
    with use_cluster(iris_cluster):
        with pytest.raises(DocumentError, match=r"documents/a/1\.jsonl:4: the document has no 'id'"):
            run_classification(configure())
        assert run_classification(configure(on_bad_document="skip")).reused_files == 3
        keep = ScoreFilter(
            attributes_path=str(tmp_path / "scores"), attribute_name="quality", label="long", lower_threshold=0.5
        )
        kept = consolidate(
            ConsolidateConfig(input_path=str(corpus.path), output_path=str(tmp_path / "kept"), filters=(keep,))
        )
    assert (kept.kept, kept.unscored) == (151, 1)
    assert read_rows(tmp_path / "kept" / "a/1.jsonl") == corpus.rows("a/1.jsonl")[:3:3]
