"""The upstream of whoever is attacked, in a process of its own: `python -m peers.victim` says its port and serves.

`/hang` never responds and reads nothing more, `/N` is N bytes, and bodies are taken.
"""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import subprocess
import sys
from pathlib import Path


class Victim:
    """Runs the process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peers.victim"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[1])
        assert self.process.stdout
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def __enter__(self) -> Victim:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._one():
                pass

    def _one(self) -> bool:
        received = b""
        while b"\r\n\r\n" not in received:
            if not (data := self.request.recv(1 << 16)):
                return False
            received += data
        path = received.split(b" ", 2)[1]
        if path == b"/hang":
            # Until the other side has gone.
            poll = select.poll()
            poll.register(self.request, select.POLLRDHUP)
            poll.poll(20_000)
            return False
        size = int(path[1:] or b"2")
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for start in range(0, size, 1 << 16):
            self.request.sendall(b"x" * min(1 << 16, size - start))
        if b"\r\ntransfer-encoding" in received.lower() or b"\r\ncontent-length" in received.lower():
            while self.request.recv(1 << 16):
                pass
            return False
        return True


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 256

    def server_bind(self) -> None:
        # What the kernel takes for it is little.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        super().server_bind()

    def handle_error(self, *_: object) -> None: ...


if __name__ == "__main__":
    with _Server(("127.0.0.1", 0), _Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
