"""The one normaliser of texts: a classifier sees in training exactly what it will see in prediction."""

import re

NORMALIZER_VERSION = 1
"""Stored in every model card; raised whenever `normalize` changes what it returns."""

_LINE_BREAKS_AND_NULLS = ("\n", "\r", "\0")
_SURROGATES = re.compile("[\ud800-\udfff]")


def normalize(text: str) -> str:
    """`text` on one line, without what fastText would read as a command.

    - Line breaks and null characters become spaces: fastText reads one example a line.
    - `</s>` becomes `< /s>`: it ends an example, so what follows would be neither learned nor scored.
    - `__label__` becomes `__label_ _`: in training it would add a label to the example.
    - A lone surrogate, which JSON can express and UTF-8 cannot, becomes U+FFFD.

    The function is idempotent, and every back end uses it, so that back ends see the same text.
    """
    for character in _LINE_BREAKS_AND_NULLS:
        text = text.replace(character, " ")
    text = text.replace("</s>", "< /s>").replace("__label__", "__label_ _")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def is_blank(text: str) -> bool:
    """Whether `text` holds nothing to classify: only white space and null characters."""
    return not text.replace("\0", " ").strip()
