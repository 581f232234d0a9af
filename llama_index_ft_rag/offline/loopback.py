"""The door on this machine: a server that only programs of this machine reach.

In: HTTP over a loopback socket. Out: the same, from what a handler answered; a lost connection really is one.
Knows nothing of the API.
"""

from __future__ import annotations

import ipaddress
import logging
import select
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import parse_qsl

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.protocol import BLOCK_BYTES, ConnectionLost, Request, Response, error_response, is_form
from llama_index_ft_rag.offline.responder import ApiFailure

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 1024 * 1024 * 1024
"""Of a form; the backend's own limit for a file is lower and gives the service's error."""
MAX_JSON_BYTES = 128 * 1024 * 1024
IDLE_TIMEOUT_S = 60.0

_LOOK_SECONDS = 0.05
"""How often a reply that is kept back looks whether somebody still waits for it."""
_ONCE = ("Host", "Content-Length", "Content-Type", "Transfer-Encoding")
"""Headers that two readers could understand in two ways if they came twice."""


class Backend(Protocol):
    """What `serve` needs of a backend."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""


class LoopbackServer:
    """A running server; it answers on threads of its own until it is closed."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="ft-rag-offline", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL for clients, such as `http://127.0.0.1:8080/v1`."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    def close(self) -> None:
        """Stop answering and free the port; the backend stays open."""
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def serve(
    backend: Backend,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    max_request_bytes: int = MAX_REQUEST_BYTES,
) -> LoopbackServer:
    """Serve a backend to other programs on this machine, and to nobody else.

    Args:
        backend: Answers the requests; it is not closed with the server.
        host: An IPv4 loopback address or `localhost`.
        port: 0 takes a free one.
        max_request_bytes: Larger requests are refused unread.

    Raises:
        ConfigurationError: If the host is not a loopback address, or the port is taken.
    """
    address = "127.0.0.1" if host == "localhost" else host
    if not _is_loopback(address):
        raise ConfigurationError(
            f"host {host!r}: not a loopback address, and the offline backend accepts any key; pass 127.0.0.1"
        )
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"port {port}: not a port; pass one from 1 to 65535, or 0 for a free one")
    try:
        server = _Server((address, port), backend, max_request_bytes=max_request_bytes)
    except OSError as exc:
        raise ConfigurationError(
            f"port {port} on {address}: cannot be opened ({exc.strerror}); take another one, or 0 for a free one"
        ) from exc
    return LoopbackServer(server)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default of 5 resets connections when a few dozen clients come at once.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], backend: Backend, *, max_request_bytes: int) -> None:
        self.backend = backend
        self.max_request_bytes = max_request_bytes
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive; their threads wait for requests that will not come."""
        for connection in list(self._open):
            with suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature of socketserver
        error = sys.exc_info()[1]
        if isinstance(error, (ConnectionError, TimeoutError)):
            logger.debug("A client of the offline backend hung up: %s", error)
        else:
            logger.error("A connection to the offline backend failed", exc_info=error)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ft-rag-offline"
    sys_version = ""
    # Unbuffered writes and Nagle's algorithm together cost 40 ms and more for each small response.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = IDLE_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        refused = self._check()
        if refused is not None:
            self.close_connection = True
            self._send(error_response(refused))
            return
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length") or 0)
        with tempfile.TemporaryFile() if is_form(headers) else nullcontext() as upload:
            request = Request(
                method=self.command,
                path=path,
                query=dict(parse_qsl(query)),
                headers=headers,
                body=b"".join(self._blocks(length)) if upload is None else b"",
                upload=upload,
            )
            if upload is not None:
                upload.writelines(self._blocks(length))
                upload.seek(0)
            response = None
            try:
                response = self.server.backend.handle(request)
                self._send(response)
            except ConnectionLost:
                self._hang_up()
            finally:
                if response is not None:
                    response.close()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_OPTIONS = do_HEAD = do_GET  # noqa: N815 - the names of http.server

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse what is no request of the API in the form in which the API refuses."""
        self.close_connection = True
        self._send(error_response(ApiFailure(message=f"{message or 'This request cannot be read'}.", status=code)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of http.server
        logger.debug(format, *args)

    def _check(self) -> ApiFailure | None:
        # A web page whose name was made to point at this machine sends its own name here.
        for name in _ONCE:
            if len(self.headers.get_all(name, [])) > 1:
                return ApiFailure(message=f"The header {name} is there more than once.")
        host = self.headers.get("host", "").partition(":")[0].lower()
        if host != "localhost" and not _is_loopback(host):
            return ApiFailure(message="The offline backend answers to loopback names only.", status=403)
        if self.headers.get("transfer-encoding"):
            return ApiFailure(message="Send a Content-Length; chunked requests are not read.", status=411)
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return ApiFailure(message="The Content-Length is not a number.")
        limit = self.server.max_request_bytes
        if not is_form({"content-type": self.headers.get("content-type", "")}):
            limit = min(limit, MAX_JSON_BYTES)
        if len(length) > 18 or int(length) > limit:
            return ApiFailure(message=f"The request is larger than {limit} bytes.", status=413)
        return None

    def _blocks(self, length: int) -> Iterator[bytes]:
        while length > 0:
            block = self.rfile.read(min(length, BLOCK_BYTES))
            if not block:
                raise ConnectionResetError("the client hung up in the middle of a request")
            yield block
            length -= len(block)

    def _wait(self, seconds: float) -> None:
        """Let time pass, and stop when the server is closed or the client has given up."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.closing.wait(min(left, _LOOK_SECONDS)) or self._is_gone():
                raise ConnectionLost

    def _is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _send(self, response: Response) -> None:
        if response.delay:
            self._wait(response.delay)
        chunks = response.body
        length = response.headers.get("content-length")
        if not response.is_stream and length is None:
            chunks = [b"".join(response.body)]
            length = str(len(chunks[0]))
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name != "content-length":
                self.send_header(name, value)
        if self.close_connection:
            self.send_header("connection", "close")
        if length is None:
            self._send_chunked(chunks)
        else:
            self.send_header("content-length", length)
            self.end_headers()
            for chunk in chunks if self.command != "HEAD" else ():
                self.wfile.write(chunk)
        self.wfile.flush()

    def _send_chunked(self, chunks: Iterable[bytes]) -> None:
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _hang_up(self) -> None:
        with suppress(OSError):  # what was sent before goes out first
            self.wfile.flush()
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == 4 and address.is_loopback
