"""A network of its own, in which every address of the world is this machine's: each dial arrives, and is seen.

It needs root.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

Result = TypeVar("Result")
_CLONE_NEWNET = 0x40000000
_OUTGOING, _ALL_PROTOCOLS = 4, 3
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6


class Network:
    """A network namespace. One thread is in it; sockets and processes made there stay there, whoever uses them."""

    def __init__(self) -> None:
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._namespace = self.run(_enter)
        #: For `nsenter --net=...`, as long as this process lives.
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._namespace}")
        for words in ("link set lo up", "route add local default dev lo", "-6 route add local default dev lo"):
            self.run(subprocess.run, ["ip", *words.split()], check=True, stdin=subprocess.DEVNULL)
        self._watch = self.run(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
        self._watch.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()
        self._thread.shutdown()
        os.close(self._namespace)

    def run(self, function: Callable[..., Result], *arguments: object, **options: object) -> Result:
        """Calls a function in the namespace."""
        return self._thread.submit(function, *arguments, **options).result()

    def dials(self) -> list[tuple[str, int]]:
        """Address and port of each TCP connection that was begun since the last call, to whomever, in order.

        The kernel puts a packet here while it sends it: what is not here by the time of a response was not dialled for it.
        """
        found: list[tuple[str, int]] = []
        while True:
            try:
                packet, source = self._watch.recvfrom(256)
            except BlockingIOError:
                return found
            # On the loopback interface each packet goes by twice.
            if source[2] == _OUTGOING and (dial := _dial(source[1], packet)) and (not found or found[-1] != dial):
                found.append(dial)

    def inside(self, program: Path, folder: Path) -> Path:
        """A program that runs `program` in the namespace."""
        wrapper = folder / "inside"
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={self.path} -- {program} "$@"\n')
        wrapper.chmod(0o755)
        return wrapper


class Everywhere:
    """HTTP on one port of every address: the body of each response is the address that was dialled."""

    def __init__(self, network: Network, port: int, head: str = "HTTP/1.1 200 OK") -> None:
        self._head = head
        self._listeners = [network.run(_listen, family, port) for family in (socket.AF_INET, socket.AF_INET6)]
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            body = connection.getsockname()[0].encode()
            received = b""
            while data := connection.recv(1 << 16):
                received += data
                while b"\r\n\r\n" in received:
                    _, _, received = received.partition(b"\r\n\r\n")
                    head = f"{self._head}\r\nContent-Length: {len(body)}\r\n\r\n"
                    connection.sendall(head.encode() + body)


def _enter() -> int:
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace of its own is not permitted here")
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)


def _listen(family: socket.AddressFamily, port: int) -> socket.socket:
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(("", port))
    listener.listen(64)
    return listener


def _dial(protocol: int, packet: bytes) -> tuple[str, int] | None:
    """Where a packet goes that opens a TCP connection."""
    if protocol == _IPV4 and packet[9] == _TCP:
        start, address = (packet[0] & 15) * 4, socket.inet_ntop(socket.AF_INET, packet[16:20])
    elif protocol == _IPV6 and packet[6] == _TCP:
        start, address = 40, socket.inet_ntop(socket.AF_INET6, packet[24:40])
    else:
        return None
    flags = packet[start + 13]
    # SYN without ACK.
    return (address, struct.unpack_from(">H", packet, start + 2)[0]) if flags & 0x12 == 0x02 else None
