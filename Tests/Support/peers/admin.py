"""Asks the admin listener of a running proxy."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any


class Admin:
    """The listener of one proxy, known by the line in which it says where it is."""

    def __init__(self, proxy: Any) -> None:
        self.address: str = proxy.wait_for("admin listening").fields["addr"]

    def connect(self, timeout: float = 5) -> http.client.HTTPConnection:
        if self.address.startswith("unix:"):
            connection = http.client.HTTPConnection("localhost", timeout=timeout)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self.address.removeprefix("unix:"))
            return connection
        return http.client.HTTPConnection(self.address, timeout=timeout)

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, **fields: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request; names of fields are written with underscores."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        return json.loads(self.ask(path)[2])

    def conditions(self) -> dict[str, tuple[bool, str]]:
        return {entry["id"]: (entry["holds"], entry["detail"]) for entry in self.json("/readyz")["conditions"]}

    def wait_until(self, path: str, status: int, seconds: float = 10) -> bytes:
        """Ask until the status is the wanted one."""
        end = time.monotonic() + seconds
        while True:
            found, _, body = self.ask(path)
            if found == status:
                return body
            assert time.monotonic() < end, (path, found, body)
            time.sleep(0.02)
