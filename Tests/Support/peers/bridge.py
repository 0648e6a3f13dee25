"""What cloudflared is to a client: a TCP port whose bytes travel in WebSocket frames. TLS is the client's own business."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from .blocking import Ended, Tunnel, frames
from .raw_websocket import BINARY, CLOSE, PING, PONG


class Bridge:
    """Programs that know nothing of WebSockets reach the proxy through `port`."""

    def __init__(self, proxy: object, host: str = "echo.t.example") -> None:
        self._port, self._host = proxy.endpoint.port, host  # type: ignore[attr-defined]
        # The tunnel wants one, for the TLS that it does not do here.
        self._unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = [self._socket]
        #: Connections that were made.
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.count += 1
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                tunnel = Tunnel(self._port, self._host, self._unused, handshake=False)
            except (OSError, Ended):
                client.close()
                continue
            tunnel.socket.settimeout(None)
            self._open += [client, tunnel.socket]
            threading.Thread(target=self._up, args=(client, tunnel), daemon=True).start()
            threading.Thread(target=self._down, args=(client, tunnel), daemon=True).start()

    @staticmethod
    def _up(client: socket.socket, tunnel: Tunnel) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                tunnel.socket.sendall(frames(BINARY, data))
            tunnel.socket.sendall(frames(CLOSE, b"\x03\xe8"))

    @staticmethod
    def _down(client: socket.socket, tunnel: Tunnel) -> None:
        with contextlib.suppress(OSError, Ended):
            while True:
                opcode, payload = tunnel.frame()
                if opcode == BINARY:
                    client.sendall(payload)
                elif opcode == PING:
                    tunnel.socket.sendall(frames(PONG, payload))
                elif opcode == CLOSE:
                    tunnel.socket.sendall(frames(CLOSE, payload[:2]))
                    break
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        tunnel.socket.close()
