import unicodedata

import pytest

from marin.execution.errors import PlanError
from marin.execution.names import check_length, checked_name, checked_override, folded


@pytest.mark.parametrize(
    "name",
    [
        "raw/wiki",
        "v1.2/a+b=c",
        "documents/日本語",
        "a b/c d",
        ".hidden/x",
        "a..b/...",
        "trailing.dot./x",
        "x" * 248,
        "x" * 255 + "/y",
        "(curly) {braces}",
    ],
)
def test_names_that_paths_can_hold_stay_as_they_are(name: str) -> None:
    assert checked_name(name) == name
    assert checked_override(name, "a") == name


def test_names_are_put_into_unicode_normal_form_c() -> None:
    decomposed = unicodedata.normalize("NFD", "docs/é")
    assert checked_name(decomposed) == checked_override(decomposed, "a") == "docs/é"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("..", r"must not hold '\.\.'"),
        ("a/..", r"must not hold '\.\.'"),
        ("/a", "must be relative"),
        ("s3://b/a", "must be relative"),
        ("a\x7fb", "control character"),
        ("a\tb", "control character"),
        ("a\u2028b", "control character"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("./a", "empty part or '.'"),
        ("a/./b", "empty part or '.'"),
        ("a /b", "begins or ends with a space"),
        ("a/ b", "begins or ends with a space"),
        ("a/b ", "begins or ends with a space"),
        ("x" * 249, "a part of 256 bytes"),
        ("x" * 256 + "/y", "a part of 256 bytes"),
    ],
)
def test_names_that_no_path_should_hold_are_refused(name: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        checked_name(name)


@pytest.mark.parametrize(
    "path", ["/abs/x", "rel/x", "gs://bucket/x", "gs://bucket/x/", "memory://x", "file:///x", "x" * 255]
)
def test_override_paths_may_be_absolute_or_urls(path: str) -> None:
    assert checked_override(path, "a") == path


@pytest.mark.parametrize(
    "path", ["", "/", "a//b", "/a//b", "gs://b//x", "a/./b", "../x", "gs://b/../x", "a/b ", "x" * 256]
)
def test_override_paths_that_could_be_mistaken_are_refused(path: str) -> None:
    with pytest.raises(PlanError, match="step a: override_output_path"):
        checked_override(path, "a")


def test_whole_paths_leave_room_for_files_in_them() -> None:
    check_length("/" + "x/" * 1900, "a")
    check_length("gs://bucket/" + "x/" * 380, "a")
    with pytest.raises(PlanError, match="step a: its output path of 3841 bytes is too long, at most 3840 are"):
        check_length("/" + "x/" * 1920, "a")
    with pytest.raises(PlanError, match="step a: its output path of 770 bytes is too long, at most 768 are"):
        check_length("gs://bucket/" + "é/é" * 154, "a")


def test_paths_are_folded_to_compare_them() -> None:
    assert folded("/p/Docs/X/") == folded("/p/docs/x")
    assert folded("/p/É") == folded("/p/é") == folded(unicodedata.normalize("NFD", "/p/É"))
    assert folded("/p/Straße") == folded("/p/STRASSE")
    assert folded("/p/a") != folded("/p/b")
