"""Requests that are nearly right: written by a grammar, then damaged in places where two readers could part."""

from __future__ import annotations

import random

HOST = b"echo.t.example"
Token = tuple[str, bytes]

FRAMING_VALUES = [
    b"0", b"1", b"5", b"6", b"05", b"+5", b"-5", b"5.", b"5 ", b"0x5", b"5,5", b"5, 6", b"", b"4294967301", b"18446744073709551621",
    b"5\x0b", b"5\x00", b"\xb5", b"5;", b'"5"', b"1e1", b"chunked", b"Chunked", b"CHUNKED", b"chunked,", b",chunked", b"chunked, chunked",
    b"gzip, chunked", b"chunked, identity", b"identity", b"xchunked", b"chunked;q=1", b'"chunked"', b"chunked\x0b", b"\x0bchunked",
    b"chunked\x00", b"chu nked", b"chunke", b"trailers",
]
FRAMING_NAMES = [
    b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"Content-Length ", b" Content-Length", b"Content_Length", b"Content-Length\t",
    b"Content-Length\x00", b"Content Length", b"\x0bContent-Length", b"Content-Lengt\x68", b"Transfer-Encoding", b"transfer-encoding",
    b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer_Encoding", b"Transfer-Encoding\t", b"\x00Transfer-Encoding",
    b"X-Transfer-Encoding", b"Transfer-Encodin\xc4\xa1", b"TE", b"Trailer", b"Connection", b"Host", b"Expect", b"Upgrade",
]
PIECES: dict[str, list[bytes]] = {
    "method": [b"get", b"G ET", b"GE\tT", b"POST\x0b", b"", b"HEAD", b"TRACE", b"PRI", b"\xc3\x84", b"M" * 300, b"GET /x HTTP/1.1\r\nGET",
               b"OPTIONS", b"DELETE", b"\r\nGET", b"\nGET", b" GET", b"\x00GET", b"P{ST"],
    "space": [b"  ", b"\t", b"", b"\x0b", b"\x0c", b"\xa0", b"\r", b" \t", b"\x00", b"\x85", b" /smuggled "],
    "target": [b"/", b"*", b"/ /", b"/a\x00b", b"/a\x7f", b"/\xff", b"//other/x", b"/%00", b"/%zz", b"/../..", b"/a#b", b"a", b"?q", b"",
               b"http://echo.t.example/x", b"http://other.t.example/x", b"http://echo.t.example", b"https://echo.t.example/y?z", b"http:///x",
               b"http://u@echo.t.example/", b"http://echo.t.example:80/", b"ftp://echo.t.example/", b"/a\\b", b"/a\tb", b"/" + b"p" * 5000],
    "version": [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 ", b"HTTP/1,1", b"HTTP/01.1", b"HTTP/1.11", b"",
                b"HTTP/1", b"HTP/1.1", b"HTTP /1.1", b"HTTP/1.1\x0b", b"HTTP/\xb9.1", b"XHTTP/1.1"],
    "end": [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b" \r\n", b"\r\n ", b"\r\n\t", b"\x00\r\n", b"\x0b\r\n", b"\x85", b"", b"\n\n", b"\xe2\x80\xa8",
            b"\r\n\n", b"\r\x0b\n"],
    "name": FRAMING_NAMES + [b"", b"X-\x00", b"X(", b"X@Y", b"X\xe4", b":", b"X-A:B", b"x" * 300],
    "colon": [b" :", b"::", b"", b"\t:", b";", b"=", b"\x00:", b":\r\n ", b"\xef\xbc\x9a", b":\x0b"],
    "value": FRAMING_VALUES + [b"\x7f", b"\x01", b"a\x00b", b"a\rb", b"a\nb", b"a\r\n b", b"\xff\xfe", b"v" * 3000, b"other.t.example", b"close",
                               b"keep-alive", b"echo.t.example, other.t.example", b"echo.t.example:80", b"echo.t.example.", b"ECHO.T.EXAMPLE",
                               b"100-continue", b"h2c", b"content-length", b"close, host"],
    "size": [b"", b"0", b"00", b"5 ", b" 5", b"+5", b"-1", b"0x5", b"5_", b"g", b"ffffffffffffffff1", b"10000000000000005", b"4", b"6", b"A", b"5\t",
             b"5\x0b", b"5\x00", b"05", b"000000000000000000005", b"5.0"],
    "extension": [b";a", b";a=b", b';a="b"', b';a="\n"', b";a\rb", b";a\x00", b";;", b"; a = b", b";\xff", b';a="b', b" ", b"\t;a", b";" + b"e" * 5000,
                  b";a=\r\n", b"\n", b"=1"],
    "status": [b"20", b"2000", b"+200", b"0200", b"2xx", b"", b"101", b"199", b"099", b"999", b"200\t", b"200 OK\r\nX: y", b"204", b"304", b"100", b"\xb2\xb0\xb0"],
    "reason": [b"", b"\xff", b"a\rb", b"a\nb", b"a\x00b", b"r" * 5000, b"\t"],
    "data": [b"", b"hell", b"hello!", b"hello\r\n", b"\r\n", b"0\r\n\r\n", b"GET /smuggled HTTP/1.1\r\nHost: echo.t.example\r\n\r\n", b"\x00" * 5],
}
ANYWHERE = [b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b"\x0b", b"\xff", b":", b"0\r\n\r\n", b"\r\n\r\n", b"GET /smuggled HTTP/1.1\r\n",
            b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"\r\nX: y", b"a"]


