"""HTTP/1.1 as RFC 9112 has it and no wider: the origin of the smuggling suite, and the judge of what was sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Nobody has a use for more, and a recipient should bound it (RFC 9112 §7.1.1).
MAX_EXTENSION = 4_096
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
START = re.compile(rb"(" + TOKEN + rb") (\S+) HTTP/1\.([01])\Z")
STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*\Z")
BARE_STATUS = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2}\Z")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*\Z")
QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
CHUNK = re.compile(
    rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[ \t]*" + TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + TOKEN + rb"|" + QUOTED + rb"))?)*)\Z")
TARGET = re.compile(rb"(?:/[\x21\x22\x24-\x7e]*|https?://[A-Za-z0-9.:-]+(?:[/?][\x21\x22\x24-\x7e]*)?|\*)\Z")
OPTIONS = re.compile(rb"[ \t]*(?:" + TOKEN + rb")?(?:[ \t]*,[ \t]*(?:" + TOKEN + rb")?)*[ \t]*\Z")
HOST = re.compile(rb"[A-Za-z0-9._-]+(?::[0-9]{1,5})?\Z")


class Invalid(Exception):
    """A rule is broken: no reader has to take this."""


class Incomplete(Exception):
    """More is to come."""


@dataclass
class Message:
    start: tuple[bytes, ...]
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


class Reader:
    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def line(self) -> bytes:
        end = self.data.find(b"\r\n", self.at)
        if end < 0:
            # What can become no line any more is wrong already.
            rest = self.data[self.at:]
            if re.search(rb"\n|\r(?!\Z)|\0", rest):
                raise Invalid("a line that does not end with CRLF")
            raise Incomplete
        line = self.data[self.at:end]
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise Invalid("CR, LF or NUL in a line")
        self.at = end + 2
        return line

    def take(self, count: int) -> bytes:
        if len(self.data) - self.at < count:
            raise Incomplete
        self.at += count
        return self.data[self.at - count:self.at]

    def fields(self) -> list[tuple[bytes, bytes]]:
        found = []
        while line := self.line():
            match = FIELD.match(line)
            if not match:
                raise Invalid("a field")
            found.append((match[1].lower(), match[2]))
        return found

    def chunks(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        body = b""
        while True:
            match = CHUNK.match(line := self.line())
            if not match:
                raise Invalid("the size of a chunk")
            if len(line) > MAX_EXTENSION:
                raise Invalid("an extension beyond all measure")
            if not (size := int(match[1], 16)):
                return body, self.fields()
            if size >= 1 << 63:
                raise Invalid("a chunk beyond all measure")
            body += self.take(size)
            # As soon as it can be told.
            end = self.data[self.at:self.at + 2]
            if not b"\r\n".startswith(end):
                raise Invalid("data longer than its chunk")
            self.take(2)


def framing(message: Message, minor: int) -> int | None:
    """Bytes of the body, None for chunks."""
    if not all(OPTIONS.match(value) for value in message.values(b"connection")):
        raise Invalid("Connection")
    lengths, codings = message.values(b"content-length"), message.values(b"transfer-encoding")
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked" or minor == 0:
            raise Invalid("Transfer-Encoding")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise Invalid("Content-Length")
    return int(lengths[0])


def response(data: bytes, *, has_ended: bool, bare_status: bool = False) -> Message:
    """The final response to a GET at the front of `data`; what is behind it is not looked at.

    `has_ended`: nothing more comes, which ends a body that has no other end.
    `bare_status`: a status line may end behind the number. No sender may do so, and a recipient may take any line that is the
    same but for whitespace at its end (RFC 9112 §4).
    """
    reader = Reader(data)
    while True:
        line = reader.line()
        match = STATUS.match(line + b" " if bare_status and BARE_STATUS.match(line) else line)
        if not match or match[1] == b"101":
            raise Invalid("the status line")
        message = Message((match[1],), reader.fields())
        if match[1][:1] != b"1":
            break
    # A length of nothing says the same once more, and many servers do.
    if match[1] == b"204" and (re.search(rb"[^0]", b"".join(message.values(b"content-length"))) or message.values(b"transfer-encoding")):
        raise Invalid("a length where there is no body")
    if match[1] in (b"204", b"304"):
        framing(message, 1)
        return message
    if not message.values(b"content-length") and not message.values(b"transfer-encoding"):
        if not has_ended:
            raise Incomplete
        message.body = reader.take(len(data) - reader.at)
        return message
    size = framing(message, 1 if data.startswith(b"HTTP/1.1") else 0)
    if size is None:
        message.body, message.trailers = reader.chunks()
    else:
        message.body = reader.take(size)
    return message


def request(reader: Reader) -> Message:
    match = START.match(reader.line())
    if not match or not TARGET.match(match[2]) or (match[2] == b"*") != (match[1] == b"OPTIONS" and match[2] == b"*"):
        raise Invalid("the request line")
    message = Message((match[1], match[2], match[3]), reader.fields())
    hosts = message.values(b"host")
    if len(hosts) != 1 or not HOST.match(hosts[0]):
        raise Invalid("Host")
    authority = re.match(rb"https?://([^/?]*)", match[2])
    # A proxy may take the target's word. Whoever reads on behind it may take the other.
    if authority and authority[1].lower() != hosts[0].lower():
        raise Invalid("Host and target")
    size = framing(message, int(match[3]))
    if size is None:
        message.body, message.trailers = reader.chunks()
    else:
        message.body = reader.take(size)
    return message


def requests(data: bytes, *, empty_lines: bool = False) -> tuple[list[Message], str]:
    """Those at the front that are whole and right, and what comes behind them: nothing, `incomplete` or what is wrong.

    A server should skip an empty line before a request (RFC 9112 §2.2), and no client may send one.
    """
    reader, found = Reader(data), []
    while reader.at < len(data):
        try:
            if empty_lines and data.startswith(b"\r\n", reader.at):
                reader.at += 2
            found.append(request(reader))
        except Incomplete:
            return found, "incomplete"
        except Invalid as error:
            return found, str(error)
    return found, ""
