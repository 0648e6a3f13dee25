"""Request smuggling: what a strict origin gets is exactly what was sent, one request for one, or nothing."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import strict_http
from context import Context
from lab import HOST, Files, running
from mutations import damaged, message
from peers.blocking import Ended, Tunnel, client_context, frames
from record import Case, Suite

SEED = 20251128
COUNT, BOUNDED = 5_000, 200

SUITE = Suite(
    "smuggling", "Request smuggling",
    f"""
{COUNT:,} requests, written by a grammar and damaged where two readers could part (line ends, framing fields, chunk sizes, names,
targets, versions), go through a tunnel to `mcp-proxy`, each with a good request right behind it. The origin reads HTTP/1.1 by
the letter of RFC 9112 and so does the judge. What must hold: the origin gets whole and rightful requests only, they are those
that were sent in their order, with the same method, target, fields and body, and responses come back in that order. The same
seed makes the same requests. The rows say what is the matter with a request by the judge's reading. `Tests/EndToEnd/test_smuggling.py` has
the classic ones one by one.
""",
    {"passed on as sent": 0, "refused": 0, "cut": 0, "refused though right": 1, "passed on though wrong": 2, "waits": 3, "broken": 5})

#: What belongs to a connection and not to a request.
HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"trailer", b"content-length",
       b"proxy-authenticate", b"proxy-authorization", b"expect", b"host", b"via", b"x-request-id"}


@dataclass
class Origin:
    """Takes connections, reads strictly, and notes each whole request. A response names its request by number."""

    got: list[strict_http.Message] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.busy = 0
        self.changed = threading.Condition()
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
        data, is_busy = b"", False
        with connection, contextlib.suppress(OSError):
            try:
                while piece := connection.recv(65_536):
                    data += piece
                    if not is_busy:
                        is_busy = self.count(1)
                    if not self.take(connection, data):
                        continue
                    data, is_busy = b"", self.count(-1)
            finally:
                if is_busy:
                    self.count(-1)

    def count(self, step: int) -> bool:
        with self.changed:
            self.busy += step
            self.changed.notify_all()
        return step > 0

    def take(self, connection: socket.socket, data: bytes) -> bool:
        found, rest = strict_http.requests(data)
        if rest == "incomplete" and not found:
            return False
        if rest or len(found) != 1:
            # The proxy sends one request at a time on a connection.
            self.faults.append(f"{rest or 'more than one request'} in {data[:300]!r}")
            connection.close()
            return True
        with self.changed:
            self.got.append(found[0])
            number = len(self.got)
        method = found[0].start[0]
        body = b"response-%d;" % number
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + (b"" if method == b"HEAD" else body))
        return True

    def quiet(self) -> None:
        """Waits until each connection is between requests, or over."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.busy == 0, 5):
                self.faults.append("a request has begun and neither ends nor is cut")


def sent_through(proxy_port: int, context: ssl.SSLContext, data: bytes, *, whole: bool, end: bytes) -> tuple[bytes, bool]:
    """What comes back until `end` is in it or the connection ends, and whether nothing at all came in time."""
    received = b""
    with Tunnel(proxy_port, HOST, context, timeout=8) as tunnel:
        try:
            tunnel.send(data)
            if not whole:
                # All has been sent, and more never comes. The proxy closes too.
                tunnel.socket.sendall(frames(2, tunnel.close_notify()) + frames(8, b"\x03\xe8"))
                tunnel.socket.shutdown(socket.SHUT_WR)
                while tunnel.socket.recv(65_536):
                    pass
                return b"", False
            while end not in received:
                piece = tunnel.read()
                if not piece:
                    break
                received += piece
        except TimeoutError:
            return received, True
        except (Ended, OSError, ssl.SSLError):
            pass
    return received, False


