"""Attribute files."""

import json
from collections.abc import Generator
from typing import Any, cast

from marin.classifiers.documents import read_lines
from marin.classifiers.errors import InputError


def read_attributes(path: str) -> Generator[tuple[int, dict[str, Any]]]:
    """The rows of an attribute file with their line numbers.

    Raises:
        InputError: a line is no row of an attribute file; names file and line.
        StorageError: the file cannot be read.
    """
    for number, line in read_lines(path):
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(cast(dict[str, Any], row).get("attributes"), dict):
            raise InputError(f"{path}:{number}: no row of an attribute file: it has no object 'attributes'")
        yield number, cast(dict[str, Any], row)
