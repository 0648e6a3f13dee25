"""A hostile client in a process of its own, so that it does not slow down the test that looks on.

    python -m peers.flood '{"kind": ..., "reads": ..., "port": ..., "ca": ..., "domain": ..., "seconds": ...}'

says `ready` when it begins and prints what it did as JSON when its time is over.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .blocking import Ended, Tunnel, byte_frames, client_context, frames, pour
from .raw_websocket import BINARY, PING

#: Requests that the proxy answers by itself, to be pipelined.
REQUESTS = {
    "no-route": b"GET / HTTP/1.1\r\nHost: zz\r\n\r\n",
    "no-domain": b"POST / HTTP/1.1\r\nHost: zz\r\nContent-Length: 2\r\n\r\n{}",
    "connect": b"CONNECT quiet.{domain}:443 HTTP/1.1\r\nHost: quiet.{domain}:443\r\n\r\n",
    "refused-literal": b"GET / HTTP/1.1\r\nHost: refused.{domain}\r\n\r\n",
    "over-max-requests": b"GET / HTTP/1.1\r\nHost: quiet.{domain}\r\n\r\n",
    "malformed-heads": b"GET / HTTP/1.1\r\nHost : quiet\r\n\r\n",
}
#: Below HTTP: frames and records that cost the proxy more than they cost us.
BELOW = ("pings", "empty-pings", "byte-frames", "byte-records")
#: Malformed requests end their connection, so they come on many.
CONNECTIONS = {"malformed-heads": 32}


class Flood:
    """Runs the process. `with Flood(...) as flood:` begins when the flood does; `flood.result()` waits for its end."""

    def __init__(self, kind: str, proxy: object, *, reads: bool, seconds: float, rate: float | None = None) -> None:
        options = {
            "kind": kind, "reads": reads, "port": proxy.endpoint.port, "ca": str(proxy.far.ca_file),  # type: ignore
            "domain": proxy.far.domain, "seconds": seconds, "rate": rate}  # type: ignore[attr-defined]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peers.flood", json.dumps(options)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])

    def __enter__(self) -> Flood:
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n", "the flood did not begin"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def result(self) -> dict:
        out, _ = self.process.communicate(timeout=30)
        return json.loads(out)


def main(options: dict) -> dict:
    kind, end_after = options["kind"], options["seconds"]
    context = client_context(options["ca"])

    def tunnel(timeout: float = 5) -> Tunnel:
        # A small window: what the kernel holds for us is not what the proxy is tried with.
        buffer = None if options["reads"] else 4096
        return Tunnel(options["port"], f"quiet.{options['domain']}", context, receive_buffer=buffer, timeout=timeout)

    if kind in BELOW:
        with tunnel() as one:
            data = iter(_below(kind, one, (options["rate"] or 2.5e6) * end_after))
            ready = next(data)
            print("ready", flush=True)
            return _at_rate(one, ready, time.monotonic() + end_after, options)
    request = REQUESTS[kind].replace(b"{domain}", options["domain"].encode())
    tunnels = [tunnel() for _ in range(CONNECTIONS.get(kind, 1))]
    print("ready", flush=True)
    end, sent, opened = time.monotonic() + end_after, 0, len(tunnels)
    batch = request * (60_000 // len(request))
    while (now := time.monotonic()) < end:
        for index, one in enumerate(tunnels):
            # Many take turns; one has all the time.
            until = end if len(tunnels) == 1 else min(end, now + 0.02)
            try:
                while time.monotonic() < until:
                    record = memoryview(frames(BINARY, one.records(batch)))
                    sent += (done := pour(one.socket, record, end, drop=options["reads"]))
                    if len(tunnels) > 1 or done < len(record):
                        break
            except Ended:
                one.abort()
                with contextlib.suppress(Ended, OSError):
                    tunnels[index] = tunnel(timeout=max(0.05, end - time.monotonic()))
                    opened += 1
    for one in tunnels:
        one.abort()
    return {"sent": sent, "opened": opened}


def _below(kind: str, tunnel: Tunnel, amount: float) -> Iterator[bytes]:
    """All bytes of the flood, made before it begins so that making them takes no time from it."""
    if kind == "pings":
        yield frames(PING, b"p" * 20, int(amount) // 26)
    elif kind == "empty-pings":
        yield frames(PING, b"", int(amount) // 6)
    else:
        body = int(amount)
        tunnel.send(tunnel.head("POST", "/discard", f"Content-Length: {body}"))
        if kind == "byte-frames":
            yield byte_frames(b"".join(tunnel.records(b"x" * 16_000) for _ in range(body // 7 // 16_000)))
        else:
            count = body // 23
            yield b"".join(
                frames(BINARY, b"".join(tunnel.records(b"x") for _ in range(500))) for _ in range(count // 500))


def _at_rate(tunnel: Tunnel, data: bytes, end: float, options: dict) -> dict:
    """Send evenly at the rate asked for, or as fast as the proxy takes it."""
    view, sent, rate = memoryview(data), 0, options["rate"] or 2.5e6
    start = time.monotonic()
    with contextlib.suppress(Ended):
        while sent < len(view) and (now := time.monotonic()) < end:
            due = min(len(view), int((now - start) * rate) + 1)
            sent += pour(tunnel.socket, view[sent:due], end, drop=options["reads"])
            if sent == due:
                time.sleep(0.002)
    return {"sent": sent, "opened": 1}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
