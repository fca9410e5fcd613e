"""Addresses of clusters."""

import pytest

from marin.cluster.backend import ClusterUrl
from marin.cluster.errors import UnknownClusterError


def test_parts_of_an_address():
    url = ClusterUrl.parse("iris://10.0.0.1:10000/?folder=/code&x=1")
    assert (url.scheme, url.address, dict(url.options)) == ("iris", "10.0.0.1:10000", {"folder": "/code", "x": "1"})


@pytest.mark.parametrize("text", ["local", "iris-local?workers=2", "iris://127.0.0.1:1"])
def test_an_address_reads_as_it_was_written(text: str):
    assert str(ClusterUrl.parse(text)) == text


@pytest.mark.parametrize("text", ["", "://host", "127.0.0.1:10000"])
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(UnknownClusterError, match="say local, iris-local or iris://HOST:PORT"):
        ClusterUrl.parse(text)


@pytest.mark.parametrize("value", ["0", "two", ""])
def test_a_number_must_be_one(value: str):
    with pytest.raises(UnknownClusterError, match="workers must be a whole number of at least 1"):
        ClusterUrl.parse(f"iris-local?workers={value}").integer_option("workers", 4)


def test_unknown_options_are_named():
    with pytest.raises(UnknownClusterError, match="unknown option worker; known: workers"):
        ClusterUrl.parse("iris-local?worker=1").refuse_unknown_options("workers")
