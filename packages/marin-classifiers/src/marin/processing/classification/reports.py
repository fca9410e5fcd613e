"""`_report.json` in an output folder: what a run made, from what, and how far it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from marin.storage import exists, join, read_json, write_json

REPORT_NAME = "_report.json"
"""File name of the report."""


def earlier_report(output_path: str) -> dict[str, Any] | None:
    """The report of an earlier run into the same folder, if there was one.

    Raises:
        StorageError: it cannot be read.
    """
    path = join(output_path, REPORT_NAME)
    return read_json(path) if exists(path) else None


def write_report(
    output_path: str, *, status: str, made_from: Mapping[str, Any], files: Sequence[Mapping[str, Any]], **counts: Any
) -> None:
    """Write the report, whole or not at all.

    Args:
        output_path: Folder of the outputs.
        status: `running` or `complete`.
        made_from: What decides the outputs; a run that goes on from others compares it.
        files: One entry for each finished file, with its relative `path`.
        counts: Sums over the files.
    """
    report = {"status": status, "made_from": dict(made_from), **counts, "files": [dict(entry) for entry in files]}
    write_json(join(output_path, REPORT_NAME), report)
