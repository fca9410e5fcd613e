import http.client
import json
import lzma
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import zstandard

from marin.errors import UsageError
from marin.execution.page.data import PageData
from marin.execution.page.server import PageServer, PageSite, Response, is_loopback_host, read_end
from marin.storage import StorageError


def get(site: PageSite, target: str, known_tag: str | None = None) -> Response:
    return site.respond(target, host="127.0.0.1:8000", known_tag=known_tag)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "step" / "log.txt"
    path.parent.mkdir()
    path.write_text("epoch 1\n<b>done</b>\n")
    (tmp_path / "secret.txt").write_text("secret")
    return path


@pytest.fixture
def page(make_page, make_step, log: Path) -> PageData:
    files = {"log": str(log), "gone": str(log.parent / "gone.txt"), "a/b ü": str(log)}
    return make_page(make_step(0, files=files), make_step(1), live=True)


@pytest.fixture
def site(page: PageData) -> PageSite:
    return PageSite(lambda: page)


def test_the_page_and_its_data(site, page) -> None:
    response = get(site, "/")
    assert response.status == HTTPStatus.OK
    assert response.content_type.startswith("text/html")
    assert b"<!doctype html>" in response.body
    assert json.loads(get(site, "/data.json").body) == page.to_json()


def test_data_that_have_not_changed_are_not_sent_again(page) -> None:
    current = page
    seconds = 0.0
    site = PageSite(lambda: current, clock=lambda: seconds)
    tag = get(site, "/data.json").headers["ETag"]
    current, seconds = replace(page, generated="2026-11-24T12:00:02+00:00"), 2.0
    again = get(site, "/data.json", tag)
    assert (again.status, again.body) == (HTTPStatus.NOT_MODIFIED, b"")
    current, seconds = replace(page, title="other"), 4.0
    changed = get(site, "/data.json", tag)
    assert changed.status == HTTPStatus.OK
    assert changed.headers["ETag"] != tag


def test_several_windows_have_the_data_gathered_once(page) -> None:
    seconds = 0.0
    gathered: list[float] = []

    def load() -> PageData:
        gathered.append(seconds)
        return page

    site = PageSite(load, clock=lambda: seconds)
    for _ in range(3):
        get(site, "/data.json")
    seconds = 1.5
    get(site, "/")
    assert gathered == [0.0, 1.5]


def test_an_error_of_the_storage_is_an_answer_and_passes(page) -> None:
    def fail() -> PageData:
        raise StorageError("cannot read /prefix/x.json: gone")

    load: Callable[[], PageData] = fail
    site = PageSite(lambda: load())
    response = get(site, "/data.json")
    assert (response.status, response.body) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        b"cannot read /prefix/x.json: gone\n",
    )
    load = lambda: page  # noqa: E731 - the next load succeeds
    assert get(site, "/data.json").status == HTTPStatus.OK


def test_files_of_steps_are_served_as_text(site) -> None:
    response = get(site, "/file?step=0&file=log")
    assert response.body == b"epoch 1\n<b>done</b>\n"
    assert response.content_type == "text/plain; charset=utf-8"
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert get(site, f"/file?step=0&file={quote('a/b ü')}").status == HTTPStatus.OK


def test_a_listed_file_that_is_gone_is_not_found(site) -> None:
    response = get(site, "/file?step=0&file=gone")
    assert response.status == HTTPStatus.NOT_FOUND
    assert b"no such file" in response.body


@pytest.mark.parametrize(
    "target",
    [
        "/file",
        "/file?step=1&file=log",
        "/file?step=0&file=secret.txt",
        "/file?step=0&file=../secret.txt",
        "/file?step=0&file=log/../../secret.txt",
        "/file?step=0&file={secret}",
        "/file?step=0&file=log%00",
        "/file?step=0&path={secret}",
        "/file?step=00&file=log",
        "/file?file=log",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/{secret}",
        "//data.json",
        "/file/../data.json",
        "/page.css",
    ],
)
def test_nothing_else_is_served(site, log, target) -> None:
    response = get(site, target.format(secret=log.parent.parent / "secret.txt"))
    assert response.status == HTTPStatus.NOT_FOUND
    assert b"secret\n" not in response.body
    assert response.body.count(b"\n") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:8000", "LOCALHOST", "[::1]", "[::1]:8000"])
