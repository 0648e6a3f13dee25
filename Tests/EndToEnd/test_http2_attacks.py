"""One hostile peer on one HTTP/2 connection: it is gone soon, costs little meanwhile, and its neighbours hardly notice.

Each row is measured on the running proxy with a single loop, so that the neighbour shares everything with the attacker.
"""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import threading
import time
from dataclasses import dataclass, field

import pytest
from conftest import DOMAIN
from peers.admin import Admin
from peers.http2 import CALM, FLOW_CONTROL_ERROR
from peers.http2_attack import ATTACKS, Attacker
from peers.metrics import scrape, scrape_until
from peers.quiet import Quiet, SmallServer

MIB = 1 << 20
#: Of the proxy's memory.
GROWTH = 16 * MIB
ABUSE = "mcp_tunnel_http2_abuse_total"
SETTINGS_TIMEOUT = 4


@dataclass
class Row:
    """What is expected. `kind` is the counter that rises, `code` that of GOAWAY; neither where nothing forbidden happens."""

    kind: str | None = None
    code: int | None = CALM
    #: Seconds until the peer has to be gone.
    within: float = 2
    settings: dict = field(default_factory=dict)
    reads: bool = True


QUICK = {"http2": {"window_timeout": "1s", "settings_timeout": "1s"}, "limits": {"header_timeout": "1s"}}
ROWS: dict[str, Row] = {
    "rapid-reset": Row("rapidReset"), "rapid-reset-of-uploads": Row("rapidReset"),
    **{name: Row("causedReset") for name in ATTACKS if name.startswith("made-you-reset-")},
    "streams-opened-and-left": Row("refusedStream"), "uploads-opened-and-left": Row("refusedStream"),
    "continuation-flood": Row("headerBlock"), "continuation-flood-by-bytes": Row("headerBlock"),
    "half-a-block": Row("headerBlock", settings=QUICK),
    "hpack-bomb-by-count": Row("headerBlock"), "hpack-bomb-by-table": Row("headerBlock"),
    "too-large-again-and-again": Row("headerBlock"),
    "cookie-crumbs": Row("headerBlock"), "cookie-crumbs-in-one-block": Row("headerBlock"),
    "heads-within-limits": Row(code=None),
    "empty-data": Row("emptyData"), "padding-only": Row("emptyData"),
    "tiny-data": Row("tinyData"), "padding-and-a-byte": Row("tinyData"),
    "settings": Row("settings"), "settings-of-many-entries": Row("settings"),
    "settings-that-change-every-window": Row("settings"), "settings-acknowledgements": Row("settings"),
    "pings": Row("ping"), "ping-acknowledgements": Row("ping"), "unread-pings": Row("ping", reads=False),
    "priorities": Row("priority"), "priority-updates": Row("priority"),
    "priority-updates-of-idle-streams": Row("priority"),
    "window-updates": Row("windowUpdate"), "window-updates-of-a-stream": Row("windowUpdate"),
    "unknown-frames": Row("ignoredFrame"), "goodbyes": Row("ignoredFrame"),
    "windows-of-nothing": Row("heldWindow", settings=QUICK), "windows-of-a-byte": Row("heldWindow", settings=QUICK),
    "windows-that-come-and-go": Row("settings", settings=QUICK),
    "connection-window-of-a-byte": Row("heldWindow", settings=QUICK),
    "window-overflow-with-parked-streams": Row(code=FLOW_CONTROL_ERROR),
    "uploads-that-nobody-takes": Row(code=None),
    "no-settings": Row(settings=QUICK), "no-acknowledgement": Row(code=SETTINGS_TIMEOUT, settings=QUICK),
}


def test_every_attack_has_its_row() -> None:
    assert set(ROWS) == set(ATTACKS)


class Victim:
    """The attacker's upstream: `/hang` never ends, `/N` is N bytes, and bodies are taken, except by `/hang`."""

    def __init__(self) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    while self.one():
                        pass

            def one(self) -> bool:
                received = b""
                while b"\r\n\r\n" not in received:
                    if not (data := self.request.recv(1 << 16)):
                        return False
                    received += data
                path = received.split(b" ", 2)[1]
                if path == b"/hang":
                    ended.wait(20)
                    return False
                size = int(path[1:] or b"2")
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                for start in range(0, size, 1 << 16):
                    self.request.sendall(b"x" * min(1 << 16, size - start))
                if b"\r\ntransfer-encoding" in received.lower() or b"\r\ncontent-length" in received.lower():
                    # Whatever is left of the body, to the end.
                    while self.request.recv(1 << 16):
                        pass
                    return False
                return True

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: object) -> None: ...

        ended = self._ended = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Victim:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


def cpu(process: int) -> float:
    """Seconds of CPU that the process has had."""
    with open(f"/proc/{process}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> int:
    with open(f"/proc/{process}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def p99(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.99) - 1)]


@pytest.mark.parametrize("name", ROWS)
def test_one_hostile_peer(start, name: str) -> None:
    row = ROWS[name]
    seconds = row.within if row.code is not None else 1.0
    with SmallServer() as server, Victim() as victim:
        proxy = start(
            {"quiet": server.url, "victim": victim.url}, threads=1, admin_addr="127.0.0.1:0", **row.settings)
        admin = Admin(proxy)
        quiet = Quiet(proxy.endpoint.port, f"quiet.{DOMAIN}", proxy.far.ca_file)
        host = f"victim.{DOMAIN}"
        with contextlib.closing(quiet), Attacker(name, proxy, host=host, seconds=seconds, reads=row.reads) as attacker:
            usual = p99(quiet.latencies(0.4))
            before = scrape(admin)
            proxy.reset_peak_memory()
            memory, used, begun = resident(proxy.process.pid), cpu(proxy.process.pid), time.monotonic()
            attacker.begin()
            latencies = quiet.latencies(1.0)
            used, took = cpu(proxy.process.pid) - used, time.monotonic() - begun
            found = attacker.result()
            grown = proxy.peak_memory() - memory
        told = f"{found}, p99 {p99(latencies):.4f} s of {usual:.4f} s, {used / took:.2f} cores, {grown / MIB:.1f} MiB"
        print(told)
        if row.code is not None:
            assert found["gone"] is not None, told
        else:
            assert found["gone"] is None, told
        # One that does not read cannot be told.
        assert found["code"] == row.code or not row.reads, told
        assert grown <= GROWTH, told
        assert used / took <= 0.5, told
        assert p99(latencies) <= max(3 * usual, 0.05), told

        def rise(now) -> dict[str, float]:
            old = before.all(ABUSE)
            return {dict(labels)["kind"]: value - old.get(labels, 0) for labels, value in now.all(ABUSE).items()
                    if value > old.get(labels, 0)}

        if row.kind:
            risen = rise(scrape_until(admin, lambda now: rise(now).get(row.kind)))
            assert set(risen) == {row.kind}, (risen, told)
        else:
            assert not rise(scrape(admin)), told
