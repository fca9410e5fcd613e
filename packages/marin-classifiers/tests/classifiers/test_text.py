import pytest

from marin.classifiers.text import is_blank, normalize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\r\nthree\0four", "one two  three four"),
        ("before</s>after", "before< /s>after"),
        ("__label__spam __label__", "__label_ _spam __label_ _"),
        ("lone \ud800 and \udfff", "lone \ufffd and \ufffd"),
        ("unchanged \t text \u2028 \U0001f600", "unchanged \t text \u2028 \U0001f600"),
        ("", ""),
    ],
)
def test_normalize(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize("text", ["<</s>", "____label____label__", "</</s>s>", "a\ud800</s>\n__label__", "__label_\n_"])
def test_normalize_is_idempotent_and_leaves_no_command(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert "</s>" not in once
    assert "__label__" not in once
    once.encode("utf-8")


def test_blank_texts() -> None:
    assert all(map(is_blank, ["", " \n\t", "\0", "\0 \u3000"]))
    assert not is_blank("\0a")
