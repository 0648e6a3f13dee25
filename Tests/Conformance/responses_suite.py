"""Hostile responses: what an upstream sends reaches the client whole and right, or as an error, and never another client."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import ssl
import threading
from collections.abc import Iterable

import strict_http
from context import Context
from lab import HOST, Files, running
from mutations import answer, damaged
from peers.blocking import Ended, Tunnel, client_context
from record import Case, Suite
from strict_http import Incomplete, Invalid

SEED = 20251129
COUNT, BOUNDED = 2_000, 100

SUITE = Suite(
    "responses", "Hostile responses",
    f"""
{COUNT:,} responses, damaged as the requests above, come from an upstream of `mcp-proxy`; some are followed by more than their length
says, which is what poisons a connection that is used again. What must hold: the client gets the response that the judge reads, with its
status and body, or a 502, or is cut off in its midst; and the next request of this client and of another one get their own
responses. One fault is put right on the way: a status line that ends behind its number can mean nothing else, and a recipient may
take it (RFC 9112 §4); what the client gets has the space that belongs there, or the case would be `broken`.
""",
    {"passed on as sent": 0, "put right": 0, "refused": 0, "cut": 0, "refused though right": 1, "passed on though wrong": 2, "waits": 3,
     "broken": 5})


class Upstream:
    """Sends what it is told for `/odd`, and good responses otherwise."""

    def __init__(self) -> None:
        self.odd, self.ends = b"", False
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        with connection, contextlib.suppress(OSError):
            while piece := connection.recv(65_536):
                data += piece
                found, _ = strict_http.requests(data)
                if not found:
                    continue
                data = b""
                target = found[0].start[1]
                if target == b"/odd":
                    connection.sendall(self.odd)
                    if self.ends:
                        return
                else:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))


def read_response(tunnel: Tunnel) -> tuple[strict_http.Message | None, str]:
    """A response as it comes out of the tunnel, or what came instead."""
    received, has_ended = b"", False
    while True:
        try:
            return strict_http.response(received, has_ended=has_ended), ""
        except Incomplete:
            if has_ended:
                return None, "cut"
        except Invalid as error:
            return None, f"invalid: {error}: {received[:200]!r}"
        try:
            piece = tunnel.read()
        except TimeoutError:
            return None, "waits"
        except (Ended, OSError, ssl.SSLError):
            # Without close_notify, a body that ends with the connection is not whole.
            return None, "cut"
        received, has_ended = received + piece, not piece


def run(context: Context) -> Iterable[Case]:
    folder = context.folder("responses")
    files, upstream, rng = Files(folder), Upstream(), random.Random(SEED)
    with running(folder, files, upstream.url) as proxy:
        tls, port = client_context(files.ca_file), proxy.endpoint.port
        with Tunnel(port, HOST, tls) as other:
            for number in range(1, (BOUNDED if context.bounded else COUNT) + 1):
                upstream.odd = damaged(rng, answer(rng))
                if rng.random() < 0.2:
                    upstream.odd += rng.choice([b"more", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b"\r\n", b"\0"])
                wanted, group = judged(upstream)
                verdict, note = attempt(port, tls, other, upstream, wanted, number)
                yield Case(f"{SEED}/{number}", group, verdict, number <= BOUNDED, f"{upstream.odd[:300]!r} {note}")
    upstream.socket.close()


def judged(upstream: Upstream) -> tuple[strict_http.Message | None, str]:
    """What the client is to get, and what is the matter. Decides whether the upstream ends the connection."""
    upstream.ends = False
    try:
        return strict_http.response(upstream.odd, has_ended=False), "nothing"
    except Invalid as error:
        return None, str(error)
    except Incomplete:
        upstream.ends = True
    try:
        return strict_http.response(upstream.odd, has_ended=True), "ends with the connection"
    except (Incomplete, Invalid):
        return None, "incomplete"


def attempt(
    port: int, tls: ssl.SSLContext, other: Tunnel, upstream: Upstream, wanted: strict_http.Message | None, number: int,
) -> tuple[str, str]:
    after = b"/after-%d" % number
    with Tunnel(port, HOST, tls, timeout=8) as tunnel:
        tunnel.send(tunnel.head("GET", "/odd"))
        found, what = read_response(tunnel)
        if what == "waits" or what.startswith("invalid"):
            return "waits" if what == "waits" else "broken", what
        closes = found is None or re.search(rb"(?i)close", b",".join(found.values(b"connection")))
        if not closes:
            with contextlib.suppress(OSError, Ended):
                tunnel.send(tunnel.head("GET", after.decode()))
            next_one, what = read_response(tunnel)
            if next_one is None or next_one.body != after:
                return "broken", f"the next response: {next_one} {what}"
    if other.request("GET", f"/other-{number}").body != b"/other-%d" % number:
        return "broken", "another client got something else"
    if found and found.start == (b"502",) and not (wanted and wanted.start == (b"502",)):
        return ("refused though right" if wanted else "refused"), ""
    if found is None:
        return ("broken" if wanted else "cut"), "cut"
    note = f"{found.start} {found.body[:100]!r}"
    if wanted:
        return "passed on as sent" if is_same(found, wanted) else "broken", note
    # What was read here, by the strict reader, has its space.
    return "put right" if is_same(found, with_a_space(upstream)) else "passed on though wrong", note


def is_same(found: strict_http.Message, wanted: strict_http.Message | None) -> bool:
    return wanted is not None and (found.start, found.body) == (wanted.start, wanted.body)


def with_a_space(upstream: Upstream) -> strict_http.Message | None:
    """What was sent, had its status line the space behind its number."""
    try:
        return strict_http.response(upstream.odd, has_ended=upstream.ends, bare_status=True)
    except (Incomplete, Invalid):
        return None


SUITES = [(SUITE, run)]
