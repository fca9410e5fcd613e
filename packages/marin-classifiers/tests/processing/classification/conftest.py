"""A small corpus, and how to classify it."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from marin.processing.classification.config import ClassificationConfig

_COMPRESS = {".gz": gzip.compress, ".zst": zstandard.compress}


@dataclass(frozen=True)
class Corpus:
    """Files of 150 documents each; a third of the documents are long."""

    path: Path
    names: tuple[str, ...] = ("a/0.jsonl.gz", "a/1.jsonl", "b/2.jsonl.gz", "b/c/3.jsonl.zst")

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [
            {"id": f"{name}#{index}", "source": "web", "text": "x" * (5 if index % 3 else 900), "extra": [index]}
            for index in range(150)
        ]

    def write(self, name: str, rows: list[Any]) -> None:
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_COMPRESS.get(path.suffix, bytes)(b"".join(line + b"\n" for line in lines)))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus(tmp_path / "documents")
    for name in made.names:
        made.write(name, made.rows(name))
    return made


@pytest.fixture
def read_rows() -> Callable[[Path], list[dict[str, Any]]]:
    def read(path: Path) -> list[dict[str, Any]]:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        return [json.loads(line) for line in data.splitlines()]

    return read


@pytest.fixture
def configure(corpus: Corpus, length_model: str, tmp_path: Path) -> Callable[..., ClassificationConfig]:
    def make(**values: Any) -> ClassificationConfig:
        arguments: dict[str, Any] = {
            "input_path": str(corpus.path),
            "output_path": str(tmp_path / "scores"),
            "model_path": length_model,
            "attribute_name": "quality",
            "max_workers": 2,
        }
        return ClassificationConfig(**{**arguments, **values})

    return make


@pytest.fixture
def list_files() -> Callable[[Path], list[str]]:
    """Every file below a folder, hidden and temporary ones too."""

    def list_all(folder: Path) -> list[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    return list_all