def test_loopback_names_are_known(host) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *[None, "", "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example:8000"],
        *[
            "127.0.0.1:8000@evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "[::1",
            "::1",
            "localhost:",
            "localhost:x",
            "127.0.0.1\n",
        ],
    ],
)
def test_a_request_by_another_name_gets_nothing(site, host) -> None:
    assert not is_loopback_host(host)
    for target in ("/", "/data.json", "/file?step=0&file=log"):
        response = site.respond(target, host=host)
        assert response.status == HTTPStatus.FORBIDDEN
        assert b"epoch" not in response.body


def test_of_a_long_file_the_end_is_read(tmp_path) -> None:
    text = b"".join(b"line %d\n" % number for number in range(200_000))
    (tmp_path / "log.txt").write_bytes(text)
    (tmp_path / "log.xz").write_bytes(lzma.compress(text))
    (tmp_path / "log.zst").write_bytes(zstandard.compress(text))
    for name in ("log.txt", "log.xz", "log.zst"):
        head, _, rest = read_end(str(tmp_path / name), 1000).partition(b"\n")
        assert head.startswith(b"[the last 1,000 of 2,")
        assert rest == text[-1000:]
        assert read_end(str(tmp_path / name), len(text)) == text


def request(server: PageServer, method: str, target: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=10)
    connection.request(method, target, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_the_server_answers_until_the_context_ends(page) -> None:
    with PageServer(lambda: page) as server:
        response, body = request(server, "GET", "/data.json")
        assert response.status == HTTPStatus.OK
        assert json.loads(body)["title"] == "compare"
        assert response.getheader("Cache-Control") == "no-store"
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"
        assert response.getheader("Access-Control-Allow-Origin") is None
        port = urlsplit(server.url).port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_server_listens_on_the_loopback_interface_only(page) -> None:
    with PageServer(lambda: page) as server:
        assert urlsplit(server.url).hostname == "127.0.0.1"
        # All of 127.0.0.0/8 is this machine, and would answer if the server listened on every address.
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", urlsplit(server.url).port)) != 0


def test_a_rebound_name_is_refused_over_the_wire(page) -> None:
    with PageServer(lambda: page) as server:
        response, _ = request(server, "GET", "/", Host="evil.example")
        assert response.status == HTTPStatus.FORBIDDEN
        traversal, body = request(server, "GET", "/../../../../etc/passwd")
        assert traversal.status == HTTPStatus.NOT_FOUND
        assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_server_only_reads(page, method) -> None:
    with PageServer(lambda: page) as server:
        assert request(server, method, "/data.json")[0].status == HTTPStatus.NOT_IMPLEMENTED


def test_a_head_request_has_no_body(page) -> None:
    with PageServer(lambda: page) as server:
        response, body = request(server, "HEAD", "/data.json")
        assert (response.status, body) == (HTTPStatus.OK, b"")
        assert int(response.getheader("Content-Length", "0")) > 100


def test_serve_forever_blocks_until_the_end(page) -> None:
    with PageServer(lambda: page) as server:
        waiter = threading.Thread(target=server.serve_forever)
        waiter.start()
        assert request(server, "GET", "/")[0].status == HTTPStatus.OK
        assert waiter.is_alive()
    waiter.join(timeout=10)
    assert not waiter.is_alive()


def test_a_taken_port_is_said(page) -> None:
    with PageServer(lambda: page) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with pytest.raises(UsageError, match=f"port {port}: .*in use"):
            PageServer(lambda: page, port=port)
