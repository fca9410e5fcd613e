"""Which files a run reads, and where below its output each of them is mirrored."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass

from marin.classifiers.errors import InputError
from marin.storage import absolute, exists, expand

DOCUMENT_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""Endings of document files: JSON lines, plain or compressed."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of documents."""

    path: str
    """Where it is: an absolute path or a URL."""
    relative: str
    """Its path below the folder it was found in; the outputs of a run mirror it."""


def list_inputs(paths: str | Sequence[str]) -> list[InputFile]:
    """The document files that `paths` (files, folders or globs) stand for, sorted by their relative path.

    A folder stands for every document file below it. Hidden files and files that are being written are left out.

    Raises:
        InputError: a path matches no document file, a file is of another format, or two files have one relative path.
    """
    found: dict[str, InputFile] = {}
    for path in [paths] if isinstance(paths, str) else paths:
        for file in _matches(absolute(path)):
            other = found.setdefault(file.relative, file)
            if other != file:
                raise InputError(
                    f"{other.path} and {file.path} would both be written to {file.relative}: "
                    "give them to two runs, or put them below one folder and name that"
                )
    return [found[relative] for relative in sorted(found)]


def input_root(path: str) -> str:
    """The folder that the outputs' relative paths are counted from: `path` itself, or what precedes its wildcards."""
    path = absolute(path)
    if glob.has_magic(path):
        first = next(position for position, character in enumerate(path) if character in "*?[")
        return path[:first].rpartition("/")[0]
    if _is_folder(path):
        return path
    return path.rpartition("/")[0]


def check_outside(output_path: str, paths: str | Sequence[str]) -> None:
    """Refuse an output folder inside an input folder, where a later run would take outputs for documents.

    Raises:
        InputError: `output_path` is, or lies below, the folder of one of `paths`.
    """
    output = absolute(output_path)
    for path in [paths] if isinstance(paths, str) else paths:
        root = input_root(path)
        if f"{output}/".startswith(f"{root}/"):
            raise InputError(f"output_path {output} lies inside of the input folder {root}: choose a folder beside it")


def _matches(path: str) -> list[InputFile]:
    is_glob = glob.has_magic(path)
    if not is_glob and _is_folder(path):
        files = expand([f"{path}/**/*{ending}" for ending in DOCUMENT_ENDINGS])
    else:
        files = expand(path)
    if not files:
        raise InputError(
            f"no documents at {path}: wanted {', '.join(DOCUMENT_ENDINGS)} files, a folder of them or a glob"
        )
    for file in files:
        if not file.endswith(DOCUMENT_ENDINGS):
            raise InputError(f"{file} is no document file: its name must end in {', '.join(DOCUMENT_ENDINGS)}")
    root = input_root(path)
    return [InputFile(file, file.removeprefix(root).lstrip("/")) for file in files]


def _is_folder(path: str) -> bool:
    return exists(path) and not expand(path)  # a path without wildcards expands to itself if it is a file
