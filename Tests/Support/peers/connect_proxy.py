"""A forward proxy that opens tunnels with CONNECT (RFC 9110 §9.3.6), and remembers what it was asked."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectRequest:
    """What a client sent before its tunnel was open."""

    target: str
    fields: dict[str, str]


class ConnectProxy:
    """Leads every tunnel to one port of this machine, whatever its name. Ends with a `with` block."""

    def __init__(
        self, port: int, *, status: str = "200 Connection established", tls: ssl.SSLContext | None = None,
        cut_after: int | None = None,
    ) -> None:
        """`tls`: what it is reached in. `cut_after`: bytes for the client after which it is gone, with no word."""
        self.upstream, self.status, self.cut_after = port, status, cut_after
        self._tls = tls
        self.requests: list[ConnectRequest] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> ConnectProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(20)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._tls:
                # A client that does not like the certificate goes.
                client = self._tls.wrap_socket(client, server_side=True)
            stack.enter_context(client)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            lines = head.decode("latin-1").split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if line)
            self.requests.append(
                ConnectRequest(lines[0].split()[1], {key.lower(): value for key, value in fields.items()}))
            client.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            if not self.status.startswith("200"):
                return
            with socket.create_connection(("127.0.0.1", self.upstream), timeout=20) as server:
                self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        """Copies both ways until one side ends. In one thread, because an SSL object is for one at a time."""
        left = self.cut_after
        while True:
            # What TLS has taken from the kernel already, no report will come of.
            is_pending = isinstance(client, ssl.SSLSocket) and client.pending() > 0
            for source in [client] if is_pending else select.select([client, server], [], [], 20)[0]:
                piece = source.recv(65536)
                if source is server and left is not None:
                    piece, left = piece[:left], left - len(piece)
                (client if source is server else server).sendall(piece)
                if left is not None and left <= 0:
                    return
                if piece:
                    continue
                if source is server and isinstance(client, ssl.SSLSocket):
                    client.unwrap()
                return
