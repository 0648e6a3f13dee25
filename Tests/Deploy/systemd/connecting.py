"""Connects again and again without a pause, until its standard input ends: connecting.py HOST PORT.

It prints a line when it has begun, and at the end how often it was let in and how often refused.
"""

from __future__ import annotations

import json
import select
import socket
import sys

address = (sys.argv[1], int(sys.argv[2]))
counts = {"connected": 0, "refused": 0}
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        socket.create_connection(address, timeout=10).close()
        counts["connected"] += 1
    except ConnectionRefusedError:
        counts["refused"] += 1
    if sum(counts.values()) == 1:
        print("begun", flush=True)
print(json.dumps(counts))
