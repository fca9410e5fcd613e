import gzip
from pathlib import Path

import pytest
import zstandard

from marin.classifiers.documents import BadDocument, Document, DocumentColumns, read_documents
from marin.classifiers.errors import DocumentError
from marin.storage import StorageError

COLUMNS = DocumentColumns()
GOOD = b'{"id": "a", "text": "hello", "source": "web", "label": "x"}'


def read(path: Path) -> list[Document | BadDocument]:
    return list(read_documents(str(path), COLUMNS))


def test_reads_a_document_and_keeps_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"\n")
    assert read(path) == [Document(str(path), 1, "a", "hello", "web", "x", GOOD + b"\n")]


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_decompresses_by_the_ending(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    data = b"\n".join([GOOD] * 3)
    compress = {".jsonl": bytes, ".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.compress}[ending]
    path.write_bytes(compress(data))
    assert [document.line for document in read(path)] == [1, 2, 3]


def test_custom_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"name": "n", "body": "b"}\n')
    (document,) = read_documents(str(path), DocumentColumns(id="name", text="body"))
    assert isinstance(document, Document)
    assert (document.id, document.text, document.source, document.label) == ("n", "b", None, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "no id", "source": 1}', "the document has no 'id'; its keys are 'text', 'source'"),
        (b'{"id": "", "text": "t"}', "'id' must be a non-empty string, got an empty string"),
        (b'{"id": 7, "text": "t"}', "'id' must be a non-empty string, got a number"),
        (b'{"id": "a"}', "the document has no 'text'; its keys are 'id'"),
        (b'{"id": "a", "text": null}', "'text' must be a string, got null"),
        (b'{"id": "a", "text": ["t"]}', "'text' must be a string, got a list"),
        (b"{}", "the document has no 'id'; its keys are none"),
        (b"[1]", "not a JSON object but a list"),
        (b'{"id": "a" "b"}', "not JSON: Expecting ',' delimiter: line 1 column 12 (char 11)"),
        (b'{"id": "a", "text": "caf\xe9"}', "not UTF-8: byte 0xe9 at column 25"),
    ],
)
def test_names_what_is_wrong_with_a_line(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(GOOD + b"\n\n" + line + b"\n" + GOOD)
    first, bad, last = read(path)
    assert isinstance(bad, BadDocument)
    assert (bad.line, bad.reason) == (3, reason)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert str(bad.error()).startswith(f"{path}:3: {reason}")


def test_deeply_nested_json_is_a_bad_document(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    path.write_bytes(b"[" * 200_000 + b"\n" + GOOD)
    bad, good = read(path)
    assert isinstance(bad, BadDocument)
    assert isinstance(good, Document)


def test_a_lone_surrogate_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": "\\ud800", "text": "\\udfff"}\n')
    (document,) = read(path)
    assert isinstance(document, Document)
    assert (document.id, document.text) == ("\ud800", "\udfff")


def test_a_truncated_gzip_file_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    lines = b"".join(b'{"id": "%d", "text": "%d"}\n' % (i, i * 7919) for i in range(5000))
    path.write_bytes(gzip.compress(lines)[:-4000])
    with pytest.raises(DocumentError, match=r"cut\.jsonl\.gz:\d+: the compressed file is damaged from here on"):
        read(path)


def test_a_damaged_zstandard_file_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl.zst"
    data = bytearray(zstandard.compress(GOOD * 100))
    data[6:12] = b"\xff" * 6
    path.write_bytes(data)
    with pytest.raises(DocumentError, match=r"bad\.jsonl\.zst:1: the compressed file is damaged"):
        read(path)


def test_a_truncated_zstandard_file_is_not_a_shorter_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.zst"
    lines = b"".join(b'{"id": "%d", "text": "%d"}\n' % (i, i * 7919) for i in range(5000))
    path.write_bytes(zstandard.compress(lines)[:-1000])
    with pytest.raises(DocumentError, match=r"cut\.jsonl\.zst:\d+: the compressed file is damaged from here on"):
        read(path)


def test_concatenated_compressed_files_are_one_file(tmp_path: Path) -> None:
    for ending, compress in ((".jsonl.gz", gzip.compress), (".jsonl.zst", zstandard.compress)):
        path = tmp_path / f"parts{ending}"
        path.write_bytes(compress(GOOD + b"\n") + compress(GOOD + b"\n" + GOOD))
        assert [document.line for document in read(path)] == [1, 2, 3]


def test_no_such_file_and_no_gzip_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file"):
        read(tmp_path / "absent.jsonl")
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_bytes(GOOD)
    with pytest.raises(StorageError, match="Not a gzipped file"):
        read(plain)
