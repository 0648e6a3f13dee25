"""An upstream on blocking sockets: one thread and one function for each connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable


class Peer:
    """One connection that the proxy made."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.socket, self.number = connection, number
        self.buffer = bytearray()

    def head(self) -> str | None:
        """The next request head, or nothing when the proxy ended the connection between requests."""
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            data = self.socket.recv(1 << 16)
            if not data:
                assert not self.buffer, f"half a head: {bytes(self.buffer)!r}"
                return None
            self.buffer += data
        head = self.buffer[:end].decode("latin-1")
        del self.buffer[: end + 4]
        return head

    def request(self) -> tuple[str, bytes] | None:
        """The next request with its body, which has to have a Content-Length."""
        if (head := self.head()) is None:
            return None
        length = 0
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        while len(self.buffer) < length:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the body was cut")
            self.buffer += data
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        return head, body

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def respond(self, body: bytes = b"ok", *lines: str, status: str = "200 OK") -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""])
        self.send(head.encode("latin-1") + body)

    def read_to_end(self) -> int:
        """Drop what still comes, and count it. A reset raises."""
        count = len(self.buffer)
        self.buffer.clear()
        while data := self.socket.recv(1 << 16):
            count += len(data)
        return count

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Scripted:
    """Listens on a port of the kernel's choice. `wait()` gives the result of the first handler that ended."""

    def __init__(
        self, handler: Callable[[Peer], object], *, host: str = "127.0.0.1", port: int = 0,
        receive_buffer: int | None = None, tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handler, self._tls = handler, tls
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.bind((host, port))
        self._socket.listen(256)
        self.port: int = self._socket.getsockname()[1]
        self.peers: list[Peer] = []
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._changed = threading.Condition()
        self.results: list[object] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        for listening in (self._socket, *(peer.socket for peer in self.peers)):
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def wait(self, seconds: float = 10, count: int = 1) -> object:
        """The result of the count-th handler to end; what it raised is raised here."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.results) >= count, seconds), "the upstream still waits"
            result = self.results[count - 1]
        if isinstance(result, BaseException):
            raise result
        return result

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        result: object
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
            with connection:
                peer = Peer(connection, len(self.peers) + 1)
                self.peers.append(peer)
                result = self._handler(peer)
        except Exception as error:  # The test decides what it means.
            result = error
        with self._changed:
            self.results.append(result)
            self._changed.notify_all()
