"""One that does no harm: small requests one after another, and how long each took."""

from __future__ import annotations

import contextlib
import http.server
import os
import socketserver
import statistics
import threading
import time
from pathlib import Path

from .blocking import Ended, Tunnel, client_context


class SmallServer:
    """An upstream of one thread for each connection: `ok` for everything, request bodies are dropped as they come."""

    def __init__(self) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                left = int(self.headers.get("Content-Length", 0))
                while left and (data := self.rfile.read1(min(left, 1 << 16))):
                    left -= len(data)
                if self.path == "/hang":
                    with contextlib.suppress(OSError):
                        self.rfile.read(1)
                    self.close_connection = True
                    return
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None: ...

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> SmallServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Quiet:
    """A stream that sends one small POST at a time, and a newcomer that connects now and then."""

    def __init__(self, port: int, host: str, ca_file: Path, *, allowed: tuple[int, ...] = (200,)) -> None:
        self._port, self._host, self._context = port, host, client_context(ca_file)
        self._allowed = allowed
        self.tunnel = Tunnel(port, host, self._context, timeout=5)

    def close(self) -> None:
        self.tunnel.abort()

    def latencies(self, seconds: float, *, pause: float = 0.002) -> list[float]:
        """Seconds of each request. One that has no response in 5 s counts as such, and ends the measurement."""
        end, found = time.monotonic() + seconds, []
        while (begun := time.monotonic()) < end:
            try:
                reply = self.tunnel.request("POST", "/", b"{}")
            except TimeoutError:
                return [*found, time.monotonic() - begun]
            assert reply.status in self._allowed, reply.head
            found.append(time.monotonic() - begun)
            time.sleep(pause)
        return found

    def beside(self, seconds: float) -> tuple[list[float], list[float]]:
        """Latencies of the stream, and of new connections up to the end of their upgrade, every half second."""
        newcomers: list[float] = []

        def connect() -> None:
            end = time.monotonic() + seconds
            while (begun := time.monotonic()) < end:
                try:
                    Tunnel(self._port, self._host, self._context, timeout=3, handshake=False).abort()
                    newcomers.append(time.monotonic() - begun)
                except (TimeoutError, OSError, Ended):
                    newcomers.append(max(3.0, time.monotonic() - begun))
                time.sleep(0.5)

        thread = threading.Thread(target=connect)
        thread.start()
        try:
            return self.latencies(seconds), newcomers
        finally:
            thread.join()


def drop_log(proxy: object) -> None:
    """Read and drop the log of a proxy that was started with `collect=False`: parsing it would slow the test down."""
    descriptor = proxy.process.stderr.fileno()  # type: ignore[attr-defined]

    def drop() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(descriptor, 1 << 20):
                pass

    threading.Thread(target=drop, daemon=True).start()


def median(values: list[float]) -> float:
    return statistics.median(values)