def head(method: bytes, target: bytes, *lines: tuple[bytes, bytes]) -> list[Token]:
    tokens = [("method", method), ("space", b" "), ("target", target), ("space", b" "), ("version", b"HTTP/1.1"), ("end", b"\r\n")]
    for name, value in ((b"Host", HOST), *lines):
        tokens += [("name", name), ("colon", b":"), ("gap", b" "), ("value", value), ("end", b"\r\n")]
    return [*tokens, ("end", b"\r\n")]


def chunked(*parts: bytes) -> list[Token]:
    tokens: list[Token] = []
    for part in parts:
        tokens += [("size", b"%x" % len(part)), ("extension", b""), ("end", b"\r\n"), ("data", part), ("end", b"\r\n")]
    return [*tokens, ("size", b"0"), ("extension", b""), ("end", b"\r\n")]


def message(rng: random.Random) -> list[Token]:
    extra = rng.choice([[], [(b"X-A", b"1")], [(b"Accept", b"*/*"), (b"X-B", b"b c")], [(b"Connection", b"keep-alive")], [(b"Cookie", b"a=b")]])
    match rng.randrange(6):
        case 0:
            return head(b"GET", b"/a?b=c", *extra)
        case 1:
            return head(rng.choice([b"POST", b"PUT", b"GET"]), b"/post", *extra, (b"Content-Length", b"5")) + [("data", b"hello")]
        case 2:
            return (head(b"POST", b"/chunks", (b"Transfer-Encoding", b"chunked"), *extra) + chunked(b"hello", b"0123456789abcdef")
                    + [("end", b"\r\n")])
        case 3:
            trailer = [("name", b"X-T"), ("colon", b":"), ("gap", b" "), ("value", b"t"), ("end", b"\r\n"), ("end", b"\r\n")]
            return head(b"POST", b"/trailers", *extra, (b"Transfer-Encoding", b"chunked")) + chunked(b"hello") + trailer
        case 4:
            return head(b"POST", b"/none", (b"Content-Length", b"0"), *extra)
        case _:
            return message(rng) + message(rng) if rng.random() < 0.5 else head(b"DELETE", b"/d", *extra)


def answer(rng: random.Random) -> list[Token]:
    """A response, by the same grammar."""
    status = rng.choice([b"200", b"200", b"404", b"500", b"201", b"204", b"304"])
    start: list[Token] = [("version", b"HTTP/1.1"), ("space", b" "), ("status", status), ("space", b" "), ("reason", b"Fine"), ("end", b"\r\n")]
    extra = rng.choice([[], [(b"X-A", b"1")], [(b"Content-Type", b"text/plain")], [(b"Connection", b"keep-alive")], [(b"Connection", b"close")]])
    kind = rng.randrange(5)
    framing = [[(b"Content-Length", b"5")], [(b"Transfer-Encoding", b"chunked")], [(b"Content-Length", b"0")], [], [(b"Content-Length", b"5")]][kind]
    tokens = start
    for name, value in (*framing, *extra):
        tokens = [*tokens, ("name", name), ("colon", b":"), ("gap", b" "), ("value", value), ("end", b"\r\n")]
    tokens = [*tokens, ("end", b"\r\n")]
    if status in (b"204", b"304"):
        return tokens
    if kind == 1:
        return tokens + chunked(b"hello", b"0123456789abcdef") + [("end", b"\r\n")]
    if kind == 4:
        interim: list[Token] = [("version", b"HTTP/1.1"), ("space", b" "), ("status", rng.choice([b"100", b"103"])), ("space", b" "), ("reason", b"Wait"),
                                ("end", b"\r\n"), ("end", b"\r\n")]
        return interim + tokens + [("data", b"hello")]
    return tokens + ([("data", b"hello")] if kind != 2 else [])


def damaged(rng: random.Random, tokens: list[Token]) -> bytes:
    tokens = list(tokens)
    for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 2, 3])):
        at = rng.randrange(len(tokens))
        kind, text = tokens[at]
        choice = rng.random()
        if choice < 0.5 and kind in PIECES:
            tokens[at] = kind, rng.choice(PIECES[kind])
        elif choice < 0.7:
            # A line that says something about framing, or seems to.
            name, colon, value = rng.choice(FRAMING_NAMES), rng.choice([b": ", b": ", b":", b" : "]), rng.choice(FRAMING_VALUES)
            places = [index + 1 for index, (kind, _) in enumerate(tokens) if kind == "end"]
            tokens.insert(rng.choice(places), ("line", name + colon + value + rng.choice([b"\r\n", b"\r\n", b"\n"])))
        elif choice < 0.78:
            tokens.insert(at, tokens[at])
        elif choice < 0.85:
            del tokens[at]
            if not tokens:
                return b""
        elif choice < 0.9:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        else:
            place = rng.randint(0, len(text))
            tokens[at] = kind, text[:place] + rng.choice(ANYWHERE) + text[place:]
    return b"".join(text for _, text in tokens)