def run(context: Context) -> Iterable[Case]:
    folder = context.folder("smuggling")
    files, origin = Files(folder), Origin()
    rng = random.Random(SEED)
    with running(folder, files, origin.url) as proxy:
        tls = client_context(files.ca_file)
        with Tunnel(proxy.endpoint.port, HOST, tls) as barrier:
            for number in range(1, (BOUNDED if context.bounded else COUNT) + 1):
                data = damaged(rng, message(rng))
                group, verdict, note = attempt(proxy.endpoint.port, tls, origin, data, number)
                if barrier.request("GET", "/barrier").status != 200:
                    raise SystemExit("the other connection is disturbed")
                origin.got.clear()
                yield Case(f"{SEED}/{number}", group, verdict, number <= BOUNDED, note)
    origin.socket.close()


def attempt(port: int, tls: ssl.SSLContext, origin: Origin, data: bytes, number: int) -> tuple[str, str, str]:
    mark = b"/after-%d" % number
    after = b"GET " + mark + b" HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n"
    every, rest = strict_http.requests(data + after, empty_lines=True)
    wanted = [message for message in every if is_ours(message)]
    group = rest or "nothing"
    # Its response is the last that is wanted; what is not wanted closes the connection.
    end = b"response-%d;" % len(wanted) if not rest else b"\0never\0"
    received, is_waiting = sent_through(port, tls, data + after, whole=rest != "incomplete", end=end)
    origin.quiet()
    got = list(origin.got)
    note = f"{data[:400]!r}: {[message.start for message in got]}"
    if origin.faults:
        faults, origin.faults = origin.faults, []
        return group, "broken", f"{note} {faults}"
    for theirs, ours in zip(got, wanted, strict=False):
        if problem := difference(theirs, ours):
            return group, "broken", f"{note} {problem}"
    numbers = [int(found) for found in re.findall(rb"response-(\d+);", received)]
    if numbers != sorted(set(numbers)):
        return group, "broken", f"{note} responses {numbers}"
    if is_waiting:
        return group, "waits", note
    if len(got) > len(wanted):
        rest_of_it = got[len(wanted):]
        if any(message.start[1] == mark for message in rest_of_it[:-1]) or any(b"smuggled" in message.start[1] for message in rest_of_it):
            return group, "broken", note
        return group, "passed on though wrong", note
    if rest == "incomplete":
        return group, "cut", note
    if rest:
        return group, "refused", note
    if len(got) == len(wanted) or got and closes(wanted[len(got) - 1]):
        return group, "passed on as sent", note
    return group, "refused though right", f"{note} {received[:200]!r}"


def is_ours(message: strict_http.Message) -> bool:
    """Whether its route is the one that there is. Another host gets a response of the proxy's own."""
    target = re.match(rb"https?://([^/?]*)", message.start[1])
    host = target[1] if target else message.values(b"host")[0]
    # Routes are by the whole name first, and then by what stands before the tunnel's domain.
    return host.lower().partition(b":")[0].removesuffix(b".") in (HOST.encode(), b"echo")


def closes(message: strict_http.Message) -> bool:
    """Whether nothing after this request is looked at."""
    options = b",".join(message.values(b"connection")).lower()
    return b"close" in options or message.start[2] == b"0" and b"keep-alive" not in options


def difference(got: strict_http.Message, sent: strict_http.Message) -> str | None:
    target = re.sub(rb"\Ahttps?://[^/?]*", b"", sent.start[1])
    target = target if target.startswith(b"/") or target == b"*" else b"/" + target
    if (got.start[0], got.start[1]) != (sent.start[0], target):
        return f"{got.start} for {sent.start}"
    if got.body != sent.body:
        return f"body {got.body[:100]!r} for {sent.body[:100]!r}"
    named = {name.strip().lower() for value in sent.values(b"connection") for name in value.split(b",")}
    left = Counter(got.fields)
    left.subtract(sent.fields)
    for (name, value), count in left.items():
        if count and name not in HOP and name not in named:
            return f"field {name!r}: {value!r} {count:+}"
    return None


SUITES = [(SUITE, run)]
