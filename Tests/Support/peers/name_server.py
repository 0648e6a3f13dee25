"""A name server that answers, refuses, fails or keeps silent, and a program that asks only it.

The C library asks whom /etc/resolv.conf names, so the program runs in a mount namespace with another one. That
needs root.
"""

from __future__ import annotations

import collections
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

#: What a name can do besides having addresses.
SILENT, NO_SUCH_NAME, FAILS = "silent", 3, 2
_A, _AAAA = 1, 28
#: What a name has: addresses of either family, a way to fail, or what decides that for each query of either kind.
Known = list[str] | str | int


class NameServer:
    """Answers on port 53 of a loopback address of its own. `names` may change while it runs."""

    def __init__(self, names: dict[str, Known | Callable[[], Known]], *, ttl: int = 60) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root: for a name server, and for a program that asks no other")
        self.names, self.ttl = names, ttl
        #: A queries for each name.
        self.queries: collections.Counter[str] = collections.Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = self._bind()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _bind(self) -> str:
        for number in range(1, 255):
            address = f"127.53.{number}.1"
            try:
                self._socket.bind((address, 53))
            except OSError as error:
                if error.errno != 98:  # EADDRINUSE: tests may run beside one another.
                    raise
            else:
                return address
        raise OSError("no loopback address is left for a name server")

    def __enter__(self) -> NameServer:
        return self

    def __exit__(self, *_: object) -> None:
        # To itself: a closed socket would not wake the thread.
        self._socket.sendto(b"", (self.address, 53))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, source = self._socket.recvfrom(4096)
            if not query:
                return
            labels, place = [], 12
            while size := query[place]:
                labels.append(query[place + 1 : place + 1 + size].decode().lower())
                place += size + 1
            (kind,) = struct.unpack_from(">H", query, place + 1)
            question, name = query[12 : place + 5], ".".join(labels)
            if kind == _A:
                self.queries[name] += 1
            known = self.names.get(name, NO_SUCH_NAME)
            if callable(known):
                known = known()
            if known == SILENT:
                continue
            family = {_A: socket.AF_INET, _AAAA: socket.AF_INET6}.get(kind)
            addresses = [
                socket.inet_pton(family, address) for address in known if (":" in address) == (kind == _AAAA)
            ] if family and isinstance(known, list) else []
            answers = b"".join(
                struct.pack(">HHHIH", 0xC00C, kind, 1, self.ttl, len(address)) + address for address in addresses)
            flags = 0x8180 | (known if isinstance(known, int) else 0)
            head = query[:2] + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0)
            self._socket.sendto(head + question + answers, source)


def asking(address: str, program: Path, folder: Path) -> Path:
    """A program that runs `program` with `address` as its only name server."""
    (folder / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:5 attempts:2\n")
    (folder / "nsswitch.conf").write_text("hosts: files dns\n")
    wrapper = folder / "asking"
    wrapper.write_text(
        "#!/bin/sh\n"
        "exec unshare --mount --propagation private sh -ec '\n"
        f"mount --bind {folder}/resolv.conf /etc/resolv.conf\n"
        f"mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf\n"
        f"exec {program} \"$@\"' sh \"$@\"\n")
    wrapper.chmod(0o755)
    return wrapper
