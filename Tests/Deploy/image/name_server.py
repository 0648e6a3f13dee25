"""A DNS server (RFC 1035) that knows one name: `python -m image.name_server NAME ADDRESS`, on 127.0.0.1 port 53."""

from __future__ import annotations

import socket
import struct
import sys

NAME_ERROR, A, INTERNET = 3, 1, 1


def answer(query: bytes, name: str, address: str) -> bytes:
    """A record for the name, nothing for other types, NXDOMAIN for other names (§4.1)."""
    labels, offset = [], 12
    while length := query[offset]:
        labels.append(query[offset + 1 : offset + 1 + length].decode().lower())
        offset += 1 + length
    question = query[12 : offset + 5]
    (kind,) = struct.unpack_from(">H", query, offset + 1)
    is_known = ".".join(labels) == name
    records = b""
    if is_known and kind == A:
        records = struct.pack(">HHHIH", 0xC00C, A, INTERNET, 60, 4) + socket.inet_aton(address)
    # A response, authoritative, recursion desired and available.
    flags = 0x8580 | (0 if is_known else NAME_ERROR)
    return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if records else 0, 0, 0) + question + records


def main() -> None:
    name, address = sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        print("ready", flush=True)
        while True:
            query, client = server.recvfrom(512)
            server.sendto(answer(query, name, address), client)


if __name__ == "__main__":
    main()
