"""Connections of somebody who wants nothing but to take room, in a process of its own.

    python -m peers.newcomers KIND PORT COUNT

opens COUNT of them, says `ready`, and goes on, a new one for the oldest 100 times a second, until it is killed.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from .blocking import frames
from .raw_websocket import BINARY, upgrade_head

#: What each says, and then no more.
KINDS = ("silent", "half-heads", "half-hellos", "claims")


def words(kind: str) -> tuple[bytes, bytes]:
    """What one connection says: before it waits for a response, and behind that."""
    head, _ = upgrade_head("quiet.t.example")
    if kind == "silent":
        return b"", b""
    if kind == "half-heads":
        return head[:-2] + b"X-More: " + b"x" * (15_000 - len(head)), b""
    # A ClientHello of 60,000 bytes in records of 16 KiB, of which the last bytes do not come; or its first 16.
    hello = b"\x01" + struct.pack(">I", 60_000)[1:] + b"\x03\x03" + os.urandom(32) + b"\x00" * 59_000
    sent = hello if kind == "half-hellos" else hello[:16]
    records = [sent[at : at + 16_384] for at in range(0, len(sent), 16_384)]
    data = b"".join(b"\x16\x03\x01" + struct.pack(">H", len(record)) + record for record in records)
    return head, b"".join(frames(BINARY, data[at : at + 8_192]) for at in range(0, len(data), 8_192))


def connect(port: int, first: bytes, then: bytes) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    # The proxy may have dropped it by then.
    with contextlib.suppress(OSError):
        plain.sendall(first)
        response = b""
        while then and b"\r\n\r\n" not in response and (data := plain.recv(4096)):
            response += data
        plain.sendall(then)
    return plain


class Newcomers:
    """Runs the process. `with Newcomers(...):` begins when all are connected."""

    def __init__(self, kind: str, port: int, count: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peers.newcomers", kind, str(port), str(count)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])

    def __enter__(self) -> Newcomers:
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n", "the flood did not begin"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def main(kind: str, port: int, count: int) -> None:
    said = words(kind)
    held = collections.deque(connect(port, *said) for _ in range(count))
    print("ready", flush=True)
    while True:
        held.popleft().close()
        held.append(connect(port, *said))
        time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
