"""The page of an experiment, live in the browser: a server for the people of this machine.

It answers on the loopback interface only, and only requests that address it by a loopback name: a page of another
site, whose host name was made to point here, gets nothing. It reads and never writes.
"""

import hashlib
import io
import logging
import re
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from marin import storage
from marin.errors import MarinError, UsageError
from marin.execution.page.data import PageData, dump_json
from marin.execution.page.render import render_page

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
"""The one address that the server listens on."""
MAX_FILE_BYTES = 4 * 2**20
"""Of a longer file, the end is shown."""

_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_SECONDS_FRESH = 1.0
"""How long gathered data are served: several windows cost no more than one."""
_SECONDS_SILENT = 30
_CHUNK_BYTES = 2**20

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A log that is HTML must not run as a page of this server.
_FILE_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """What the server answers."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class PageServer:
    """Serves the page of an experiment from a thread of its own, from entering to leaving the context.

    Raises:
        UsageError: the port is taken or not allowed.
    """

    def __init__(self, load: Callable[[], PageData], port: int = 0) -> None:
        """Bind to `port`, by default any free one; `load` gathers the data whenever they are asked for."""
        try:
            self._server = _Server((ADDRESS, port), PageSite(load))
        except (OSError, OverflowError) as error:
            raise UsageError(f"cannot serve the page on port {port}: {error}; choose another --port") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="experiment-page", daemon=True
        )

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{ADDRESS}:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve_forever(self) -> None:
        """Block while the page is served, in practice until Ctrl-C; call it in the context."""
        self._thread.join()


class PageSite:
    """What is at each address of the page's server."""

    def __init__(self, load: Callable[[], PageData], clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._data: PageData | None = None
        self._gathered = 0.0

    def respond(self, target: str, *, host: str | None, known_tag: str | None = None) -> Response:
        """The answer to GET `target` for a client that calls the server `host` and has the data of `known_tag`.

        Errors of the experiment's files are answers, too.
        """
        if not is_loopback_host(host):
            return Response(status=HTTPStatus.FORBIDDEN, body=b"open the page by the address that marin has printed\n")
        url = urlsplit(target)
        try:
            if url.path == "/":
                return Response(body=render_page(self._fresh()).encode(), content_type="text/html; charset=utf-8")
            if url.path == "/data.json":
                return _data_response(self._fresh(), known_tag)
            if url.path == "/file":
                return self._file_response(parse_qs(url.query))
        except MarinError as error:
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return _text(HTTPStatus.NOT_FOUND, "there is nothing at this address")

    def _fresh(self) -> PageData:
        with self._lock:
            if self._data is None or self._clock() - self._gathered >= _SECONDS_FRESH:
                self._data = self._load()
                self._gathered = self._clock()
            return self._data

    def _file_response(self, query: Mapping[str, list[str]]) -> Response:
        """The file that a request means by step and label; it cannot say a path."""
        wanted = (query.get("step", [""])[0], query.get("file", [""])[0])
        paths = {(str(step.id), label): path for step in self._fresh().steps for label, path in step.files.items()}
        if wanted not in paths:
            return _text(HTTPStatus.NOT_FOUND, "no step lists such a file")
        try:
            body = read_end(paths[wanted], MAX_FILE_BYTES)
        except storage.StorageError as error:
            return _text(HTTPStatus.NOT_FOUND, str(error))
        return Response(body=body, headers=_FILE_HEADERS)


def is_loopback_host(host: str | None) -> bool:
    """Whether a Host header names this machine's loopback interface; the port may be that of a tunnel."""
    return host is not None and _LOOPBACK_HOST.fullmatch(host) is not None


def read_end(path: str, limit: int) -> bytes:
    """The last `limit` bytes of the file at `path`, after a line that says so; the whole file if it is no longer.

    Raises:
        StorageError: there is no such file, or it cannot be read.
    """
    with storage.open_read(path) as stream:
        size = 0
        if stream.seekable():
            size = stream.seek(0, io.SEEK_END)
            stream.seek(max(0, size - limit))
            end = stream.read(limit)
        else:
            end = b""
            while chunk := stream.read(_CHUNK_BYTES):
                size += len(chunk)
                end = (end + chunk)[-limit:]
    if size <= limit:
        return end
    return f"[the last {len(end):,} of {size:,} bytes of {path}]\n".encode(errors="replace") + end


def _data_response(data: PageData, known_tag: str | None) -> Response:
    value = data.to_json()
    body = dump_json(value).encode()
    # The time of gathering always differs; it alone is no news.
    tag = f'"{hashlib.sha256(dump_json({**value, "generated": None}).encode()).hexdigest()}"'
    headers = {"ETag": tag}
    if known_tag == tag:
        return Response(status=HTTPStatus.NOT_MODIFIED, content_type="application/json", headers=headers)
    return Response(body=body, content_type="application/json", headers=headers)


def _text(status: HTTPStatus, message: str) -> Response:
    return Response(status=status, body=f"{message}\n".encode(errors="replace"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], site: PageSite) -> None:
        self.site = site
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer looks up the full name of the host, which can take long and serves nothing here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Browsers drop connections as they please; an error of ours is logged, not printed.
        logger.warning("a request for the page failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  # it is the one that made the handler
    timeout = _SECONDS_SILENT
    server_version = "marin"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with head and body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the head alone."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        response = self.server.site.respond(
            self.path, host=self.headers.get("Host"), known_tag=self.headers.get("If-None-Match")
        )
        self.send_response(response.status)
        for name, value in {**_HEADERS, **response.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Log a request, for those who look for it."""
        logger.debug(format, *args)
