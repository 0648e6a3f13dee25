"""HTTP/2: what RFC 9113 and 7541 say a server does with what a client may not send, section by section, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from context import Context, pinned
from lab import HOST, Files, running
from peers.blocking import Ended
from peers.http2_frames import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HAS_PRIORITY, HEADERS, MAX_WINDOW, PADDED, PING, PREFACE, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, Frames, block, frame, literal, request, reset, settings, window_update,
)
from hyperframe.frame import GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame
from record import Case, Suite
from smuggling_suite import Origin

SUITE = Suite(
    "http2", "HTTP/2, by section",
    """
A client that writes its frames one by one (with `hyperframe`) talks to `mcp-proxy` inside the tunnel, and does each thing that RFC 9113 or
RFC 7541 has a rule about; `7541` stands before the sections of the second. What counts is the error, its code, and whether it ends
the stream or the connection; an error of a stream may be one of the connection (RFC 9113 §5.4.1), and a malformed request may
get a response with 400 (§8.1.1). `make http2-test` holds HPACK and whole sessions against `hpack` and `h2` besides, `make attack-test` floods.
""",
    {"as the RFC says": 0, "differs": 5}, tools=pinned("hyperframe"))

NAMES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM",
         "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"]
PROTOCOL, FLOW, CLOSED, SIZE, COMPRESSION = "PROTOCOL_ERROR", "FLOW_CONTROL_ERROR", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "COMPRESSION_ERROR"

GET = request(HOST)


def get(stream: int = 1, fields: bytes = GET, flags: int = END_HEADERS | END_STREAM) -> bytes:
    return frame(HEADERS, stream, fields, flags)


def post(stream: int = 1, *fields: tuple[str | bytes, str | bytes]) -> bytes:
    """A request whose body is to come."""
    return frame(HEADERS, stream, request(HOST, *fields, method="POST"), END_HEADERS)


def having(*fields: tuple[str | bytes, str | bytes]) -> bytes:
    return get(fields=GET + block(*fields))


def pseudo(*fields: tuple[str, str]) -> bytes:
    return get(fields=block(*fields))


def dies(*codes: str) -> set[str]:
    return {f"connection {code}" for code in codes}


def fails(*codes: str) -> set[str]:
    return {f"stream {code}" for code in codes} | dies(*codes)


MALFORMED = fails(PROTOCOL) | {"status 400"}
LIVES, ANSWERS = {"lives"}, {"status 200"}

#: Section, what is done, its bytes, and what may come of it.
ROWS: list[tuple[str, str, bytes, set[str]]] = [
    ("4.1", "an unknown type is ignored", frame(0x42, 0, b"what") + frame(0x42, 1, b"is"), LIVES),
    ("4.1", "unknown flags are ignored", frame(PING, 0, b"12345678", 0x16), LIVES),
    ("4.1", "the reserved bit of a stream is ignored", get().replace(b"\0\0\0\1", b"\x80\0\0\1", 1), ANSWERS),
    ("4.2", "DATA longer than the limit", post() + frame(DATA, 1, bytes(16_385)), fails(SIZE)),
    ("4.2", "HEADERS longer than the limit", frame(HEADERS, 1, bytes(16_385), END_HEADERS | END_STREAM), dies(SIZE)),
    ("4.2", "SETTINGS longer than the limit", frame(SETTINGS, 0, bytes(16_386)), dies(SIZE)),
    ("4.3", "a block that is no HPACK", get(fields=b"\x80"), dies(COMPRESSION)),
    ("4.3", "PRIORITY within a block", get(flags=END_STREAM) + frame(PRIORITY, 1, bytes(5)), dies(PROTOCOL)),
    ("4.3", "another stream's HEADERS within a block", get(flags=END_STREAM) + get(3), dies(PROTOCOL)),
    ("4.3", "an unknown frame within a block", get(flags=END_STREAM) + frame(0x42, 1), dies(PROTOCOL)),
    ("5.1", "DATA on an idle stream", frame(DATA, 1, b"x"), dies(PROTOCOL)),
    ("5.1", "RST_STREAM on an idle stream", reset(1), dies(PROTOCOL)),
    ("5.1", "WINDOW_UPDATE on an idle stream", window_update(1, 1), dies(PROTOCOL)),
    ("5.1", "CONTINUATION on an idle stream", frame(CONTINUATION, 1, GET, END_HEADERS), dies(PROTOCOL)),
    ("5.1", "PRIORITY on an idle stream", frame(PRIORITY, 1, b"\0\0\0\0\1"), LIVES),
    ("5.1", "DATA on a stream that the client has ended", get() + frame(DATA, 1, b"x"), fails(CLOSED)),
    ("5.1", "HEADERS on a stream that the client has ended", get() + get(), fails(CLOSED)),
    ("5.1", "CONTINUATION on a stream that the client has ended", get() + frame(CONTINUATION, 1, GET, END_HEADERS), fails(CLOSED, PROTOCOL)),
    ("5.1", "DATA on a stream that the client has reset", post() + reset(1) + frame(DATA, 1, b"x"), fails(CLOSED)),
    ("5.1", "HEADERS on a stream that the client has reset", post() + reset(1) + get(), fails(CLOSED)),
    ("5.1", "WINDOW_UPDATE on a stream that the client has ended", get() + window_update(1, 1), ANSWERS),
    ("5.1", "RST_STREAM twice", post() + reset(1) + reset(1), LIVES),
    ("5.1.1", "a stream of the server's numbers", get(2), dies(PROTOCOL)),
    ("5.1.1", "a lower number than before", get(5) + get(3), dies(PROTOCOL, CLOSED)),
    ("5.1.1", "numbers are left out", get(1), ANSWERS),
    ("5.3.1", "a stream that depends on itself, in HEADERS", frame(HEADERS, 1, b"\0\0\0\1\x10" + GET, END_HEADERS | END_STREAM | HAS_PRIORITY), ANSWERS | fails(PROTOCOL)),
    ("5.3.1", "a stream that depends on itself, in PRIORITY", frame(PRIORITY, 1, b"\0\0\0\1\x10"), LIVES | fails(PROTOCOL)),
    ("6.1", "DATA on stream 0", frame(DATA, 0, b"x"), dies(PROTOCOL)),
    ("6.1", "DATA with more padding than there is", post() + frame(DATA, 1, b"\5ab", PADDED), dies(PROTOCOL)),
    ("6.1", "DATA with padding of its whole length", post() + frame(DATA, 1, b"\3ab\0", PADDED), LIVES | dies(PROTOCOL)),
    ("6.1", "padded DATA that is empty", post() + frame(DATA, 1, b"", PADDED), dies(SIZE, PROTOCOL)),
    ("6.2", "HEADERS on stream 0", get(0), dies(PROTOCOL)),
    ("6.2", "HEADERS with more padding than there is", frame(HEADERS, 1, b"\xff" + GET, END_HEADERS | END_STREAM | PADDED), dies(PROTOCOL)),
    ("6.2", "HEADERS with padding", frame(HEADERS, 1, b"\4" + GET + bytes(4), END_HEADERS | END_STREAM | PADDED), ANSWERS),
    ("6.2", "HEADERS with a priority", frame(HEADERS, 1, b"\0\0\0\0\x10" + GET, END_HEADERS | END_STREAM | HAS_PRIORITY), ANSWERS),
    ("6.2", "HEADERS too short for a priority", frame(HEADERS, 1, b"\0\0", END_HEADERS | END_STREAM | HAS_PRIORITY), dies(SIZE, PROTOCOL)),
    ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, bytes(5)), dies(PROTOCOL)),
    ("6.3", "PRIORITY of four bytes", get() + frame(PRIORITY, 1, bytes(4)), fails(SIZE)),
    ("6.4", "RST_STREAM on stream 0", reset(0), dies(PROTOCOL)),
    ("6.4", "RST_STREAM of three bytes", post() + frame(RST_STREAM, 1, bytes(3)), dies(SIZE)),
    ("6.4", "RST_STREAM of five bytes", post() + frame(RST_STREAM, 1, bytes(5)), dies(SIZE)),
    ("6.5", "SETTINGS that acknowledge and say something", frame(SETTINGS, 0, bytes(6), ACK), dies(SIZE)),
    ("6.5", "SETTINGS on a stream", frame(SETTINGS, 1), dies(PROTOCOL)),
    ("6.5", "SETTINGS of five bytes", frame(SETTINGS, 0, bytes(5)), dies(SIZE)),
    ("6.5.2", "ENABLE_PUSH of 2", settings((2, 2)), dies(PROTOCOL)),
    ("6.5.2", "INITIAL_WINDOW_SIZE above the most", settings((4, MAX_WINDOW + 1)), dies(FLOW)),
    ("6.5.2", "INITIAL_WINDOW_SIZE of the most", settings((4, MAX_WINDOW)), LIVES),
    ("6.5.2", "MAX_FRAME_SIZE below the least", settings((5, 16_383)), dies(PROTOCOL)),
    ("6.5.2", "MAX_FRAME_SIZE above the most", settings((5, 1 << 24)), dies(PROTOCOL)),
    ("6.5.2", "ENABLE_CONNECT_PROTOCOL of 2", settings((8, 2)), LIVES | dies(PROTOCOL)),
    ("6.5.2", "an unknown setting", settings((0x99, 1)), LIVES),
    ("6.6", "PUSH_PROMISE of a client", get() + frame(PUSH_PROMISE, 1, b"\0\0\0\2" + GET, END_HEADERS), dies(PROTOCOL)),
    ("6.7", "PING on a stream", frame(PING, 1, bytes(8)), dies(PROTOCOL)),
    ("6.7", "PING of six bytes", frame(PING, 0, bytes(6)), dies(SIZE)),
    ("6.7", "PING that acknowledges nothing", frame(PING, 0, bytes(8), ACK), LIVES),
    ("6.8", "GOAWAY on a stream", frame(GOAWAY, 1, bytes(8)), dies(PROTOCOL)),
    ("6.8", "GOAWAY of seven bytes", frame(GOAWAY, 0, bytes(7)), dies(SIZE)),
    ("6.9", "WINDOW_UPDATE of nothing, connection", window_update(0, 0), dies(PROTOCOL)),
    ("6.9", "WINDOW_UPDATE of nothing, stream", post() + window_update(1, 0), fails(PROTOCOL)),
    ("6.9", "WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, bytes(3)), dies(SIZE)),
    ("6.9.1", "more than the most, connection", window_update(0, MAX_WINDOW), dies(FLOW)),
    ("6.9.1", "more than the most, stream", post() + window_update(1, MAX_WINDOW), fails(FLOW)),
    ("6.9.2", "a window that settings make too large", post() + window_update(1, 1 << 20) + settings((4, MAX_WINDOW)), dies(FLOW)),
    ("6.10", "CONTINUATION behind a whole block", get() + frame(CONTINUATION, 1, b"", END_HEADERS), fails(CLOSED, PROTOCOL)),
    ("6.10", "CONTINUATION on stream 0", get(flags=END_STREAM) + frame(CONTINUATION, 0, b"", END_HEADERS), dies(PROTOCOL)),
    ("6.10", "CONTINUATION behind DATA", post() + frame(DATA, 1, b"x") + frame(CONTINUATION, 1, b"", END_HEADERS), dies(PROTOCOL)),
    ("6.10", "a block in three parts", get(fields=GET[:5], flags=END_STREAM) + frame(CONTINUATION, 1, GET[5:9]) + frame(CONTINUATION, 1, GET[9:], END_HEADERS), ANSWERS),
    ("8.1", "trailers that do not end the stream", post() + get(fields=block(("x", "y")), flags=END_HEADERS), MALFORMED),
    ("8.1", "trailers", post() + frame(DATA, 1, b"x") + get(fields=block(("x", "y"))), ANSWERS),
    ("8.1.1", "a body longer than it says", post(1, ("content-length", "1")) + frame(DATA, 1, b"ab", END_STREAM), MALFORMED),
    ("8.1.1", "a body shorter than it says", post(1, ("content-length", "3")) + frame(DATA, 1, b"ab", END_STREAM), MALFORMED),
    ("8.1.1", "a body in two parts as long as it says", post(1, ("content-length", "2")) + frame(DATA, 1, b"a") + frame(DATA, 1, b"b", END_STREAM), ANSWERS),
    ("8.2", "a name in capitals", having(("X-A", "b")), MALFORMED),
    ("8.2.1", "a name with a space", having(("x a", "b")), MALFORMED),
    ("8.2.1", "a name with a colon", having(("x:a", "b")), MALFORMED),
    ("8.2.1", "an empty name", having(("", "b")), MALFORMED),
    ("8.2.1", "a value with LF", having(("x", "a\nb")), MALFORMED),
    ("8.2.1", "a value with CR", having(("x", "a\rb")), MALFORMED),
    ("8.2.1", "a value with NUL", having(("x", "a\0b")), MALFORMED),
    ("8.2.1", "a value that begins with a space", having(("x", " a")), MALFORMED),
    ("8.2.1", "a value that ends with a tab", having(("x", "a\t")), MALFORMED),
    ("8.2.2", "connection", having(("connection", "close")), MALFORMED),
    ("8.2.2", "keep-alive", having(("keep-alive", "timeout=5")), MALFORMED),
    ("8.2.2", "proxy-connection", having(("proxy-connection", "close")), MALFORMED),
    ("8.2.2", "transfer-encoding", having(("transfer-encoding", "chunked")), MALFORMED),
    ("8.2.2", "upgrade", having(("upgrade", "h2c")), MALFORMED),
    ("8.2.2", "te of gzip", having(("te", "gzip")), MALFORMED),
    ("8.2.2", "te of trailers", having(("te", "trailers")), ANSWERS),
    ("8.2.3", "cookies in parts", having(("cookie", "a=b"), ("cookie", "c=d")), ANSWERS),
    ("8.3", "an unknown pseudo-field", having((":what", "x")), MALFORMED),
    ("8.3", "a response's pseudo-field", having((":status", "200")), MALFORMED),
    ("8.3", "a pseudo-field among the others", pseudo((":method", "GET"), (":scheme", "https"), ("x", "y"), (":authority", HOST), (":path", "/")), MALFORMED),
    ("8.3", "a pseudo-field in trailers", post() + get(fields=block((":path", "/"))), MALFORMED),
    ("8.3.1", "a pseudo-field twice", having((":path", "/b")), MALFORMED),
    ("8.3.1", "no method", pseudo((":scheme", "https"), (":authority", HOST), (":path", "/")), MALFORMED),
    ("8.3.1", "no scheme", pseudo((":method", "GET"), (":authority", HOST), (":path", "/")), MALFORMED),
    ("8.3.1", "no path", pseudo((":method", "GET"), (":scheme", "https"), (":authority", HOST)), MALFORMED),
    ("8.3.1", "an empty path", pseudo((":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "")), MALFORMED),
    ("8.3.1", "authority and another host", having(("host", "other.t.example")), MALFORMED),
    ("8.3.1", "authority and the same host", having(("host", HOST)), ANSWERS | MALFORMED),
    ("8.5", "CONNECT with a path", pseudo((":method", "CONNECT"), (":scheme", "https"), (":authority", HOST), (":path", "/")), MALFORMED | {"status 405", "status 501"}),
    ("7541 2.3.3", "an index beyond both tables", get(fields=b"\xff\x80\x01"), dies(COMPRESSION)),
    ("7541 4.2", "a table size above the limit", get(fields=b"\x3f\xff\xff\x03" + GET), dies(COMPRESSION)),
    ("7541 4.2", "a table size behind a field", get(fields=GET + b"\x20"), dies(COMPRESSION)),
    ("7541 5.1", "an integer without end", get(fields=GET + b"\x7f" + b"\xff" * 12 + b"\1"), dies(COMPRESSION)),
    ("7541 5.2", "Huffman padding of more than seven bits", get(fields=GET + b"\0\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), dies(COMPRESSION)),
    ("7541 5.2", "Huffman padding with zeros", get(fields=GET + b"\0\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"), dies(COMPRESSION)),
    ("7541 5.2", "Huffman with the end of string", get(fields=GET + b"\0\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\x7f\xff\xff\xff\xff"), dies(COMPRESSION)),
    ("7541 5.2", "a string longer than its block", get(fields=GET + b"\0\x01a\x7f\x10"), dies(COMPRESSION)),
    ("7541 6.1", "index 0", get(fields=b"\x80" + GET), dies(COMPRESSION)),
    ("7541 6.2.1", "a field that enters the table, and its use", get(fields=GET + b"\x40" + literal("x-a", "b")[1:] + b"\xbe"), ANSWERS),
]
#: Instead of the preface and the settings.
PREFACES: list[tuple[str, str, bytes, set[str]]] = [
    ("3.4", "a preface that is none", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", dies(PROTOCOL) | {"ends"}),
    ("3.4", "another request in the preface's place", b"GET / HTTP/1.1\r\nHost: echo.t.example\r\n\r\n", dies(PROTOCOL) | {"ends"}),
    ("3.4", "PING before the settings", PREFACE + frame(PING, payload=bytes(8)), dies(PROTOCOL) | {"ends"}),
    ("3.4", "settings that are empty", PREFACE + settings(), LIVES),
]


def outcome(frames: Frames, wants_response: bool) -> str:
    """What comes first of an error, a reset and a response; the connection lives when a PING is answered before any of them."""
    with suppress(OSError, Ended):
        frames.send(frame(PING, payload=b"settled!"))
    while True:
        found = frames.read(8)
        if found is None:
            return "ends" if frames.ended is not None else "nothing"
        if isinstance(found, GoAwayFrame) and found.error_code:
            return f"connection {NAMES[found.error_code]}"
        if isinstance(found, RstStreamFrame) and found.error_code:
            return f"stream {NAMES[found.error_code]}"
        if isinstance(found, HeadersFrame):
            import hpack

            fields = dict(hpack.Decoder().decode(found.data))
            if not wants_response:
                # The response of a request that was right may overtake the error of what followed.
                continue
            return f"status {fields[':status']}"
        if isinstance(found, PingFrame) and found.opaque_data == b"settled!" and not wants_response:
            return "lives"


def run(context: Context) -> Iterable[Case]:
    folder, origin = context.folder("http2"), Origin()
    with running(folder, Files(folder), origin.url) as proxy:
        for section, what, data, allowed in PREFACES:
            with Frames.to(proxy, preface=data, timeout=10) as frames:
                yield judged(section, what, outcome(frames, False), allowed)
        for section, what, data, allowed in ROWS:
            with Frames.to(proxy, timeout=10) as frames:
                frames.begin()
                frames.send(data)
                yield judged(section, what, outcome(frames, any("status" in each for each in allowed)), allowed)
    origin.socket.close()


def judged(section: str, what: str, found: str, allowed: set[str]) -> Case:
    chapter = section if section.startswith("7541") else section.split(".")[0]
    group = {"3": "3 starting", "4": "4 frames", "5": "5 streams", "6": "6 frame types", "8": "8 requests"}.get(chapter, "HPACK")
    return Case(f"{section} {what}", group, "as the RFC says" if found in allowed else "differs", True, f"{found}, not {' or '.join(sorted(allowed))}")


SUITES = [(SUITE, run)]
