"""Which names and paths an output may have, so that it lies below the prefix and every file system can hold it."""

import os
import re
import unicodedata
from urllib.parse import urlsplit

from marin.execution.errors import PlanError
from marin.execution.identity import HASH_LENGTH

_MAX_SEGMENT_BYTES = 255
_MAX_PATH_BYTES = 3840
"""The 4096 of Linux, less room for a file in the output."""
_MAX_OBJECT_BYTES = 768
"""The 1024 of object stores for what follows the bucket, less the same room."""
_CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")

# Most names are of this form, which passes every check below; the checks one by one cost ten times as much.
_is_plain = re.compile(r"[A-Za-z0-9_][\w.=+-]{0,99}(?:/[A-Za-z0-9_][\w.=+-]{0,99})*", re.ASCII).fullmatch


def under_prefix(prefix: str, path: str) -> str:
    """`path` below `prefix` where it is relative, and as it is where it is absolute or a URL."""
    return path if urlsplit(path).scheme else os.path.join(prefix, path)


def checked_name(name: str) -> str:
    """The name of a step in Unicode normal form C.

    Raises:
        PlanError: as a path it would leave the prefix, could be mistaken for another, or no file system could hold it.
    """
    if _is_plain(name):
        return name
    normal = unicodedata.normalize("NFC", name)
    if not normal.strip():
        raise PlanError("the name of a step must not be empty")
    if normal.startswith("/") or "://" in normal:
        raise PlanError(f"step {name!r}: the name must be relative to the prefix; use override_output_path for others")
    _check_segments(normal, normal, f"step {name!r}: the name", suffix_bytes=HASH_LENGTH + 1)
    return normal


def checked_override(path: str, name: str) -> str:
    """`path` in Unicode normal form C; a slash at its end is allowed.

    Raises:
        PlanError: it is empty, leaves the prefix by `..`, could be mistaken for another path, or no file system could
            hold it.
    """
    normal = unicodedata.normalize("NFC", path)
    if not normal.strip("/ "):
        raise PlanError(f"step {name}: override_output_path must not be empty")
    below = normal.partition("://")[2] or normal
    _check_segments(normal, below.removeprefix("/").removesuffix("/"), f"step {name}: override_output_path {path!r}")
    return normal


def check_length(output_path: str, name: str) -> None:
    """Check that files in `output_path` can have names, too.

    Raises:
        PlanError: it is longer than that.
    """
    if len(output_path) * 4 < _MAX_OBJECT_BYTES:  # no character takes more than four bytes
        return
    is_url = "://" in output_path
    held = output_path.partition("://")[2].partition("/")[2] if is_url else output_path
    limit = _MAX_OBJECT_BYTES if is_url else _MAX_PATH_BYTES
    size = len(held.encode("utf-8", "surrogateescape"))
    if size > limit:
        raise PlanError(f"step {name}: its output path of {size} bytes is too long, at most {limit} are: {output_path}")


def folded(output_path: str) -> str:
    """What is equal for paths that differ only in letter case, or in a slash at the end."""
    path = output_path.rstrip("/")
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path.casefold())


def _check_segments(path: str, below: str, what: str, *, suffix_bytes: int = 0) -> None:
    for character in path:
        if unicodedata.category(character) in _CONTROL_CATEGORIES:
            raise PlanError(f"{what} holds the control character {character!r}")
    segments = below.split("/")
    for index, segment in enumerate(segments):
        if segment == "..":
            raise PlanError(f"{what} must not hold '..'")
        if segment in ("", "."):
            raise PlanError(f"{what} has an empty part or '.' between slashes: on disks it is the path without it")
        if segment != segment.strip():
            raise PlanError(f"{what} has a part that begins or ends with a space: {segment!r}")
        size = len(segment.encode()) + (suffix_bytes if index == len(segments) - 1 else 0)
        if size > _MAX_SEGMENT_BYTES:
            raise PlanError(f"{what} has a part of {size} bytes with its hash; file systems allow {_MAX_SEGMENT_BYTES}")
