"""A collector of traces: takes OTLP over HTTP in JSON, reads it with OpenTelemetry's own definitions, and forgives nothing."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .scripted import Peer, Scripted


@dataclass(frozen=True)
class Call:
    """One request of the exporter."""

    head: str
    request: ExportTraceServiceRequest

    def header(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    @property
    def resource(self) -> dict[str, object]:
        [group] = self.request.resource_spans
        return values(group.resource.attributes)

    @property
    def spans(self) -> list[Span]:
        [group] = self.request.resource_spans
        [scope] = group.scope_spans
        assert scope.scope.name == "mcp-proxy" and scope.scope.version
        return list(scope.spans)


def values(attributes) -> dict[str, object]:
    """Attributes as a mapping; none may be there twice."""
    found = {}
    for item in attributes:
        assert item.key not in found, f"{item.key} is there twice"
        found[item.key] = getattr(item.value, item.value.WhichOneof("value"))
    return found


def parse(body: bytes) -> ExportTraceServiceRequest:
    """OTLP's JSON is protobuf's, but for the ids, which are hexadecimal (OTLP 1.x, JSON Protobuf Encoding)."""
    document = json.loads(body)
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                for name, size in (("traceId", 32), ("spanId", 16), ("parentSpanId", 16)):
                    if (text := span.get(name)) is not None:
                        assert len(text) == size and text == text.lower() and int(text, 16) > 0, f"{name}: {text}"
                        span[name] = base64.b64encode(bytes.fromhex(text)).decode()
                assert isinstance(span["startTimeUnixNano"], str) and isinstance(span["kind"], int)
    # An unknown field is an error here.
    return json_format.ParseDict(document, ExportTraceServiceRequest())


#: What to say to a call: status line and further lines; or anything that is done with the connection.
Answer = tuple[str, tuple[str, ...]]
OK: Answer = ("200 OK", ())


class Collector:
    """Answers with what `script` gives, one for each call, and with 200 from then on."""

    def __init__(self, *script: Answer | Callable[[Peer], bool], tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self._script: Iterator[Answer | Callable[[Peer], bool]] = iter(script)
        self._changed = threading.Condition()
        self.server = Scripted(self._serve, tls=tls)
        self.url = self.server.url

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.server.__exit__()
        if kind is None:
            for result in self.server.results:
                # What a proxy that ends does to a connection is no failure of this test.
                if isinstance(result, BaseException) and not isinstance(result, OSError):
                    raise result

    def _serve(self, peer: Peer) -> None:
        while received := peer.request():
            head, body = received
            assert head.split("\r\n")[0].startswith("POST /") and "application/json" in head
            call = Call(head, parse(body))
            with self._changed:
                self.calls.append(call)
                answer = next(self._script, OK)
                self._changed.notify_all()
            if callable(answer):
                if not answer(peer):
                    return
                continue
            status, lines = answer
            peer.respond(b'{"partialSuccess":{}}', "Content-Type: application/json", *lines, status=status)

    @property
    def spans(self) -> list[Span]:
        with self._changed:
            return [span for call in self.calls for span in call.spans]

    def wait(self, calls: int = 1, spans: int = 0, seconds: float = 20) -> list[Call]:
        """Until so many calls have come, and so many spans in all of them."""
        def is_there() -> bool:
            return len(self.calls) >= calls and sum(len(call.spans) for call in self.calls) >= spans

        with self._changed:
            assert self._changed.wait_for(is_there, seconds), f"{len(self.calls)} calls came"
            return list(self.calls)
